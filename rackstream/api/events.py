"""Live changes as server-sent events: one task polls the view for any number of clients, up to a limit.

Events are not buffered per client: all clients read the same short history. A client that does not keep up is
disconnected, and reconnects with the id of the last event it has.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from typing import Annotated, Final, NamedTuple

from fastapi import APIRouter, Header, HTTPException, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rackstream.text.json import jsonable
from rackstream.view.model import View

MAX_CLIENTS: Final = 64
MAX_EVENTS: Final = 1000
"""Events that a client may be behind."""
POLL_INTERVAL_S: Final = 0.5
OVERVIEW_INTERVAL_S: Final = 3.0
KEEP_ALIVE_S: Final = 15.0
SEND_TIMEOUT_S: Final = 10.0
"""A client that accepts no data for this long is disconnected."""
RECONNECT_MS: Final = 2000
OVERVIEW: Final = "overview"
KINDS: Final = (OVERVIEW, "alert", "status", "health", "host", "producer")


class SentEvent(NamedTuple):
    """An event as it is sent."""

    number: int
    kind: str
    data: str
    """JSON."""


class EventBroadcast:
    """Polls the view while any client is connected. To be used on the event loop's thread only."""

    def __init__(self, view: View, is_stopping: Callable[[], bool] = lambda: False) -> None:
        self._view, self.is_stopping = view, is_stopping
        self.run_id = secrets.token_hex(4)
        """Prefix of event ids, which distinguishes them from those of other processes."""
        self.history: deque[SentEvent] = deque(maxlen=MAX_EVENTS)
        self.newest = 0
        """Number of the newest event."""
        self.overview: tuple[int, str] = (0, "")
        """Number of overviews taken, and the newest as JSON."""
        self.clients = 0
        self._changed = asyncio.Event()
        self._poll_lock = asyncio.Lock()
        self._poll_task: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def connected(self) -> Iterator[None]:
        """Counts a client, and keeps the polling task running while there is one."""
        self.clients += 1
        if self._poll_task is None or self._poll_task.done():
            self._poll_task = asyncio.get_running_loop().create_task(self._poll_loop())
        try:
            yield
        finally:
            self.clients -= 1

    async def wait_for_change(self, timeout_s: float) -> None:
        """Returns when there are new events, or after the timeout."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), timeout_s)

    async def catch_up(self) -> None:
        """Polls the view before the first client connects, so that it can continue after its last event."""
        if self.clients == 0:
            await self._poll()

    async def _poll_loop(self) -> None:
        overview_s = float("-inf")
        while self.clients and not self.is_stopping():
            before = self.newest, self.overview[0]
            if time.monotonic() - overview_s >= OVERVIEW_INTERVAL_S:
                overview_s = time.monotonic()
                overview = await run_in_threadpool(self._view.overview)
                self.overview = self.overview[0] + 1, _to_json(asdict(overview))
            await self._poll()
            if (self.newest, self.overview[0]) != before:
                self._wake()
            await asyncio.sleep(POLL_INTERVAL_S)
        self._wake()

    async def _poll(self) -> None:
        async with self._poll_lock:  # two clients that connect at once would both add the same events
            events, newest, missed = await run_in_threadpool(self._view.events, self.newest)
            if missed:
                self.history.clear()
            self.history.extend(SentEvent(event.number, event.kind, _to_json(event.data)) for event in events)
            self.newest = newest

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def events_after(self, number: int) -> list[SentEvent] | None:
        """Events after a number; None if some of them are not held any longer."""
        if number >= self.newest:
            return [] if number == self.newest else None
        events = [event for event in self.history if event.number > number]
        return events if events and events[0].number == number + 1 else None

    def parse_id(self, event_id: str | None) -> int | None:
        """Number of the event with this id; None if it is not one of this process."""
        run_id, _, number = (event_id or "").partition("-")
        return int(number) if run_id == self.run_id and number.isdecimal() and len(number) < 20 else None


def _to_json(data: Mapping[str, object]) -> str:
    return json.dumps(jsonable(data), ensure_ascii=False, separators=(",", ":"))


class EventStream(Response):
    """Response to one client: sends events for as long as the client accepts them."""

    media_type = "text/event-stream"

    def __init__(self, broadcast: EventBroadcast, kinds: frozenset[str], last_id: str | None) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._broadcast, self._kinds, self._last_id = broadcast, kinds, last_id

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Sends events until the client disconnects or is too slow, or the console stops."""
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await self._broadcast.catch_up()
        with self._broadcast.connected():
            disconnected = asyncio.ensure_future(_wait_for_disconnect(receive))
            try:
                await send(start)
                await self._send_events(send, disconnected)
                await send({"type": "http.response.body", "body": b""})
            except (TimeoutError, OSError):
                return  # the client accepts no data, or is gone
            finally:
                disconnected.cancel()

    async def _send_events(self, send: Send, disconnected: asyncio.Future[None]) -> None:
        broadcast = self._broadcast
        last = broadcast.parse_id(self._last_id)
        body = f"retry: {RECONNECT_MS}\n\n"
        if self._last_id is not None and (last is None or broadcast.events_after(last) is None):
            body += "event: missed\ndata: {}\n\n"
            last = None
        position = broadcast.newest if last is None else last
        overview = 0
        while not disconnected.done() and not broadcast.is_stopping():
            events = broadcast.events_after(position)
            if events is None:
                return  # too slow: after reconnecting, it gets `missed`
            for event in events:
                position = event.number
                if event.kind in self._kinds:
                    body += f"id: {broadcast.run_id}-{position}\nevent: {event.kind}\ndata: {event.data}\n\n"
            if OVERVIEW in self._kinds and broadcast.overview[0] > overview:
                overview, data = broadcast.overview
                body += f"event: {OVERVIEW}\ndata: {data}\n\n"
            if body:
                message = {"type": "http.response.body", "body": body.encode(), "more_body": True}
                await asyncio.wait_for(send(message), SEND_TIMEOUT_S)
                sent_s = time.monotonic()
            body = ""
            await broadcast.wait_for_change(1.0)
            if time.monotonic() - sent_s >= KEEP_ALIVE_S:
                body = ": keep-alive\n\n"


async def _wait_for_disconnect(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def routes(broadcast: EventBroadcast) -> APIRouter:
    """Creates the route `/api/events`."""
    router = APIRouter(prefix="/api", tags=["fleet"])

    @router.get(
        "/events",
        response_class=Response,
        responses={200: {"content": {"text/event-stream": {}}}, 503: {"description": "too many clients"}},
    )
    async def events(
        kinds: Annotated[str, Query(max_length=200, description=f"Some of {','.join(KINDS)}; empty: all")] = "",
        last_event_id: Annotated[str | None, Header(max_length=100)] = None,
    ) -> Response:
        """Alert transitions, changes of status and health, new and removed hosts; the overview every 3 s.

        Last-Event-ID continues after that event. If that is impossible, `missed` is sent first: query again what you
        need.
        """
        selected = frozenset(kinds.replace(" ", "").split(",")) if kinds else frozenset(KINDS)
        if unknown := selected - set(KINDS):
            raise HTTPException(422, f"no such kinds: {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
        if broadcast.clients >= MAX_CLIENTS:
            raise HTTPException(503, "too many clients read events", {"Retry-After": "10"})
        return EventStream(broadcast, selected, last_event_id)

    return router
