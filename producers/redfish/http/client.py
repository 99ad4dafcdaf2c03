"""GET of one BMC's resources within a deadline: logged in once, from its own origin only. Knows the root alone."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, Final

from producers.redfish.http import errors
from producers.redfish.http.base_url import Origin
from producers.redfish.http.circuit_breaker import Breaker
from producers.redfish.http.concurrency_limit import AT_ONCE, Gate
from producers.redfish.http.errors import Broken, Fault, Forbidden, Late, Missing, Reset, Unreachable
from producers.redfish.http.etag_cache import Etags
from producers.redfish.http.session import ROOT, Credentials, Login, Ticket
from producers.redfish.http.transport import Answer, Clock, Wire
from producers.redfish.mapping.table import at
from runtime import metrics

__all__ = ["AT_ONCE", "Client", "Clock", "Credentials"]

REDIRECTS: Final = 3
CLOSE_S: Final = 3.0
"""For the deletion of the session: who stops many BMCs' clients has not longer."""
AGAIN: Final = frozenset({"GET", "HEAD", "DELETE"})
"""What may be sent once more when the connection breaks."""
BUSY: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
USUAL: Final[Mapping[str, str]] = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
    "OData-Version": "4.0",
    "User-Agent": "rackstream",
}
SENT: Final = metrics.SOURCE_REQUESTS.labels("redfish")
FAULTS: Final = {kind: metrics.SOURCE_FAULTS.labels("redfish", kind) for kind in errors.kinds()}
Watch = Callable[[str, float, Mapping[str, Any] | Fault], None]
"""Link, seconds it took, and the resource or why it was not got."""


class Client:
    """One BMC. Safe for several threads.

    Args:
        address: `https://host[:port]`.
        credentials: user and password, None for none.
        verify: whether its certificate is checked, or the file of CA certificates to check it by.
        proxy: URL of a proxy.
        clock: seconds that only grow; deadlines are on it.
        stale_session: URI of a session that a predecessor left; it is deleted before the first login.
    """

    def __init__(
        self,
        address: str,
        credentials: Credentials = lambda: None,
        *,
        verify: bool | str = True,
        proxy: str | None = None,
        clock: Clock = time.monotonic,
        stale_session: str | None = None,
    ) -> None:
        self._origin = Origin(address)
        self._clock = clock
        self._wire = Wire(self._origin.url, verify=verify, proxy=proxy, clock=clock)
        self._gate = Gate()
        self._breaker = Breaker(clock)
        self._login = Login(self._origin, credentials, clock, self._exchange, self._look, stale=stale_session)
        self.etags = Etags(clock)
        """What was spared by ETags."""
        self.requests = 0
        """Requests sent, logins among them."""
        self.request_s = 0.0
        """Seconds that they took together."""
        self.faults: Counter[str] = Counter()
        """How often what was asked for was not got, by kind of fault: unreachable, denied, missing, …."""
        self.hurried = False
        """Nothing more is got: whoever polls has to end. The session is deleted by `close` all the same."""
        self.watch: Watch | None = None
        """Told of each `get`, from the thread that made it."""

    def __repr__(self) -> str:
        return f"Client({self.origin!r})"

    @property
    def origin(self) -> str:
        """Address of the BMC."""
        return self._origin.url

    @property
    def session_uri(self) -> str | None:
        """Where the session is deleted that is open at the BMC, for whoever takes over."""
        return self._login.uri

    @property
    def auth(self) -> str:
        """How requests are authorised now: session, basic or none."""
        return self._login.way

    @property
    def why_basic(self) -> str:
        """Why there is no session, where there could be one; empty where there is."""
        return self._login.why_basic

    @property
    def refused_by(self) -> tuple[str, ...]:
        """Ids of the messages with which the BMC refused to make a session; empty where it made one."""
        return self._login.refused_by

    @property
    def logins(self) -> int:
        """Sessions made."""
        return self._login.logins

    @property
    def at_once(self) -> int:
        """Requests that may be under way at once."""
        return self._gate.limit

    def get(self, link: str, deadline_s: float) -> dict[str, Any]:
        """The resource at a link of this BMC, by `deadline_s` on the client's clock.

        Raises:
            Fault: it was not got.
        """
        began_s = self._clock()
        try:
            found = self._read(link, lambda path, headers: self._let_in("GET", path, headers, None, deadline_s))
        except Fault as fault:
            self._count(fault)
            if self.watch:
                self.watch(link, self._clock() - began_s, fault)
            raise
        if self.watch:
            self.watch(link, self._clock() - began_s, found)
        return found

    def request(
        self, method: str, link: str, deadline_s: float, headers: Mapping[str, str], body: bytes | None
    ) -> Answer:
        """One request of any kind, with headers of its own; redirects are not followed.

        Raises:
            Fault: there is no answer, or the login is refused, or the link is another origin's.
        """
        try:
            return self._let_in(method, self._origin.path(link), headers, body, deadline_s)
        except Fault as fault:
            self._count(fault)
            raise

    def close(self) -> None:
        """Deletes the session and closes the connections, in CLOSE_S seconds. Both are opened again when needed."""
        self._login.close(self._clock() + CLOSE_S)
        self._wire.close()

    def _read(self, link: str, ask: Callable[[str, Mapping[str, str]], Answer]) -> dict[str, Any]:
        """The resource at a link, after redirects within the origin."""
        if self.hurried:
            raise Late
        path = self._origin.path(link)
        for _ in range(REDIRECTS + 1):
            kept = self.etags.known(path)
            answer = ask(path, {"If-None-Match": kept.etag} if kept else {})
            if answer.location:
                path = self._origin.moved(path, answer.location)
                continue
            if kept and answer.status == HTTPStatus.NOT_MODIFIED:
                document = _parsed(HTTPStatus.OK, self.etags.used(kept))
            else:
                document = _parsed(answer.status, answer.body)
                self.etags.take(path, answer.headers.get("ETag"), answer.body, conditional=kept is not None)
            if link.rstrip("/") == ROOT.rstrip("/"):
                self._note_root(document)
            return document
        raise Missing("too many redirects")

    def _look(self, link: str, deadline_s: float) -> dict[str, Any]:
        """The resource at a link, before there is a session. A refusal says nothing: Basic may be switched off."""

        def ask(path: str, headers: Mapping[str, str]) -> Answer:
            return self._exchange("GET", path, {**headers, **self._login.basic().headers}, None, deadline_s)

        return self._read(link, ask)

    def _note_root(self, root: Mapping[str, Any]) -> None:
        self._login.note_root(root)
        several = at(root, "ProtocolFeaturesSupported/MultipleHTTPRequests") is not False
        self._gate.limit = AT_ONCE if several else 1

    def _let_in(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, deadline_s: float
    ) -> Answer:
        """The answer to a request that is authorised, if need be by a new login."""
        if {"authorization", "x-auth-token"} & {name.lower() for name in headers}:
            return self._exchange(method, path, headers, body, deadline_s)

        def ask(ticket: Ticket) -> Answer:
            return self._exchange(method, path, {**headers, **ticket.headers}, body, deadline_s)

        openly = path.rstrip("/") == ROOT.rstrip("/")
        ticket = self._login.ticket(deadline_s, openly=openly)
        answer = ask(ticket)
        if answer.status == HTTPStatus.UNAUTHORIZED:
            ticket = self._login.after_refusal(ticket, deadline_s)
            answer = ask(ticket)
        if answer.status == HTTPStatus.UNAUTHORIZED and ticket.is_session:
            # Either this is no matter of credentials, or tokens get lost on their way.
            ticket = self._login.basic()
            answer = ask(ticket)
            if answer.status == HTTPStatus.UNAUTHORIZED:
                raise Forbidden("HTTP 401, though the login is accepted")
            self._login.distrust()
        if answer.status == HTTPStatus.UNAUTHORIZED:
            self._login.refuse(ticket)
        if not openly:
            self._login.accept(ticket)
        return answer

    def _exchange(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, deadline_s: float
    ) -> Answer:
        """A request and its answer, as the number of requests at once and the breaker allow.

        A BMC that is too busy for one of several is asked again, and one at a time until its root is read anew.
        """
        inside = self._gate.enter(deadline_s - self._clock())
        if not inside:
            raise Late
        try:
            trial = self._breaker.admit()
            began_s = self._clock()
            try:
                answer = self._sent(method, path, {**USUAL, **headers}, body, deadline_s)
            except Unreachable as fault:
                self._breaker.failed(fault, self._clock() - began_s, trial=trial)
                raise
            except BaseException as error:
                if isinstance(error, Broken):
                    self._breaker.answered(self._clock() - began_s)
                self._breaker.released(trial=trial)
                raise
            self._breaker.answered(self._clock() - began_s)
            too_many = answer.status in BUSY and method in AGAIN and self._gate.narrow(inside)
        finally:
            self._gate.leave()
        return self._exchange(method, path, headers, body, deadline_s) if too_many else answer

    def _sent(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, deadline_s: float
    ) -> Answer:
        began_s = self._clock()
        self.requests += 1
        SENT.inc()
        try:
            try:
                return self._wire.send(method, path, headers, body, deadline_s)
            except Reset:
                if method not in AGAIN:
                    raise
                # A connection that the BMC closed while it was idle looks like this.
                return self._wire.send(method, path, headers, body, deadline_s)
        finally:
            self.request_s += self._clock() - began_s

    def _count(self, fault: Fault) -> None:
        if fault.fresh:
            kind = errors.kind_of(type(fault))
            self.faults[kind] += 1
            FAULTS[kind].inc()


def _parsed(code: int, body: bytes) -> dict[str, Any]:
    """The resource in an answer."""
    if fault := errors.of_status(code):
        raise fault
    if not body.strip():
        raise Broken("answer is empty")
    try:
        # One bad byte in one name must not lose the rest.
        document = json.loads(body.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        raise Broken("answer is not JSON") from None
    if not isinstance(document, dict):
        raise Broken("answer is not a JSON object")
    if "error" in document and "@odata.id" not in document:
        raise Broken("answer is an error document")
    return document
