"""Lets in what comes from the page itself: another site's script must not talk to its socket with a user's cookie."""

from __future__ import annotations

from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rackstream.web.cells import BASE

POLICY: Final = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; "
    "img-src 'self' data:; font-src 'self' data:; style-src 'self' 'unsafe-inline'; "
    # Vue compiles the library's templates in the browser, and NiceGUI's page starts with scripts of its own in it.
    "script-src 'self' 'unsafe-inline' 'unsafe-eval'"
)
"""What a browser may do within the page: nothing leaves for another origin, whatever a name or label says."""


class Guard:
    """ASGI middleware of the page's path: origin of its socket, content security policy."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answers, or hands on."""
        if scope["type"] not in ("http", "websocket") or not scope["path"].startswith(BASE):
            await self._app(scope, receive, send)
            return
        if not is_own(scope):
            if scope["type"] == "websocket":
                await receive()
                await send({"type": "websocket.close", "code": 4403})
            else:
                await PlainTextResponse("not from another origin", 403)(scope, receive, send)
            return

        async def with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"content-security-policy", POLICY.encode())]
            await send(message)

        await self._app(scope, receive, with_policy)


def is_own(scope: Scope) -> bool:
    """Whether a request comes from a page of this host. A socket must say where it comes from: browsers always do."""
    headers = Headers(scope=scope)
    origin = headers.get("origin")
    if origin is None:
        return bool(scope["type"] == "http")
    return urlsplit(origin).netloc.lower() == headers.get("host", "").lower()
