"""Client for one BMC: reads resources within a deadline, logged in, from this BMC only."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Final

from requests.adapters import BaseAdapter

from producers.redfish.documents import JsonObject, value_at
from producers.redfish.http import errors
from producers.redfish.http.base_url import BaseUrl
from producers.redfish.http.circuit_breaker import CircuitBreaker
from producers.redfish.http.concurrency_limit import MAX_CONCURRENT_REQUESTS, ConcurrencyLimit
from producers.redfish.http.errors import (
    BadResponse,
    ConnectionBroken,
    DeadlineExceeded,
    Forbidden,
    RedfishError,
    ResourceMissing,
    Unreachable,
)
from producers.redfish.http.etag_cache import EtagCache
from producers.redfish.http.session import SERVICE_ROOT, Authorization, Credentials, SessionManager
from producers.redfish.http.transport import Clock, HttpResponse, HttpTransport
from runtime import metrics

__all__ = ["MAX_CONCURRENT_REQUESTS", "Clock", "Credentials", "RedfishClient"]

MAX_REDIRECTS: Final = 3
CLOSE_TIMEOUT_S: Final = 3.0
"""Time for the deletion of the session; whoever stops the clients of many BMCs cannot wait longer."""
IDEMPOTENT_METHODS: Final = frozenset({"GET", "HEAD", "DELETE"})
"""Methods of requests that are sent once more if the connection breaks."""
BUSY_STATUSES: Final = frozenset({HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE})
AUTHORIZATION_HEADERS: Final = frozenset({"authorization", "x-auth-token"})
DEFAULT_HEADERS: Final[Mapping[str, str]] = {
    "Accept": "application/json",
    "Accept-Encoding": "gzip, deflate",
    "OData-Version": "4.0",
    "User-Agent": "rackstream",
}
REQUESTS_METRIC: Final = metrics.SOURCE_REQUESTS.labels("redfish")
ERROR_METRICS: Final = {kind: metrics.SOURCE_FAULTS.labels("redfish", kind) for kind in errors.ERROR_KINDS}
RequestObserver = Callable[[str, float, JsonObject | RedfishError], None]
"""Called with the link, the seconds it took, and the resource or the error."""


class RedfishClient:
    """Client of one BMC. Safe for several threads.

    Args:
        address: `https://host[:port]`.
        credentials: Returns user and password, or None without authentication.
        verify: True to verify the certificate, or a file of CA certificates to verify it by.
        proxy: URL of a proxy.
        clock: Monotonic clock; deadlines refer to it.
        stale_session: URI of a session that another process left open; deleted before the first login.
        create_adapter: Creates what sends the requests; default: persistent connections to the BMC.
    """

    def __init__(  # noqa: PLR0913  all but the first two by name
        self,
        address: str,
        credentials: Credentials = lambda: None,
        *,
        verify: bool | str = True,
        proxy: str | None = None,
        clock: Clock = time.monotonic,
        stale_session: str | None = None,
        create_adapter: Callable[[], BaseAdapter] | None = None,
    ) -> None:
        self._base_url = BaseUrl(address)
        self._clock = clock
        self._transport = HttpTransport(
            self._base_url.url, verify=verify, proxy=proxy, clock=clock, create_adapter=create_adapter
        )
        self._concurrency = ConcurrencyLimit()
        self._breaker = CircuitBreaker(clock)
        self._session_manager = SessionManager(
            self._base_url,
            credentials,
            clock,
            self._send_limited,
            self._get_without_session,
            inherited_session=stale_session,
        )
        self.etags = EtagCache(clock)
        """Cache of unchanged resources."""
        self.requests = 0
        """Requests sent, including logins."""
        self.request_s = 0.0
        """Total duration of the requests."""
        self.error_counts: Counter[str] = Counter()
        """Failed reads by kind of error: unreachable, denied, missing, …."""
        self.aborted = False
        """If set, `get` fails at once, because the poll has to end. `close` still deletes the session."""
        self.observer: RequestObserver | None = None
        """Called for each `get`, in the calling thread."""

    def __repr__(self) -> str:
        return f"RedfishClient({self.base_url!r})"

    @property
    def base_url(self) -> str:
        """Address of the BMC."""
        return self._base_url.url

    @property
    def session_uri(self) -> str | None:
        """URI of the open session, so that another process can delete it."""
        return self._session_manager.uri

    @property
    def auth(self) -> str:
        """Authentication in use: session, basic or none."""
        return self._session_manager.method

    @property
    def basic_reason(self) -> str:
        """Reason for Basic authentication although there are credentials; empty with a session."""
        return self._session_manager.basic_reason

    @property
    def rejection_ids(self) -> tuple[str, ...]:
        """Message ids of the response that refused a session; empty if one was created."""
        return self._session_manager.rejection_ids

    @property
    def logins(self) -> int:
        """Sessions created."""
        return self._session_manager.logins

    @property
    def max_concurrent(self) -> int:
        """Limit of concurrent requests."""
        return self._concurrency.limit

    def get(self, link: str, deadline_s: float) -> JsonObject:
        """Returns the resource at a link of this BMC, by `deadline_s` on the client's clock.

        Raises:
            RedfishError: The resource could not be read.
        """
        started_s = self._clock()
        try:
            document = self._read(
                link, lambda path, headers: self._send_authorized("GET", path, headers, None, deadline_s)
            )
        except RedfishError as error:
            self._count(error)
            if self.observer:
                self.observer(link, self._clock() - started_s, error)
            raise
        if self.observer:
            self.observer(link, self._clock() - started_s, document)
        return document

    def request(
        self, method: str, link: str, deadline_s: float, headers: Mapping[str, str], body: bytes | None
    ) -> HttpResponse:
        """Sends a request of any method with headers of its own; redirects are not followed.

        Raises:
            RedfishError: There is no response, the login is refused, or the link leads to another host.
        """
        try:
            return self._send_authorized(method, self._base_url.path(link), headers, body, deadline_s)
        except RedfishError as error:
            self._count(error)
            raise

    def close(self) -> None:
        """Deletes the session and closes the connections; both are opened again when needed."""
        self._session_manager.close(self._clock() + CLOSE_TIMEOUT_S)
        self._transport.close()

    def _read(self, link: str, send: Callable[[str, Mapping[str, str]], HttpResponse]) -> JsonObject:
        """Returns the resource at a link, after redirects within this BMC."""
        if self.aborted:
            raise DeadlineExceeded
        path = self._base_url.path(link)
        for _ in range(MAX_REDIRECTS + 1):
            cached = self.etags.lookup(path)
            response = send(path, {"If-None-Match": cached.etag} if cached else {})
            if response.location:
                path = self._base_url.redirect_path(path, response.location)
                continue
            if cached and response.status == HTTPStatus.NOT_MODIFIED:
                document = _parse(HTTPStatus.OK, self.etags.record_hit(cached))
            else:
                document = _parse(response.status, response.body)
                etag = response.headers.get("ETag")
                self.etags.store(path, etag, response.body, conditional=cached is not None)
            if _is_service_root(link):
                self._apply_service_root(document)
            return document
        raise ResourceMissing("too many redirects")

    def _get_without_session(self, link: str, deadline_s: float) -> JsonObject:
        """Reads a resource before the login. A refusal is not recorded, because Basic may be disabled."""

        def send(path: str, headers: Mapping[str, str]) -> HttpResponse:
            basic = self._session_manager.basic_authorization()
            return self._send_limited("GET", path, {**headers, **basic.headers}, None, deadline_s)

        return self._read(link, send)

    def _apply_service_root(self, root: JsonObject) -> None:
        self._session_manager.set_service_root(root)
        is_concurrent = value_at(root, "ProtocolFeaturesSupported/MultipleHTTPRequests") is not False
        self._concurrency.limit = MAX_CONCURRENT_REQUESTS if is_concurrent else 1

    def _send_authorized(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, deadline_s: float
    ) -> HttpResponse:
        """Sends a request with authorization, after a new login if needed."""
        if AUTHORIZATION_HEADERS & {name.lower() for name in headers}:
            return self._send_limited(method, path, headers, body, deadline_s)

        def send(authorization: Authorization) -> HttpResponse:
            return self._send_limited(method, path, {**headers, **authorization.headers}, body, deadline_s)

        sessions = self._session_manager
        is_public = _is_service_root(path)
        authorization = sessions.authorize(deadline_s, is_public=is_public)
        response = send(authorization)
        if response.status == HTTPStatus.UNAUTHORIZED:
            authorization = sessions.renew(authorization, deadline_s)
            response = send(authorization)
        if response.status == HTTPStatus.UNAUTHORIZED and authorization.is_session:
            # Either the resource refuses everybody, or tokens get lost on their way.
            authorization = sessions.basic_authorization()
            response = send(authorization)
            if response.status == HTTPStatus.UNAUTHORIZED:
                raise Forbidden("HTTP 401, though the login is accepted")
            sessions.disable_sessions()
        if response.status == HTTPStatus.UNAUTHORIZED:
            sessions.reject(authorization)
        if not is_public:
            sessions.record_accepted(authorization)
        return response

    def _send_limited(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, deadline_s: float
    ) -> HttpResponse:
        """Sends a request as the concurrency limit and the circuit breaker allow.

        If the BMC is too busy for one of several concurrent requests, that one is sent again, and requests are sent one
        at a time until the service root is read again.
        """
        in_flight = self._concurrency.acquire(deadline_s - self._clock())
        if not in_flight:
            raise DeadlineExceeded
        try:
            trial = self._breaker.admit()
            started_s = self._clock()
            try:
                response = self._send_with_retry(method, path, {**DEFAULT_HEADERS, **headers}, body, deadline_s)
            except Unreachable as error:
                self._breaker.record_failure(error, self._clock() - started_s, trial=trial)
                raise
            except BaseException as error:
                if isinstance(error, BadResponse):
                    self._breaker.record_response(self._clock() - started_s)
                self._breaker.release(trial=trial)
                raise
            self._breaker.record_response(self._clock() - started_s)
            resend = (
                response.status in BUSY_STATUSES
                and method in IDEMPOTENT_METHODS
                and self._concurrency.serialize(in_flight)
            )
        finally:
            self._concurrency.release()
        return self._send_limited(method, path, headers, body, deadline_s) if resend else response

    def _send_with_retry(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, deadline_s: float
    ) -> HttpResponse:
        started_s = self._clock()
        self.requests += 1
        REQUESTS_METRIC.inc()
        try:
            try:
                return self._transport.send(method, path, headers, body, deadline_s)
            except ConnectionBroken:
                if method not in IDEMPOTENT_METHODS:
                    raise
                # Looks the same if the BMC closed the idle connection before the request.
                return self._transport.send(method, path, headers, body, deadline_s)
        finally:
            self.request_s += self._clock() - started_s

    def _count(self, error: RedfishError) -> None:
        if error.fresh:
            self.error_counts[error.kind] += 1
            ERROR_METRICS[error.kind].inc()


def _is_service_root(link: str) -> bool:
    return link.rstrip("/") == SERVICE_ROOT.rstrip("/")


def _parse(status: int, body: bytes) -> JsonObject:
    """Returns the resource in a response, or raises the error it means."""
    if error := errors.from_status(status):
        raise error
    if not body.strip():
        raise BadResponse("answer is empty")
    try:
        # A single invalid byte in one name must not lose the whole resource.
        document = json.loads(body.decode("utf-8-sig", "replace"))
    except (ValueError, RecursionError):
        raise BadResponse("answer is not JSON") from None
    if not isinstance(document, dict):
        raise BadResponse("answer is not a JSON object")
    if "error" in document and "@odata.id" not in document:
        raise BadResponse("answer is an error document")
    return document
