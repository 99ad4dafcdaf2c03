"""Limits requests for pages: how many are built at once, and how many a client may ask for that fail.

Each open page costs memory and time, and a page that is not built within 3 s answers 500.
"""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from rackstream.access.client_limit import ClientLimit
from rackstream.web.cells import BASE

MAX_CONCURRENT: Final = 4
"""Pages built at once; others wait."""
MAX_WAITING: Final = 60
"""Requests that wait for their turn; others get 503."""
MAX_FAILURES: Final = 30
FAILURE_WINDOW_S: Final = 30.0
"""After `MAX_FAILURES` requests that fail within this time, a client gets 429 until it is over."""
ASSETS: Final = f"{BASE}/_nicegui"
"""Path of the framework's scripts and its WebSocket, which cost nothing to serve."""


class PageLimit:
    """ASGI middleware of the page's path."""

    def __init__(self, app: ASGIApp, failures: ClientLimit | None = None) -> None:
        self._app = app
        self._failures = failures or ClientLimit(MAX_FAILURES, FAILURE_WINDOW_S)
        self._turns = asyncio.Semaphore(MAX_CONCURRENT)
        self._waiting = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Forwards the request when it is its turn, or rejects it."""
        path = scope.get("path", "")
        if scope["type"] != "http" or not path.startswith(BASE) or path.startswith(ASSETS):
            await self._app(scope, receive, send)
            return
        client = scope["client"][0] if scope.get("client") else ""
        if self._failures.is_exceeded(client):
            await _reject(429, "too many requests that failed", self._failures.window_s)(scope, receive, send)
        elif self._waiting >= MAX_WAITING:
            await _reject(503, "too many pages are being opened", 1)(scope, receive, send)
        else:
            await self._forward(scope, receive, send, client)

    async def _forward(self, scope: Scope, receive: Receive, send: Send, client: str) -> None:
        async def send_and_count(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] >= 400:
                self._failures.record(client)
            await send(message)

        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1
        try:
            await self._app(scope, receive, send_and_count)
        finally:
            self._turns.release()


def _reject(status: int, text: str, after_s: float) -> PlainTextResponse:
    return PlainTextResponse(text, status, {"Retry-After": f"{after_s:.0f}"})
