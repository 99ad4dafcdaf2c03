"""One HTTP exchange with one origin, within a deadline: connections, TLS, proxy, body. Knows no login and no resource.

By urllib3 alone: what `requests` adds took three quarters of a GET's CPU time, and at a thousand BMCs that is most of a
producer's.
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
from urllib.parse import unquote, urlsplit

import certifi
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import HTTPError
from urllib3.util.ssl_ import create_urllib3_context

from producers.redfish import faults
from producers.redfish.alarm import ALARM
from producers.redfish.faults import Broken, Late, Silent
from producers.redfish.gate import AT_ONCE

Clock = Callable[[], float]
"""Seconds that only grow."""

BODY_BYTES: Final = 16 * 2**20
"""The largest answer taken; on record are 438 kB."""
CHUNK_BYTES: Final = 2**16
CONNECT_S: Final = 10.0
"""At most this long for a connection, so that one dead BMC does not hold a worker for a long interval."""
NEVER: Final = urllib3.Retry.from_int(retries=False, redirect=False)
ERRORS: Final = (OSError, HTTPError, HTTPException, ValueError)
"""What urllib3 raises, and what lies below it."""


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
        self._proxy = proxy
        self._clock = clock
        self._lock = threading.Lock()
        self._open: HTTPConnectionPool | None = None
        # A proxy is asked for the whole URL where it reads along, which of https it cannot.
        self._before = origin if proxy and origin.startswith("http:") else ""

    def send(self, method: str, path: str, headers: Mapping[str, str], body: bytes | None, deadline_s: float) -> Answer:
        """One request and its answer, by `deadline_s` on the clock. Redirects are not followed.

        Raises:
            Fault: there is no answer, or one that cannot be read to its end.
        """
        left_s = deadline_s - self._clock()
        if left_s <= 0:
            raise Late
        try:
            response: Any = self._pool().urlopen(
                method,
                self._before + path,
                body=body,
                headers=headers,
                retries=NEVER,
                redirect=False,
                assert_same_host=False,
                timeout=urllib3.Timeout(total=left_s, connect=min(left_s, CONNECT_S)),
                preload_content=False,
            )
        except ERRORS as error:
            if self._clock() >= deadline_s:
                raise Silent from None
            raise faults.of_error(error) from None
        try:
            return Answer(response.status, response.headers, self._body(response, deadline_s))
        except BaseException:
            response.close()
            raise

    def close(self) -> None:
        """Closes the connections that are idle; they are opened again when needed."""
        with self._lock:
            pool, self._open = self._open, None
        if pool is not None:
            pool.close()

    def _pool(self) -> HTTPConnectionPool:
        with self._lock:
            if self._open is None:
                self._open = _pool(self._origin, self._verify, self._proxy)
            return self._open

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


def _pool(origin: str, verify: bool | str, proxy: str | None) -> HTTPConnectionPool:  # noqa: FBT001
    options: dict[str, Any] = {"maxsize": AT_ONCE, "block": False}
    if origin.startswith("https:"):
        changed_ns = Path(verify).stat().st_mtime_ns if isinstance(verify, str) else 0
        options["ssl_context"] = _context(verify, changed_ns)
    manager: urllib3.PoolManager
    if proxy:
        parts = urlsplit(proxy)
        login = f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else None
        # Without the login, which urllib3 puts into its messages.
        bare = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        headers = urllib3.make_headers(proxy_basic_auth=login)
        manager = urllib3.ProxyManager(bare, proxy_headers=headers, **options)
    else:
        manager = urllib3.PoolManager(**options)
    manager.pool_classes_by_scheme = {"http": _PlainPool, "https": _TlsPool}
    return manager.connection_from_url(origin)


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
