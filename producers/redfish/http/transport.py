"""Exchanges one HTTP request and response with a BMC within a deadline: connections, TLS, proxy, body. No login.

Uses the transport adapter of `requests` without its sessions: what these add (logins, redirects, cookies, settings
merged for each request) is done elsewhere or unwanted, and took most of a GET's CPU time. With 1000 BMCs that was most
of a producer's CPU time.
"""

from __future__ import annotations

import functools
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

import certifi
import urllib3
from requests import PreparedRequest
from requests.adapters import BaseAdapter, HTTPAdapter
from requests.exceptions import RequestException
from requests.hooks import default_hooks
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.util.ssl_ import create_urllib3_context

from producers.redfish.http import errors
from producers.redfish.http.concurrency_limit import MAX_CONCURRENT_REQUESTS
from producers.redfish.http.deadline import DEADLINE_TIMER
from producers.redfish.http.errors import BadResponse, DeadlineExceeded, ResponseTimeout

Clock = Callable[[], float]
"""Monotonic clock, in seconds."""

MAX_BODY_BYTES: Final = 16 * 2**20
"""Larger responses are rejected; the largest on record has 438 kB."""
CHUNK_BYTES: Final = 2**16
CONNECT_TIMEOUT_S: Final = 10.0
"""Connecting takes this long at most, so that a dead BMC does not occupy a worker for a long interval."""
LIBRARY_ERRORS: Final = (RequestException, OSError, HTTPError, HTTPException, ValueError)
"""Exceptions of requests, urllib3 and the layers below."""


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An HTTP response with any status."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    """Lookup ignores case."""
    body: bytes = field(repr=False)

    @property
    def location(self) -> str | None:
        """Target of a redirect; None for other responses."""
        is_redirect = HTTPStatus.MULTIPLE_CHOICES <= self.status < HTTPStatus.BAD_REQUEST
        return self.headers.get("Location") if is_redirect and self.status != HTTPStatus.NOT_MODIFIED else None


class HttpTransport:
    """Persistent connections to one BMC. Safe for several threads."""

    def __init__(
        self,
        url: str,
        *,
        verify: bool | str,
        proxy: str | None,
        clock: Clock,
        create_adapter: Callable[[], BaseAdapter] | None = None,
    ) -> None:
        self._url = url
        self._verify = verify
        self._create_adapter = create_adapter or self._create_bmc_adapter
        self._proxies = {"http": proxy, "https": proxy} if proxy else {}
        self._clock = clock
        self._lock = threading.Lock()
        self._open_adapter: BaseAdapter | None = None

    def send(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, deadline_s: float
    ) -> HttpResponse:
        """Sends one request and reads the response, by `deadline_s` on the clock. Redirects are not followed.

        Raises:
            RedfishError: There is no response, or it cannot be read completely.
        """
        left_s = deadline_s - self._clock()
        if left_s <= 0:
            raise DeadlineExceeded
        # The stubs of requests do not know that a urllib3 time-out, which has a limit for the total, is passed on.
        timeout: Any = urllib3.Timeout(total=left_s, connect=min(left_s, CONNECT_TIMEOUT_S))
        try:
            request = _request(method, self._url + path, headers, body)
            response = self._adapter().send(request, stream=True, timeout=timeout, proxies=self._proxies)
        except LIBRARY_ERRORS as error:
            if self._clock() >= deadline_s:
                raise ResponseTimeout from None
            raise errors.from_exception(error) from None
        raw: urllib3.HTTPResponse = response.raw
        try:
            return HttpResponse(raw.status, raw.headers, self._read_body(raw, deadline_s))
        except BaseException:
            raw.close()
            raise

    def close(self) -> None:
        """Closes idle connections; the next request opens new ones."""
        with self._lock:
            adapter, self._open_adapter = self._open_adapter, None
        if adapter is not None:
            adapter.close()

    def _adapter(self) -> BaseAdapter:
        with self._lock:
            if self._open_adapter is None:
                self._open_adapter = self._create_adapter()
            return self._open_adapter

    def _create_bmc_adapter(self) -> _BmcAdapter:
        return _BmcAdapter(tls_context(self._verify) if self._url.startswith("https:") else None)

    def _read_body(self, response: urllib3.HTTPResponse, deadline_s: float) -> bytes:
        """Reads the body in chunks: a time-out applies to each chunk, and a BMC that drips bytes never exceeds it."""
        body = bytearray()
        try:
            with DEADLINE_TIMER.interrupt_after(deadline_s - self._clock(), response.shutdown):
                while chunk := response.read1(CHUNK_BYTES, decode_content=True):
                    body += chunk
                    if len(body) > MAX_BODY_BYTES:
                        raise BadResponse(f"answer larger than {MAX_BODY_BYTES // 2**20} MiB")
                    if self._clock() >= deadline_s:
                        break
        except (*LIBRARY_ERRORS, AttributeError):  # AttributeError: shut down during the read
            if self._clock() < deadline_s:
                raise BadResponse("answer cut off") from None
        if self._clock() >= deadline_s:
            raise DeadlineExceeded
        response.release_conn()
        return bytes(body)


class _PlainConnection(HTTPConnection):
    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as in urllib3
        """Reads the complete head within the time-out; that of http.client applies to each received piece."""
        with DEADLINE_TIMER.interrupt_after(_seconds(self.timeout), lambda: _shutdown(self.sock)):
            return super().getresponse()


class _TlsConnection(HTTPSConnection):
    def connect(self) -> None:
        """Connects, without urllib3's warning about unchecked certificates: the fleet file asks for that."""
        super().connect()
        self.is_verified = True

    def getresponse(self) -> urllib3.HTTPResponse:  # type: ignore[override]  # as in urllib3
        """Reads the complete head within the time-out, like `_PlainConnection`."""
        with DEADLINE_TIMER.interrupt_after(_seconds(self.timeout), lambda: _shutdown(self.sock)):
            return super().getresponse()


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _PlainConnection


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _TlsConnection


CONNECTION_POOLS: Final = {"http": _PlainPool, "https": _TlsPool}


class _BmcAdapter(HTTPAdapter):
    """Connections to one BMC with one TLS context, regardless of the settings of single requests.

    The parameters typed `Any` are those of `requests`.
    """

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._tls_options: dict[str, Any] = {"ssl_context": context} if context else {}
        super().__init__(pool_connections=1, pool_maxsize=MAX_CONCURRENT_REQUESTS)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:  # noqa: FBT001, FBT002
        """Creates pools of this module's connections."""
        super().init_poolmanager(connections, maxsize, block, **options, **self._tls_options)
        self.poolmanager.pool_classes_by_scheme = CONNECTION_POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Creates pools of this module's connections through a proxy."""
        manager = super().proxy_manager_for(proxy, **options, **self._tls_options)
        manager.pool_classes_by_scheme = CONNECTION_POOLS
        return manager

    def build_connection_pool_key_attributes(
        self,
        request: PreparedRequest,
        verify: Any,
        cert: Any = None,
    ) -> tuple[Any, Any]:
        """Returns the host without TLS attributes: the context says how certificates are verified."""
        return super().build_connection_pool_key_attributes(request, verify, cert)[0], {}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Does nothing: the method of the base class would load the default CA certificates for each pool."""


def _request(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> PreparedRequest:
    """Builds a request without `prepare`, which would parse URL and headers again."""
    request = PreparedRequest()
    request.method, request.url, request.body, request.hooks = method, url, body, default_hooks()
    request.headers = CaseInsensitiveDict(headers)
    if body is not None:
        request.headers["Content-Length"] = str(len(body))
    return request


def tls_context(verify: bool | str) -> ssl.SSLContext:  # noqa: FBT001
    """Returns the TLS context for BMCs.

    Args:
        verify: False to accept any certificate, True to use the default CA certificates, or a file of CA certificates.
    """
    return _cached_context(verify, Path(verify).stat().st_mtime_ns if isinstance(verify, str) else 0)


@functools.lru_cache(maxsize=64)
def _cached_context(verify: bool | str, _changed_ns: int) -> ssl.SSLContext:  # noqa: FBT001
    """Shares a context between BMCs of equal settings: loading the default CA certificates takes 20 ms and 1 MB."""
    context = create_urllib3_context()
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(certifi.where() if verify is True else verify)
    return context


def _seconds(timeout: object) -> float:
    return timeout if isinstance(timeout, int | float) else CONNECT_TIMEOUT_S


def _shutdown(sock: object) -> None:
    """Ends a read that blocks in another thread; below TLS, because `SSLSocket.shutdown` would drop the TLS state."""
    if isinstance(sock, socket.socket):
        with suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RD)
