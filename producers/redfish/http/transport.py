"""One HTTP exchange with one origin, within a deadline: connections, TLS, proxy, body. Knows no login and no resource.

By the transport adapter of `requests`. What its sessions add (logins, redirects, cookies, settings merged anew for each
request) is ours here, or unwanted, and took most of a GET's CPU time: with a thousand BMCs, most of a producer's.
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
from requests.adapters import HTTPAdapter
from requests.exceptions import RequestException
from requests.hooks import default_hooks
from requests.structures import CaseInsensitiveDict
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.util.ssl_ import create_urllib3_context

from producers.redfish.http import errors
from producers.redfish.http.concurrency_limit import AT_ONCE
from producers.redfish.http.deadline import ALARM
from producers.redfish.http.errors import Broken, Late, Silent

Clock = Callable[[], float]
"""Seconds that only grow."""

BODY_BYTES: Final = 16 * 2**20
"""The largest answer taken; on record are 438 kB."""
CHUNK_BYTES: Final = 2**16
CONNECT_S: Final = 10.0
"""At most this long for a connection, so that one dead BMC does not hold a worker for a long interval."""
NEVER: Final = urllib3.Retry.from_int(retries=False, redirect=False)
ERRORS: Final = (RequestException, OSError, HTTPError, HTTPException, ValueError)
"""What requests and urllib3 raise, and what lies below them."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer, of any status."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    """Their names in any case."""
    body: bytes = field(repr=False)

    @property
    def location(self) -> str | None:
        """Where it redirects to."""
        redirects = HTTPStatus.MULTIPLE_CHOICES <= self.status < HTTPStatus.BAD_REQUEST
        return self.headers.get("Location") if redirects and self.status != HTTPStatus.NOT_MODIFIED else None


class Wire:
    """Connections to one origin, kept open. Safe for several threads."""

    def __init__(self, origin: str, *, verify: bool | str, proxy: str | None, clock: Clock) -> None:
        self._origin = origin
        self._verify = verify
        self._proxies = {"http": proxy, "https": proxy} if proxy else {}
        self._clock = clock
        self._lock = threading.Lock()
        self._open: _Adapter | None = None

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, deadline_s: float) -> Answer:
        """One request and its answer, by `deadline_s` on the clock. Redirects are not followed.

        Raises:
            Fault: there is no answer, or one that cannot be read to its end.
        """
        left_s = deadline_s - self._clock()
        if left_s <= 0:
            raise Late
        timeout: Any = urllib3.Timeout(total=left_s, connect=min(left_s, CONNECT_S))
        try:
            request = _request(method, self._origin + path, headers, body)
            response: Any = self._adapter().send(request, stream=True, timeout=timeout, proxies=self._proxies).raw
        except ERRORS as error:
            if self._clock() >= deadline_s:
                raise Silent from None
            raise errors.of_error(error) from None
        try:
            return Answer(response.status, response.headers, self._body(response, deadline_s))
        except BaseException:
            response.close()
            raise

    def close(self) -> None:
        """Closes the connections that are idle; they are opened again when needed."""
        with self._lock:
            adapter, self._open = self._open, None
        if adapter is not None:
            adapter.close()

    def _adapter(self) -> _Adapter:
        with self._lock:
            if self._open is None:
                self._open = _Adapter(self._context())
            return self._open

    def _context(self) -> ssl.SSLContext | None:
        return tls_context(self._verify) if self._origin.startswith("https:") else None

    def _body(self, response: Any, deadline_s: float) -> bytes:
        """The whole body. Read piece by piece, for a timeout is per piece and a dripping BMC never meets it."""
        body = bytearray()
        try:
            with ALARM.within(deadline_s - self._clock(), response.shutdown):
                while piece := response.read1(CHUNK_BYTES, decode_content=True):
                    body += piece
                    if len(body) > BODY_BYTES:
                        raise Broken(f"answer larger than {BODY_BYTES // 2**20} MiB")
                    if self._clock() >= deadline_s:
                        break
        except (*ERRORS, AttributeError):  # the last: shut while being read
            if self._clock() < deadline_s:
                raise Broken("answer cut off") from None
        if self._clock() >= deadline_s:
            raise Late
        response.release_conn()
        return bytes(body)


class _Plain(HTTPConnection):
    def getresponse(self) -> Any:
        """The head of an answer, all of it in the time-out; http.client's is one per piece."""
        with ALARM.within(_seconds(self.timeout), lambda: _shut(self.sock)):
            return super().getresponse()


class _Tls(HTTPSConnection):
    def connect(self) -> None:
        """Connects, and keeps still about a certificate that is not checked: whoever configured it chose that."""
        super().connect()
        self.is_verified = True

    def getresponse(self) -> Any:
        """The same as `_Plain`'s."""
        with ALARM.within(_seconds(self.timeout), lambda: _shut(self.sock)):
            return super().getresponse()


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _Tls


POOLS: Final = {"http": _PlainPool, "https": _TlsPool}


class _Adapter(HTTPAdapter):
    """Connections to one origin under one TLS context, whatever a single request says."""

    def __init__(self, context: ssl.SSLContext | None) -> None:
        self._tls: dict[str, Any] = {"ssl_context": context} if context else {}
        super().__init__(pool_connections=1, pool_maxsize=AT_ONCE)

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:  # noqa: FBT001, FBT002
        """Pools of our own connections."""
        super().init_poolmanager(connections, maxsize, block, **options, **self._tls)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """The same through a proxy."""
        manager = super().proxy_manager_for(proxy, **options, **self._tls)
        manager.pool_classes_by_scheme = POOLS
        return manager

    def build_connection_pool_key_attributes(
        self,
        request: PreparedRequest,
        verify: Any,
        cert: Any = None,
    ) -> tuple[Any, Any]:
        """Where it goes to; how certificates are checked is in the context."""
        return super().build_connection_pool_key_attributes(request, verify, cert)[0], {}

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing: it would load the usual CA certificates for each pool."""


def _request(method: str, url: str, headers: Mapping[str, str], body: bytes | None) -> PreparedRequest:
    """Ready as it is: `prepare` would look at the URL and the headers again."""
    request = PreparedRequest()
    request.method, request.url, request.body, request.hooks = method, url, body, default_hooks()
    request.headers = CaseInsensitiveDict(headers)
    if body is not None:
        request.headers["Content-Length"] = str(len(body))
    return request


def tls_context(verify: bool | str) -> ssl.SSLContext:  # noqa: FBT001
    """How BMCs' certificates are checked: not at all, by the usual CA certificates, or by those of a file."""
    return _context(verify, Path(verify).stat().st_mtime_ns if isinstance(verify, str) else 0)


@functools.lru_cache(maxsize=64)
def _context(verify: bool | str, _changed_ns: int) -> ssl.SSLContext:  # noqa: FBT001
    """Shared by all BMCs of the same setting: to load the usual CA certificates takes 20 ms, and a megabyte."""
    context = create_urllib3_context()
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        context.load_verify_locations(certifi.where() if verify is True else verify)
    return context


def _seconds(timeout: Any) -> float:
    return timeout if isinstance(timeout, int | float) else CONNECT_S


def _shut(sock: Any) -> None:
    """Ends a read that blocks in another thread, below TLS: above, Python would forget that there was any."""
    if isinstance(sock, socket.socket):
        with suppress(OSError):
            socket.socket.shutdown(sock, socket.SHUT_RD)
