"""Rejects requests to the page from other origins, which would carry the user's cookie."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rackstream.web.cells import BASE

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "img-src 'self' data:; font-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    # Vue compiles NiceGUI's templates in the browser, and NiceGUI's page begins with inline scripts.
    "script-src 'self' 'unsafe-inline' 'unsafe-eval'"
)
"""Keeps the page from loading or sending anything across origins, whatever a name or label contains."""


class OriginGuard:
    """ASGI middleware of the page's path: checks the origin, adds the content security policy."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forwards the request, or rejects it with 403 (WebSocket: close code 4403)."""
        if scope["type"] not in ("http", "websocket") or not scope["path"].startswith(BASE):
            await self._app(scope, receive, send)
            return
        if not is_same_origin(scope):
            if scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 4403})
            else:
                await PlainTextResponse("cross-origin request", 403)(scope, receive, send)
            return

        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                policy = (b"content-security-policy", CONTENT_SECURITY_POLICY.encode())
                message["headers"] = [*message["headers"], policy]
            await send(message)

        await self._app(scope, receive, send_with_policy)


def is_same_origin(scope: Scope) -> bool:
    """True if a request comes from a page of this host. A WebSocket needs an Origin; browsers always send it."""
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    if origin is None:
        return bool(scope["type"] == "http")
    return urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
