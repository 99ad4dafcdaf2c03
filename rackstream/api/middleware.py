"""ASGI middleware of all requests: allowed host names, body size, security headers, errors.

Pure ASGI, so that no response is buffered on the way.
"""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import time
from collections.abc import Sequence
from typing import Final

import structlog
from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger()
MAX_BODY_BYTES: Final = 1 << 20
BODY_TIMEOUT_S: Final = 20.0
"""Time within which the body of a request must arrive."""
UI_PATH: Final = "/ui"
"""Path of the web page, which sets its own content security policy."""
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class RequestGuard:
    """Rejects foreign host names and large bodies, adds security headers, and turns exceptions into 500."""

    def __init__(self, app: ASGIApp, allowed_hosts: Sequence[str] = ()) -> None:
        self._app = app
        self._allowed_hosts = tuple(name.lower() for name in allowed_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forwards the request, or rejects it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if not is_allowed_host(headers.getlist("host"), self._allowed_hosts):
            await self._reject(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._app(scope, receive, send)
        else:
            await self._forward(scope, receive, _with_security_headers(scope["path"], send), headers)

    async def _forward(self, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            await _error(413, f"at most {MAX_BODY_BYTES} bytes")(scope, receive, send)
            return
        has_started = False

        async def send_and_record_start(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        try:
            await self._app(scope, _limit_body(receive), send_and_record_start)
        except Exception as error:
            if has_started:
                raise
            error_id = secrets.token_hex(6)
            log.exception("request failed", id=error_id, method=scope["method"], path=scope["path"], reason=repr(error))
            detail = f"internal error; see the console's log for id {error_id}"
            await _error(500, detail, id=error_id)(scope, receive, send)

    @staticmethod
    async def _reject(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4403})
            return
        detail = "unknown host name of the console: see RACKSTREAM_CONSOLE_NAMES"
        await _error(421, detail)(scope, receive, _with_security_headers(scope["path"], send))


def is_allowed_host(host_headers: Sequence[str], allowed_hosts: Sequence[str]) -> bool:
    """True if a request's Host header names this console.

    Prevents DNS rebinding: a foreign site can point its own name at 127.0.0.1, and its script could then read from the
    console as from its own site. That works neither with an IP address nor with a name without a dot.
    """
    if len(host_headers) != 1:
        return False
    host = host_headers[0].lower().strip()
    name = host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]
    if not name:
        return False
    if name in allowed_hosts or "*" in allowed_hosts or ("." not in name.strip("[]") and ":" not in name):
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return name.endswith(".localhost")
    return True


def _with_security_headers(path: str, send: Send) -> Send:
    """Wraps `send` to add the security headers to a response."""
    is_page = path == UI_PATH or path.startswith(f"{UI_PATH}/")

    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in SECURITY_HEADERS.items():
                headers.setdefault(name, value)
            if not is_page:
                headers.setdefault("Content-Security-Policy", CONTENT_SECURITY_POLICY)
                headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return send_with_headers


def _limit_body(receive: Receive) -> Receive:
    """Wraps `receive` to reject a body that is too long, or does not end."""
    received, is_complete = 0, False
    deadline_s = time.monotonic() + BODY_TIMEOUT_S

    async def receive_limited() -> Message:
        nonlocal received, is_complete
        try:
            # After the body, `receive` waits for the client to leave, as long as a stream of events lasts.
            message = await asyncio.wait_for(receive(), None if is_complete else deadline_s - time.monotonic())
        except TimeoutError:
            raise HTTPException(408, f"the body must arrive within {BODY_TIMEOUT_S:g} s") from None
        is_complete = not message.get("more_body", False)
        received += len(message.get("body", b""))
        if received > MAX_BODY_BYTES:
            raise HTTPException(413, f"at most {MAX_BODY_BYTES} bytes")
        return message

    return receive_limited


def _error(status: int, detail: str, **fields: str) -> JSONResponse:
    return JSONResponse({"detail": detail, **fields}, status_code=status)
