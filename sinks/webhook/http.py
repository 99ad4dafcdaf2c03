"""Posts bodies to one URL over one connection, and says what the answer means.

No redirect is followed, for it would carry secrets elsewhere; certificates are verified; proxies are not used. What is
said of the URL is its origin only: path, query and user may be secrets.
"""

from __future__ import annotations

import base64
import http.client
import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit

from runtime.errors import Misconfigured, Retry

if TYPE_CHECKING:
    from sinks.settings import WebhookSettings

MAX_ANSWER: Final = 64 * 1024
MAX_WAIT_S: Final = 300.0
"""A Retry-After beyond this is taken for this."""
AGAIN: Final = (408, 421, 423, 425, 429)
WRONG: Final = (401, 403, 404, 405, 407, 410, 501)
"""No alert would pass: a person must look at URL and credentials."""


class Poster:
    """One receiver. Not thread-safe."""

    def __init__(self, settings: WebhookSettings) -> None:
        url = settings.url.get_secret_value()
        parts = urlsplit(url)
        assert parts.hostname
        port = f":{parts.port}" if parts.port else ""
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self.origin = f"{parts.scheme}://{host}{port}"
        """What may be said of it."""
        self._target = settings.target
        self._headers = {"Content-Type": "application/json", "User-Agent": "rackstream"}
        secrets = [parts.password, parts.username, settings.token and settings.token.get_secret_value()]
        if parts.username or parts.password:
            pair = f"{unquote(parts.username or '')}:{unquote(parts.password or '')}"
            basic = base64.b64encode(pair.encode()).decode()
            self._headers["Authorization"] = f"Basic {basic}"
            secrets += [basic, unquote(parts.password or "")]
        elif settings.token:
            self._headers["Authorization"] = f"Bearer {settings.token.get_secret_value()}"
        # A receiver may repeat what it was asked for.
        self._secrets = [each for each in (url, self._target if len(self._target) > 1 else "", *secrets) if each]
        self._timeout_s = settings.timeout_s
        self._connection = _connection(parts.scheme, parts.hostname, parts.port, settings)

    def post(self, body: bytes, headers: Mapping[str, str]) -> str | None:
        """Returns None when the receiver took it; else why it never will.

        Raises:
            Retry: it is away or busy.
            Misconfigured: URL, credentials or certificate are wrong.
        """
        try:
            status, after, text = self._exchange(body, self._headers | dict(headers))
        except ssl.SSLCertVerificationError as error:
            self._connection.close()
            raise Misconfigured(
                f"certificate of {self.origin} not trusted ({error.verify_message}): set RACKSTREAM_WEBHOOK_CA to its "
                "CA's certificate"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise Retry(f"webhook {self.origin} not reached: {self._clean(str(error) or repr(error))}") from None
        said = f"webhook {self.origin} answers {status}" + (f": {text}" if text else "")
        if 200 <= status < 300:
            return None
        if status in AGAIN or (status >= 500 and status not in WRONG):
            raise Retry(said, after_s=_after_s(after))
        if 300 <= status < 400:
            raise Misconfigured(f"{said}; redirects are not followed: set RACKSTREAM_WEBHOOK_URL to where it leads")
        if status in WRONG:
            raise Misconfigured(f"{said}; check RACKSTREAM_WEBHOOK_URL and its credentials")
        return said

    def _exchange(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, str | None, str]:
        """Sends one request and reads its answer, whole or to where it is too much."""
        deadline_s = time.monotonic() + self._timeout_s
        reused = self._connection.sock is not None
        try:
            self._connection.request("POST", self._target, body, dict(headers))
            answer = self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError):
            self._connection.close()
            if not reused:
                raise
            # It was kept open for long, and the receiver has closed it meanwhile.
            self._connection.request("POST", self._target, body, dict(headers))
            answer = self._connection.getresponse()
        read = bytearray()
        while len(read) < MAX_ANSWER and (part := answer.read1(4096)):
            read += part
            if time.monotonic() > deadline_s:
                break
        if answer.length == 0:
            answer.close()  # read whole: the connection serves the next one
        if not answer.isclosed():
            self._connection.close()
        return answer.status, answer.headers["Retry-After"], self._clean(read.decode(errors="replace"))

    def _clean(self, text: str) -> str:
        """Fit for logs and letters: one short line, without secrets."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return " ".join(text.split())[:300]

    def close(self) -> None:
        """Lets the connection go."""
        self._connection.close()


def _connection(scheme: str, host: str, port: int | None, settings: WebhookSettings) -> http.client.HTTPConnection:
    if scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=settings.timeout_s)
    try:
        context = ssl.create_default_context(cafile=str(settings.ca) if settings.ca else None)
    except OSError as error:
        raise Misconfigured(f"RACKSTREAM_WEBHOOK_CA: {settings.ca}: {error.strerror or error}") from None
    return http.client.HTTPSConnection(host, port, timeout=settings.timeout_s, context=context)


def _after_s(text: str | None) -> float | None:
    """Retry-After in seconds: a number, or a date."""
    if not text:
        return None
    try:
        wait_s = float(text)
    except ValueError:
        try:
            at = parsedate_to_datetime(text)
        except ValueError:
            return None
        wait_s = ((at if at.tzinfo else at.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()
    return min(max(wait_s, 0.0), MAX_WAIT_S) if wait_s == wait_s else None  # noqa: PLR0124  NaN
