"""GET of one BMC's resources over HTTP(S), within a deadline, from its own origin only. Knows no resource."""

from __future__ import annotations

import json
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus
from http.client import HTTPException
from http.cookiejar import Cookie, DefaultCookiePolicy
from typing import Any, Final
from urllib.parse import quote, urljoin, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import HTTPBasicAuth
from urllib3.exceptions import HTTPError, InsecureRequestWarning

from producers.redfish import faults
from producers.redfish.faults import Broken, Denied, Missing, Reset, Unreachable
from runtime.errors import Misconfigured

Clock = Callable[[], float]
"""Seconds that only grow."""
Credentials = Callable[[], tuple[str, str] | None]
"""User and password, asked for at each request: they may be renewed while we run."""

AT_ONCE: Final = 4
"""Requests under way at one BMC."""
BARRED_S: Final = 60.0
"""No request after a 401: BMCs lock accounts after a few."""
BODY_BYTES: Final = 16 * 2**20
"""The largest answer taken; on record are 438 kB."""
CHUNK_BYTES: Final = 2**16
REDIRECTS: Final = 3
LATE: Final = "no time left in this poll"
CONNECT_S: Final = 10.0
"""At most this long for a connection, so that one dead BMC does not hold a worker for a long interval."""


class Client:
    """One BMC. Safe for several threads."""

    def __init__(
        self,
        address: str,
        credentials: Credentials = lambda: None,
        *,
        verify: bool | str = True,
        proxy: str | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self.origin = address.rstrip("/")
        self._own = _origin(self.origin)
        self._credentials = credentials
        self._verify = verify
        self._clock = clock
        self._barred_until_s = float("-inf")
        self._slots = threading.BoundedSemaphore(AT_ONCE)
        self.session = requests.Session()
        """Its own; requests should go through `get` and `request`, which keep to the origin."""
        # Else requests lets REQUESTS_CA_BUNDLE override `verify`, takes proxies of the environment and reads ~/.netrc.
        self.session.trust_env = False
        self.session.proxies = {"http": proxy, "https": proxy} if proxy else {}
        self.session.headers.update({"Accept": "application/json", "OData-Version": "4.0", "User-Agent": "rackstream"})
        self.session.cookies.set_policy(_NoCookies())
        for scheme in ("http://", "https://"):
            self.session.mount(scheme, HTTPAdapter(pool_connections=1, pool_maxsize=AT_ONCE))

    def __repr__(self) -> str:
        return f"Client({self.origin!r})"

    def get(self, link: str, deadline_s: float) -> dict[str, Any]:
        """The resource at a link of this BMC, by `deadline_s` on the client's clock.

        Raises:
            Fault: it was not got.
        """
        url = self._url(link)
        if not self._slots.acquire(timeout=max(0.0, deadline_s - self._clock())):
            raise Unreachable(LATE)
        try:
            return _parsed(*self._follow(url, deadline_s))
        finally:
            self._slots.release()

    def request(self, method: str, url: str, deadline_s: float, **options: Any) -> requests.Response:
        """One request of any kind, with options of `requests`; a GET's redirects are followed within the origin.

        Raises:
            Fault: there is no answer, or one of HTTP 401, or the URL is another origin's.
        """
        options = {"stream": False, **options}
        target = self._url(url)
        if not self._slots.acquire(timeout=max(0.0, deadline_s - self._clock())):
            raise Unreachable(LATE)
        try:
            for _ in range(REDIRECTS + 1):
                response = self._send(target, deadline_s, method, **options)
                location = response.headers.get("Location")
                if method.upper() not in ("GET", "HEAD") or not (response.is_redirect and location):
                    return response
                response.close()
                target = self._url(urljoin(target, location))
        finally:
            self._slots.release()
        raise Missing("too many redirects")

    def close(self) -> None:
        """Closes the connections."""
        self.session.close()

    def _url(self, link: str) -> str:
        """A link as a URL of our own origin, built anew: parsers disagree on who is meant by odd ones."""
        try:
            parts = urlsplit(link)
            stranger = (parts.scheme or parts.netloc) and _origin(link) != self._own
        except ValueError:
            raise Missing("link is no URL") from None
        if stranger:
            raise Missing("link to another origin, not followed")
        if not parts.path.startswith("/"):
            raise Missing("link is no path")
        query = f"?{parts.query}" if parts.query else ""
        return self.origin + quote(parts.path, safe="/%:@!$&'()*+,;=~") + query

    def _follow(self, url: str, deadline_s: float) -> tuple[int, bytes]:
        """Status and body, after redirects within the origin."""
        for _ in range(REDIRECTS + 1):
            with self._answer(url, deadline_s) as response:
                target = response.headers.get("Location")
                if not (response.is_redirect and target):
                    return response.status_code, self._body(response, deadline_s)
            url = self._url(urljoin(url, target))
        raise Missing("too many redirects")

    def _answer(self, url: str, deadline_s: float) -> requests.Response:
        try:
            return self._send(url, deadline_s)
        except Reset:
            # A connection that the BMC closed while it was idle looks like this, and a GET may be sent again.
            return self._send(url, deadline_s)

    def _send(self, url: str, deadline_s: float, method: str = "GET", **options: Any) -> requests.Response:
        left_s = deadline_s - self._clock()
        if self._clock() < self._barred_until_s:
            raise Denied(f"credentials were refused (HTTP 401), not tried again for {BARRED_S:.0f} s")
        if left_s <= 0:
            raise Unreachable(LATE)
        if self._verify is False:  # chosen by whoever configured it: one warning per request says nothing new
            _hush()
        usual: dict[str, Any] = {
            "auth": self._auth(),
            "timeout": (min(left_s, CONNECT_S), left_s),
            "verify": self._verify,
            "allow_redirects": False,
            "stream": True,
        }
        try:
            response = self.session.request(method, url, **(usual | options))
        except (OSError, HTTPError, HTTPException, ValueError) as error:
            raise faults.of_error(error) from None
        if response.status_code == HTTPStatus.UNAUTHORIZED:
            self._barred_until_s = self._clock() + BARRED_S
            response.close()
            raise Denied("credentials refused (HTTP 401)")
        return response

    def _auth(self) -> HTTPBasicAuth | None:
        try:
            pair = self._credentials()
        except Misconfigured as error:
            raise Denied(str(error)) from None
        # As bytes: requests would encode text as Latin-1, and fail on what it lacks.
        return HTTPBasicAuth(*(each.encode() for each in pair)) if pair else None

    def _body(self, response: requests.Response, deadline_s: float) -> bytes:
        """The whole body. Read piece by piece, for a timeout is per piece and a dripping BMC never meets it."""
        body = bytearray()
        alarm = threading.Timer(max(0.0, deadline_s - self._clock()), _abort, (response,))
        alarm.daemon = True
        alarm.start()
        try:
            while piece := response.raw.read1(CHUNK_BYTES, decode_content=True):
                body += piece
                if len(body) > BODY_BYTES:
                    raise Broken(f"answer larger than {BODY_BYTES // 2**20} MiB")
                if self._clock() >= deadline_s:
                    break
        except (OSError, HTTPError, HTTPException, ValueError, AttributeError):  # the last two: shut while being read
            if self._clock() < deadline_s:
                raise Broken("answer cut off") from None
        finally:
            alarm.cancel()
        if self._clock() >= deadline_s:
            raise Unreachable(LATE)
        return bytes(body)


class _NoCookies(DefaultCookiePolicy):
    """Some BMCs hand out a session with every answer, and have only eight."""

    def set_ok(self, cookie: Cookie, request: Any) -> bool:  # noqa: ARG002
        return False


def _hush() -> None:
    """Silences urllib3's warning about certificates that are not checked, unless it is already."""
    for action, _, category, _, _ in warnings.filters:
        if issubclass(InsecureRequestWarning, category):
            if action != "ignore":
                urllib3.disable_warnings(InsecureRequestWarning)
            return
    urllib3.disable_warnings(InsecureRequestWarning)


def _abort(response: requests.Response) -> None:
    """Ends a read that blocks in another thread."""
    with suppress(OSError, ValueError, RuntimeError):
        response.raw.shutdown()


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _parsed(code: int, body: bytes) -> dict[str, Any]:
    """The resource in an answer."""
    if fault := faults.of_status(code):
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
