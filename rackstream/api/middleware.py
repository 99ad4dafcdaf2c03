"""What every request passes: which names the console answers to, how much it takes, what browsers may do, failures.

Pure ASGI, so that nothing is buffered on the way.
"""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Sequence
from typing import Any, Final

import structlog
from fastapi import HTTPException
from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = structlog.get_logger()
MAX_BODY_BYTES: Final = 1 << 20
PAGE: Final = "/ui"
"""Path of the page, which has a policy of its own."""
POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}


class Guard:
    """ASGI middleware."""

    def __init__(self, app: ASGIApp, names: Sequence[str] = ()) -> None:
        self._app = app
        self._names = tuple(name.lower() for name in names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, or hands on."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if not is_ours(headers.getlist("host"), self._names):
            await self._refuse(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._app(scope, receive, send)
        else:
            await self._guarded(scope, receive, _safe(scope["path"], send), headers)

    async def _guarded(self, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        length = headers.get("content-length", "0")
        if not length.isdecimal() or int(length) > MAX_BODY_BYTES:
            await _problem(413, f"at most {MAX_BODY_BYTES} bytes")(scope, receive, send)
            return
        begun = False

        async def noting(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, _counted(receive), noting)
        except Exception as error:
            if begun:
                raise
            name = secrets.token_hex(6)
            log.exception("request failed", id=name, method=scope["method"], path=scope["path"], error=repr(error))
            detail = f"an error of the console: its log says more, under {name}"
            await _problem(500, detail, id=name)(scope, receive, send)

    @staticmethod
    async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 4403})
            return
        detail = "the console does not go by this name: see RACKSTREAM_CONSOLE_NAMES"
        await _problem(421, detail)(scope, receive, _safe(scope["path"], send))


def is_ours(given: Sequence[str], names: Sequence[str]) -> bool:
    """Whether a request's Host is one that the console answers to.

    A page of a foreign site can have its own name lead to 127.0.0.1, and its script would then read from us as from
    its own site. It cannot do so with an address, nor with a name without a dot.
    """
    if len(given) != 1:
        return False
    host = given[0].lower().strip()
    name = host[: host.find("]") + 1] if host.startswith("[") else host.partition(":")[0]
    if not name:
        return False
    if name in names or "*" in names or ("." not in name.strip("[]") and ":" not in name):
        return True
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return name.endswith(".localhost")
    return True


def _safe(path: str, send: Send) -> Send:
    """Sends with what browsers are to be told."""
    is_page = path == PAGE or path.startswith(f"{PAGE}/")

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in HEADERS.items():
                headers.setdefault(name, value)
            if not is_page:
                headers.setdefault("Content-Security-Policy", POLICY)
                headers.setdefault("Cache-Control", "no-store")
        await send(message)

    return sending


def _counted(receive: Receive) -> Receive:
    """Receives, and refuses a body that turns out longer than was said."""
    taken = 0

    async def receiving() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > MAX_BODY_BYTES:
            raise HTTPException(413, f"at most {MAX_BODY_BYTES} bytes")
        return message

    return receiving


def _problem(status: int, detail: str, **more: Any) -> JSONResponse:
    return JSONResponse({"detail": detail, **more}, status_code=status)
