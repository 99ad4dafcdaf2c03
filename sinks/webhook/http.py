"""HTTP client of the webhook sink: posts bodies to one URL over one connection and classifies the answers.

It follows no redirects, which would carry secrets elsewhere, verifies certificates, and uses no proxies. Messages name
only the origin of the URL: path, query and user may be secrets.
"""

from __future__ import annotations

import base64
import http.client
import math
import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, unquote, urlsplit

from runtime.errors import Misconfigured, Retry

if TYPE_CHECKING:
    from sinks.settings import WebhookSettings

MAX_RESPONSE_BYTES: Final = 64 * 1024
HEADER_CHARACTERS: Final = "".join(chr(code) for code in range(0x20, 0x7F))
MAX_RETRY_AFTER_S: Final = 300.0
"""A longer Retry-After is shortened to this."""
RETRIABLE_STATUS: Final = (408, 421, 423, 425, 429)
MISCONFIGURED_STATUS: Final = (401, 403, 404, 405, 407, 410, 501)
"""No alert would be accepted: an operator must check URL and credentials."""


class WebhookClient:
    """Client of one receiver. Not thread-safe."""

    def __init__(self, settings: WebhookSettings) -> None:
        url = settings.url.get_secret_value()
        parts = urlsplit(url)
        assert parts.hostname
        port = f":{parts.port}" if parts.port else ""
        host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
        self.origin = f"{parts.scheme}://{host}{port}"
        """The part of the URL that messages may contain."""
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
        # A receiver may quote the request in its answer.
        target = self._target if len(self._target) > 1 else ""
        self._secrets = [secret for secret in (url, target, *secrets) if secret]
        self._timeout_s = settings.timeout_s
        self._connection = _connect(parts.scheme, parts.hostname, parts.port, settings)

    def post(self, body: bytes, headers: Mapping[str, str]) -> str | None:
        """Posts a body. Returns None if the receiver accepted it, else the reason why it never will.

        Raises:
            Retry: The receiver is unreachable or busy.
            Misconfigured: URL, credentials or certificate are wrong.
        """
        try:
            encoded = {name: encode_header(value) for name, value in headers.items()}
            status, retry_after, text = self._exchange(body, self._headers | encoded)
        except ssl.SSLCertVerificationError as error:
            self._connection.close()
            raise Misconfigured(
                f"certificate of {self.origin} not trusted ({error.verify_message}): set RACKSTREAM_WEBHOOK_CA to its "
                "CA's certificate"
            ) from None
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise Retry(f"webhook {self.origin} not reached: {self._sanitize(str(error) or repr(error))}") from None
        answer = f"webhook {self.origin} answers {status}" + (f": {text}" if text else "")
        if 200 <= status < 300:
            return None
        if status in RETRIABLE_STATUS or (status >= 500 and status not in MISCONFIGURED_STATUS):
            raise Retry(answer, after_s=_parse_retry_after(retry_after))
        if 300 <= status < 400:
            raise Misconfigured(f"{answer}; redirects are not followed: set RACKSTREAM_WEBHOOK_URL to where it leads")
        if status in MISCONFIGURED_STATUS:
            raise Misconfigured(f"{answer}; check RACKSTREAM_WEBHOOK_URL and its credentials")
        return answer

    def _exchange(self, body: bytes, headers: Mapping[str, str]) -> tuple[int, str | None, str]:
        """Sends one request and reads its answer, up to a limit; returns status, Retry-After and text."""
        deadline_s = time.monotonic() + self._timeout_s
        reused = self._connection.sock is not None
        try:
            self._connection.request("POST", self._target, body, dict(headers))
            response = self._connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError):
            self._connection.close()
            if not reused:
                raise
            # The receiver has closed the idle connection meanwhile.
            self._connection.request("POST", self._target, body, dict(headers))
            response = self._connection.getresponse()
        content = bytearray()
        while len(content) < MAX_RESPONSE_BYTES and (part := response.read1(4096)):
            content += part
            if time.monotonic() > deadline_s:
                break
        if response.length == 0:
            response.close()  # read completely: the connection can be reused
        if not response.isclosed():
            self._connection.close()
        return response.status, response.headers["Retry-After"], self._sanitize(content.decode(errors="replace"))

    def _sanitize(self, text: str) -> str:
        """Returns a text for logs and dead letters: one short line, without secrets."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return " ".join(text.split())[:300]

    def close(self) -> None:
        """Closes the connection."""
        self._connection.close()


def encode_header(value: str) -> str:
    """Returns a header value in printable ASCII: anything else, which no header can carry, percent-encoded in UTF-8."""
    return quote(value, safe=HEADER_CHARACTERS, errors="replace")


def _connect(scheme: str, host: str, port: int | None, settings: WebhookSettings) -> http.client.HTTPConnection:
    if scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=settings.timeout_s)
    try:
        context = ssl.create_default_context(cafile=str(settings.ca) if settings.ca else None)
    except OSError as error:
        raise Misconfigured(f"RACKSTREAM_WEBHOOK_CA: {settings.ca}: {error.strerror or error}") from None
    return http.client.HTTPSConnection(host, port, timeout=settings.timeout_s, context=context)


def _parse_retry_after(text: str | None) -> float | None:
    """Returns the seconds of a Retry-After header, which is a number or a date."""
    if not text:
        return None
    try:
        wait_s = float(text)
    except ValueError:
        try:
            date = parsedate_to_datetime(text)
        except ValueError:
            return None
        wait_s = ((date if date.tzinfo else date.replace(tzinfo=UTC)) - datetime.now(UTC)).total_seconds()
    return None if math.isnan(wait_s) else min(max(wait_s, 0.0), MAX_RETRY_AFTER_S)
