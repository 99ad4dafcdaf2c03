"""How one BMC is logged in to: by one session for all requests, by Basic where there is none. Makes no threads.

BMCs have few sessions (often eight), keep forgotten ones for half an hour, and lock accounts after a few failures.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, NoReturn

from producers.redfish.http.auth_backoff import Refusals
from producers.redfish.http.base_url import Origin
from producers.redfish.http.errors import Denied, Late, Missing, message_ids
from producers.redfish.http.stale_sessions import Ask, Leftovers
from producers.redfish.http.transport import Answer, Clock
from producers.redfish.mapping.table import at, text
from runtime.errors import Misconfigured

Credentials = Callable[[], tuple[str, str] | None]
"""User and password, asked for at each request: they may be renewed while we run."""
Look = Callable[[str, float], Mapping[str, Any]]
"""Link and deadline → the resource, without a session; raises Fault."""

ROOT: Final = "/redfish/v1/"
USUAL: Final = "/redfish/v1/SessionService/Sessions"
"""Where sessions are made if the BMC does not say."""
NONE_S: Final = 3600.0
"""A BMC that makes no sessions is asked for one again after this."""
USED_UP_S: Final = 60.0
LONGEST_USED_UP_S: Final = 600.0
"""One whose sessions are used up, or that fails to make one, after this: doubled up to the second."""
SHORT_S: Final = 30.0
SHORT_ONES: Final = 3
"""So many sessions running that each lived less than this: they are more trouble than they spare."""
NO_SESSIONS: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a request shows to be let in."""

    headers: Mapping[str, str] = field(repr=False)
    who: int | None
    """Tells one pair of credentials from another; None: a request without any."""
    uri: str | None = None
    """Of the session."""
    is_session: bool = False
    made_s: float = 0.0


class Login:
    """Of one BMC. Safe for several threads, of which one at a time logs in."""

    def __init__(
        self, origin: Origin, credentials: Credentials, clock: Clock, ask: Ask, look: Look, *, stale: str | None = None
    ) -> None:
        self._origin = origin
        self._credentials = credentials
        self._clock = clock
        self._ask = ask
        self._look = look
        self._lock = threading.RLock()
        self._session: Ticket | None = None
        self._leftovers = Leftovers(origin, ask, stale)
        self._root: Mapping[str, Any] | None = None
        self._link: str | None = None
        self._basic_until_s = float("-inf")
        self._used_up_s = USED_UP_S
        self._short = 0
        self._refusals = Refusals(clock)
        self.logins = 0
        """Sessions made."""
        self.why_basic = ""
        """Why there is no session, where there could be one."""
        self.refused_by: tuple[str, ...] = ()
        """Ids of the messages in the last answer that was no session."""

    @property
    def uri(self) -> str | None:
        """The session's; or that of one that is still to be deleted."""
        session = self._session
        return (session.uri if session else None) or self._leftovers.first

    @property
    def way(self) -> str:
        """session, basic or none."""
        if self._session:
            return "session"
        return "none" if self._pair() is None else "basic"

    def note_root(self, root: Mapping[str, Any]) -> None:
        """Takes from the service root where sessions are made."""
        self._root = {"SessionService": root.get("SessionService")}  # of the rest nothing is needed
        self._link = text(at(root, "Links/Sessions/@odata.id")) or self._link

    def ticket(self, deadline_s: float, *, openly: bool = False) -> Ticket:
        """For one request; `openly`: for one that may be made before there is a session, as of the service root.

        Raises:
            Fault: the BMC refused the credentials lately, or does not answer.
        """
        pair = self._pair()
        who = hash(pair) if pair else None
        self._refusals.check(who)
        session = self._session
        if session is not None and session.who == who:
            return session
        if pair is None or openly or (session is None and self._clock() < self._basic_until_s):
            if not openly:
                self._refusals.trial(who)
            return self._by_basic(pair)
        with self._turn(deadline_s):
            self._refusals.trial(who)
            return self._made(pair, deadline_s)

    def basic(self) -> Ticket:
        """For a request without a session."""
        return self._by_basic(self._pair())

    def after_refusal(self, ticket: Ticket, deadline_s: float) -> Ticket:
        """Another ticket, for the request that was refused with this one (HTTP 401).

        Raises:
            Fault: there is none.
        """
        with self._turn(deadline_s):
            session = self._session
            if session is not None and session is not ticket:
                return session  # made by another thread
            pair = self._pair()
            if pair is None or (session is None and self._clock() < self._basic_until_s):
                self.refuse(ticket)
            if session is not None:
                self._drop(session)
            self._refusals.trial(hash(pair))
            return self._made(pair, deadline_s)

    def refuse(self, ticket: Ticket) -> NoReturn:
        """Notes that these credentials were refused: an account must not get locked by asking on and on.

        Raises:
            Denied: always.
        """
        self._refusals.refuse(ticket.who, ticket.made_s)

    def accept(self, ticket: Ticket) -> None:
        """Notes that a request was let in that needs to be."""
        self._refusals.accept(ticket.who)

    def distrust(self) -> None:
        """Notes that the BMC makes sessions and does not let them in."""
        with self._lock:
            if self._session is not None:
                self._drop(self._session)
            self._without("new sessions are refused", NONE_S)

    def close(self, deadline_s: float) -> None:
        """Deletes the session; one that could not be deleted stays known as `uri`."""
        if not self._lock.acquire(timeout=max(0.0, deadline_s - self._clock())):
            return
        try:
            session, self._session = self._session, None
            if session is not None:
                self._leftovers.add(session.uri)
                self._leftovers.delete(session.headers, deadline_s, by_basic=False)
        finally:
            self._lock.release()

    @contextmanager
    def _turn(self, deadline_s: float) -> Iterator[None]:
        if not self._lock.acquire(timeout=max(0.0, deadline_s - self._clock())):
            raise Late
        try:
            yield
        finally:
            self._lock.release()

    def _pair(self) -> tuple[str, str] | None:
        try:
            return self._credentials()
        except Misconfigured as error:
            raise Denied(str(error)) from None

    def _by_basic(self, pair: tuple[str, str] | None) -> Ticket:
        return _basic(pair, self._clock()) if pair else Ticket({}, None, made_s=self._clock())

    def _made(self, pair: tuple[str, str], deadline_s: float) -> Ticket:
        """A session's ticket, Basic's where there is none to be had. Others wait meanwhile."""
        basic = self._by_basic(pair)
        if self._session is not None:
            if self._session.who == basic.who:
                return self._session
            self._drop(self._session)
        if self._clock() < self._basic_until_s:
            return basic
        # Before the login, for they may be what uses the BMC's sessions up.
        self._leftovers.delete(basic.headers, deadline_s, by_basic=True)
        body = json.dumps({"UserName": pair[0], "Password": pair[1]}).encode()
        path, answer = self._post(self._sessions(deadline_s), body, deadline_s)
        self.refused_by = message_ids(answer.body) if answer.status >= HTTPStatus.MULTIPLE_CHOICES else ()
        if answer.status == HTTPStatus.UNAUTHORIZED and self._link is None:
            # It names no place for sessions, and to whoever is not logged in it says 401 of everything.
            self._without("no sessions: it names none", NONE_S)
            return basic
        if answer.status == HTTPStatus.UNAUTHORIZED or (
            answer.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN} and b"Unauthorized" in answer.body  # iLO
        ):
            self.refuse(basic)
        self._session = self._opened(answer, path, basic.who)
        if self._session is None:
            return basic
        self.accept(basic)
        self._leftovers.delete(self._session.headers, deadline_s, by_basic=False)
        return self._session

    def _opened(self, answer: Answer, path: str, who: int | None) -> Ticket | None:
        """The session in an answer; None, and Basic for a while, where there is none."""
        if answer.status in NO_SESSIONS:
            self._without(f"no sessions: HTTP {answer.status}", NONE_S)
            return None
        if answer.status >= HTTPStatus.MULTIPLE_CHOICES:
            self._used_up_s, wait_s = min(LONGEST_USED_UP_S, self._used_up_s * 2), self._used_up_s
            self._without(f"no session to be had: HTTP {answer.status}", wait_s)
            return None
        token = answer.headers.get("X-Auth-Token", "").strip()
        if not token or not token.isascii() or not token.isprintable():
            self._without("no sessions: no token in the answer", NONE_S)
            return None
        self.logins += 1
        self._used_up_s, self.why_basic = USED_UP_S, ""
        return Ticket({"X-Auth-Token": token}, who, self._uri_in(answer, path), is_session=True, made_s=self._clock())

    def _uri_in(self, answer: Answer, path: str) -> str | None:
        """Of a new session: where to delete it."""
        try:
            made = json.loads(answer.body)
        except (ValueError, RecursionError):
            made = None
        identity = text(at(made, "Id")) if isinstance(made, dict) else None
        told = (
            answer.headers.get("Location"),
            text(at(made, "@odata.id")) if isinstance(made, dict) else None,
            f"{path.rstrip('/')}/{identity}" if identity else None,
        )
        for link in told:
            try:
                if link and (uri := self._origin.path(link)).rstrip("/") != path.rstrip("/"):
                    return uri
            except Missing:
                continue
        return None

    def _without(self, why: str, wait_s: float) -> None:
        self.why_basic = why
        self._basic_until_s = self._clock() + wait_s

    def _sessions(self, deadline_s: float) -> str:
        """Path of the collection that sessions are made in."""
        try:
            if self._root is None:
                self.note_root(self._look(ROOT, deadline_s))
            service = text(at(self._root or {}, "SessionService/@odata.id"))
            if self._link is None and service:
                self._link = text(at(self._look(service, deadline_s), "Sessions/@odata.id"))
            return self._origin.path(self._link or USUAL)
        except (Denied, Missing):
            return USUAL

    def _post(self, path: str, body: bytes, deadline_s: float) -> tuple[str, Answer]:
        headers = {"Content-Type": "application/json"}
        answer = self._ask("POST", path, headers, body, deadline_s)
        if answer.location and answer.status in {HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT}:
            path = self._origin.moved(path, answer.location)
            answer = self._ask("POST", path, headers, body, deadline_s)
        return path, answer

    def _drop(self, session: Ticket) -> None:
        """Lets go of a session that the BMC does not let in, and deletes it later: it may well count it still."""
        self._session = None
        self._leftovers.add(session.uri)
        self._short = self._short + 1 if self._clock() - session.made_s < SHORT_S else 0
        if self._short >= SHORT_ONES:
            self._short = 0
            self._without("sessions end too soon", NONE_S)


def _basic(pair: tuple[str, str], now_s: float) -> Ticket:
    # As UTF-8: Latin-1, which others take, lacks most letters.
    encoded = base64.b64encode(":".join(pair).encode()).decode()
    return Ticket({"Authorization": f"Basic {encoded}"}, hash(pair), made_s=now_s)
