"""Login to one BMC: one Redfish session for all requests, or Basic authentication without one. Starts no threads.

BMCs allow few sessions (often eight), keep abandoned ones for half an hour, and lock accounts after a few failures.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Final, NoReturn

from producers.redfish.documents import JsonObject, link_at, text, uri_of
from producers.redfish.http.auth_backoff import AuthBackoff
from producers.redfish.http.base_url import BaseUrl
from producers.redfish.http.errors import DeadlineExceeded, ResourceMissing, Unauthorized, message_ids
from producers.redfish.http.stale_sessions import SendRequest, StaleSessions
from producers.redfish.http.transport import Clock, HttpResponse
from runtime.errors import Misconfigured

UserPassword = tuple[str, str]
Credentials = Callable[[], UserPassword | None]
"""User and password, or None without authentication. Called for each request, because they may change at run time."""
ReadResource = Callable[[str, float], JsonObject]
"""(link, deadline) → the resource, read without a session; raises `RedfishError`."""

SERVICE_ROOT: Final = "/redfish/v1/"
DEFAULT_SESSIONS: Final = "/redfish/v1/SessionService/Sessions"
"""Collection of sessions of a BMC that does not link it."""
NO_SESSIONS_RETRY_S: Final = 3600.0
"""A BMC without a usable SessionService is asked for a session again after this time."""
SESSIONS_FULL_RETRY_S: Final = 60.0
MAX_SESSIONS_FULL_RETRY_S: Final = 600.0
"""One without a free session, or that fails to create one, after this time: doubled each time, up to the maximum."""
SHORT_SESSION_S: Final = 30.0
MAX_SHORT_SESSIONS: Final = 3
"""After this many consecutive sessions that lived less than SHORT_SESSION_S, Basic authentication is used instead."""
UNSUPPORTED_STATUSES: Final = frozenset(
    {HTTPStatus.NOT_FOUND, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}
)


@dataclass(frozen=True, slots=True)
class Authorization:
    """Headers that authorize a request, and where they come from."""

    headers: Mapping[str, str] = field(repr=False)
    credentials_key: int | None
    """Hash of user and password, to distinguish pairs; None for a request without any."""
    session_uri: str | None = None
    is_session: bool = False
    created_s: float = 0.0


class SessionManager:
    """Session of one BMC. Safe for several threads, of which one at a time logs in.

    Args:
        base_url: Address of the BMC.
        credentials: User and password.
        clock: Monotonic clock; deadlines refer to it.
        send: Sends a request.
        read: Reads a resource without a session.
        inherited_session: URI of a session that another process left open; deleted before the first login.
    """

    def __init__(
        self,
        base_url: BaseUrl,
        credentials: Credentials,
        clock: Clock,
        send: SendRequest,
        read: ReadResource,
        *,
        inherited_session: str | None = None,
    ) -> None:
        self._base_url = base_url
        self._credentials = credentials
        self._clock = clock
        self._send = send
        self._read = read
        self._lock = threading.RLock()
        self._session: Authorization | None = None
        self._stale_sessions = StaleSessions(base_url, send, inherited_session)
        self._root: JsonObject | None = None
        self._sessions_link: str | None = None
        self._basic_until_s = float("-inf")
        self._full_retry_s = SESSIONS_FULL_RETRY_S
        self._short_sessions = 0
        self._backoff = AuthBackoff(clock)
        self.logins = 0
        """Sessions created."""
        self.basic_reason = ""
        """Reason for Basic authentication although there are credentials; empty with a session."""
        self.rejection_ids: tuple[str, ...] = ()
        """Message ids of the last response that refused a session."""

    @property
    def uri(self) -> str | None:
        """URI of the session, or of one that is still to be deleted."""
        session = self._session
        return (session.session_uri if session else None) or self._stale_sessions.oldest

    @property
    def method(self) -> str:
        """Authentication in use: session, basic or none."""
        if self._session:
            return "session"
        return "none" if self._current_credentials() is None else "basic"

    def set_service_root(self, root: JsonObject) -> None:
        """Reads the link to the sessions from the service root."""
        self._root = {"SessionService": root.get("SessionService")}
        self._sessions_link = link_at(root, "Links/Sessions") or self._sessions_link

    def authorize(self, deadline_s: float, *, is_public: bool = False) -> Authorization:
        """Returns the authorization for one request, after a login if needed.

        Args:
            deadline_s: Deadline of the request.
            is_public: The resource needs no login, like the service root; no session is created for it.

        Raises:
            RedfishError: The BMC refused the credentials recently, or does not respond.
        """
        user_password = self._current_credentials()
        credentials_key = hash(user_password) if user_password else None
        self._backoff.check(credentials_key)
        session = self._session
        if session is not None and session.credentials_key == credentials_key:
            return session
        if user_password is None or is_public or (session is None and self._clock() < self._basic_until_s):
            if not is_public:
                self._backoff.check_and_claim(credentials_key)
            return self._without_session(user_password)
        with self._locked(deadline_s):
            self._backoff.check_and_claim(credentials_key)
            return self._log_in(user_password, deadline_s)

    def basic_authorization(self) -> Authorization:
        """Returns the authorization for a request without a session."""
        return self._without_session(self._current_credentials())

    def renew(self, refused: Authorization, deadline_s: float) -> Authorization:
        """Returns another authorization for a request that was refused (HTTP 401).

        Raises:
            RedfishError: There is no other one.
        """
        with self._locked(deadline_s):
            session = self._session
            if session is not None and session is not refused:
                return session  # created by another thread meanwhile
            user_password = self._current_credentials()
            if user_password is None or (session is None and self._clock() < self._basic_until_s):
                self.reject(refused)
            if session is not None:
                self._discard(session)
            self._backoff.check_and_claim(hash(user_password))
            return self._log_in(user_password, deadline_s)

    def reject(self, authorization: Authorization) -> NoReturn:
        """Records that the credentials were refused, so that repeated requests do not lock the account.

        Raises:
            Unauthorized: Always.
        """
        self._backoff.reject(authorization.credentials_key, authorization.created_s)

    def record_accepted(self, authorization: Authorization) -> None:
        """Records that a resource that requires a login was served."""
        self._backoff.record_success(authorization.credentials_key)

    def disable_sessions(self) -> None:
        """Switches to Basic authentication: the BMC creates sessions, but does not accept their tokens."""
        with self._lock:
            if self._session is not None:
                self._discard(self._session)
            self._use_basic("new sessions are refused", NO_SESSIONS_RETRY_S)

    def close(self, deadline_s: float) -> None:
        """Deletes the session; one that could not be deleted remains available as `uri`."""
        if not self._lock.acquire(timeout=max(0.0, deadline_s - self._clock())):
            return
        try:
            session, self._session = self._session, None
            if session is not None:
                self._stale_sessions.add(session.session_uri)
                self._stale_sessions.delete(session.headers, deadline_s, with_basic=False)
        finally:
            self._lock.release()

    @contextmanager
    def _locked(self, deadline_s: float) -> Iterator[None]:
        if not self._lock.acquire(timeout=max(0.0, deadline_s - self._clock())):
            raise DeadlineExceeded
        try:
            yield
        finally:
            self._lock.release()

    def _current_credentials(self) -> UserPassword | None:
        try:
            return self._credentials()
        except Misconfigured as error:
            raise Unauthorized(str(error)) from None

    def _without_session(self, user_password: UserPassword | None) -> Authorization:
        if user_password is None:
            return Authorization({}, None, created_s=self._clock())
        # UTF-8, because Latin-1, which other clients use, lacks most letters.
        encoded = base64.b64encode(":".join(user_password).encode()).decode()
        return Authorization({"Authorization": f"Basic {encoded}"}, hash(user_password), created_s=self._clock())

    def _log_in(self, user_password: UserPassword, deadline_s: float) -> Authorization:
        """Creates a session, or falls back to Basic authentication. Called with the lock held."""
        basic = self._without_session(user_password)
        if self._session is not None:
            if self._session.credentials_key == basic.credentials_key:
                return self._session
            self._discard(self._session)
        if self._clock() < self._basic_until_s:
            return basic
        # Before the login, because stale sessions may be what exhausts the BMC's sessions.
        self._stale_sessions.delete(basic.headers, deadline_s, with_basic=True)
        body = json.dumps({"UserName": user_password[0], "Password": user_password[1]}).encode()
        path, response = self._post(self._sessions_path(deadline_s), body, deadline_s)
        self.rejection_ids = message_ids(response.body) if response.status >= HTTPStatus.MULTIPLE_CHOICES else ()
        if response.status == HTTPStatus.UNAUTHORIZED and self._sessions_link is None:
            # A BMC without a link to its sessions answers 401 to any unauthenticated request.
            self._use_basic("no sessions: the service root links none", NO_SESSIONS_RETRY_S)
            return basic
        if response.status == HTTPStatus.UNAUTHORIZED or (
            response.status in {HTTPStatus.BAD_REQUEST, HTTPStatus.FORBIDDEN} and b"Unauthorized" in response.body
        ):  # the second is iLO's way
            self.reject(basic)
        self._session = self._session_from(response, path, basic.credentials_key)
        if self._session is None:
            return basic
        self.record_accepted(basic)
        self._stale_sessions.delete(self._session.headers, deadline_s, with_basic=False)
        return self._session

    def _session_from(self, response: HttpResponse, path: str, credentials_key: int | None) -> Authorization | None:
        """Returns the session of a login response; None, and Basic authentication for a while, if it has none."""
        if response.status in UNSUPPORTED_STATUSES:
            self._use_basic(f"no sessions: HTTP {response.status}", NO_SESSIONS_RETRY_S)
            return None
        if response.status >= HTTPStatus.MULTIPLE_CHOICES:
            retry_s = self._full_retry_s
            self._full_retry_s = min(MAX_SESSIONS_FULL_RETRY_S, retry_s * 2)
            self._use_basic(f"no session available: HTTP {response.status}", retry_s)
            return None
        token = response.headers.get("X-Auth-Token", "").strip()
        if not token or not token.isascii() or not token.isprintable():
            self._use_basic("no sessions: no token in the answer", NO_SESSIONS_RETRY_S)
            return None
        self.logins += 1
        self._full_retry_s, self.basic_reason = SESSIONS_FULL_RETRY_S, ""
        uri = self._session_uri(response, path)
        return Authorization({"X-Auth-Token": token}, credentials_key, uri, is_session=True, created_s=self._clock())

    def _session_uri(self, response: HttpResponse, path: str) -> str | None:
        """Returns the path to delete a new session at, from the login response."""
        try:
            document = json.loads(response.body)
        except (ValueError, RecursionError):
            document = None
        session: JsonObject = document if isinstance(document, dict) else {}
        session_id = text(session.get("Id"))
        candidates = (
            response.headers.get("Location"),
            uri_of(session),
            f"{path.rstrip('/')}/{session_id}" if session_id else None,
        )
        for link in candidates:
            try:
                if link and (uri := self._base_url.path(link)).rstrip("/") != path.rstrip("/"):
                    return uri
            except ResourceMissing:
                continue
        return None

    def _use_basic(self, reason: str, retry_s: float) -> None:
        self.basic_reason = reason
        self._basic_until_s = self._clock() + retry_s

    def _sessions_path(self, deadline_s: float) -> str:
        """Returns the path of the collection in which sessions are created."""
        try:
            if self._root is None:
                self.set_service_root(self._read(SERVICE_ROOT, deadline_s))
            service = link_at(self._root, "SessionService")
            if self._sessions_link is None and service:
                self._sessions_link = link_at(self._read(service, deadline_s), "Sessions")
            return self._base_url.path(self._sessions_link or DEFAULT_SESSIONS)
        except (Unauthorized, ResourceMissing):
            return DEFAULT_SESSIONS

    def _post(self, path: str, body: bytes, deadline_s: float) -> tuple[str, HttpResponse]:
        headers = {"Content-Type": "application/json"}
        response = self._send("POST", path, headers, body, deadline_s)
        if response.location and response.status in {HTTPStatus.TEMPORARY_REDIRECT, HTTPStatus.PERMANENT_REDIRECT}:
            path = self._base_url.redirect_path(path, response.location)
            response = self._send("POST", path, headers, body, deadline_s)
        return path, response

    def _discard(self, session: Authorization) -> None:
        """Discards a session that the BMC refuses. It is deleted later, because the BMC may still count it."""
        self._session = None
        self._stale_sessions.add(session.session_uri)
        is_short = self._clock() - session.created_s < SHORT_SESSION_S
        self._short_sessions = self._short_sessions + 1 if is_short else 0
        if self._short_sessions >= MAX_SHORT_SESSIONS:
            self._short_sessions = 0
            self._use_basic("sessions end too soon", NO_SESSIONS_RETRY_S)
