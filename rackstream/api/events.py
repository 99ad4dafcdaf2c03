"""What happens, as server-sent events: one watcher of the view, any number of readers up to a limit.

Nothing is buffered for a reader: each reads on in the same short past. One that does not keep up is dropped, and comes
back with the id that it saw last.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Annotated, Any, Final, NamedTuple

from fastapi import APIRouter, Header, HTTPException, Query
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from rackstream.topics.tail import plain
from rackstream.view.model import View

READERS: Final = 64
PAST: Final = 1000
"""Events that a reader may be behind."""
LOOK_S: Final = 0.5
OVERVIEW_S: Final = 3.0
HEARTBEAT_S: Final = 15.0
SLOW_S: Final = 10.0
"""A reader that takes nothing for so long is dropped."""
RETRY_MS: Final = 2000
OVERVIEW: Final = "overview"
KINDS: Final = (OVERVIEW, "alert", "status", "health", "host", "producer")


class Told(NamedTuple):
    """One event as it is sent."""

    number: int
    kind: str
    text: str


class Broadcast:
    """Looks at the view while anybody reads. Lives on the event loop's thread."""

    def __init__(self, view: View, stopping: Callable[[], bool] = lambda: False) -> None:
        self._view, self.stopping = view, stopping
        self.run = secrets.token_hex(4)
        """Tells numbers of this process from those of another."""
        self.past: deque[Told] = deque(maxlen=PAST)
        self.newest = 0
        self.overview: tuple[int, str] = (0, "")
        """How often it was looked at, and the newest."""
        self.readers = 0
        self._changed = asyncio.Event()
        self._looking = asyncio.Lock()
        self._watcher: asyncio.Task[None] | None = None

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Counts a reader, and has somebody watch while there is one."""
        self.readers += 1
        if self._watcher is None or self._watcher.done():
            self._watcher = asyncio.get_running_loop().create_task(self._watch())
        try:
            yield
        finally:
            self.readers -= 1

    async def changed(self, timeout_s: float) -> None:
        """Returns when there is news, or after so long."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._changed.wait(), timeout_s)

    async def begin(self) -> None:
        """Takes what the view knows, so that a first reader can go on where it was."""
        if self.readers == 0:
            await self._look()

    async def _watch(self) -> None:
        looked_s = float("-inf")
        while self.readers and not self.stopping():
            before = self.newest, self.overview[0]
            if time.monotonic() - looked_s >= OVERVIEW_S:
                looked_s = time.monotonic()
                found = await run_in_threadpool(self._view.overview)
                self.overview = self.overview[0] + 1, _text(asdict(found))
            await self._look()
            if (self.newest, self.overview[0]) != before:
                self._wake()
            await asyncio.sleep(LOOK_S)
        self._wake()

    async def _look(self) -> None:
        async with self._looking:  # two readers that begin at once would each add the same events
            found, newest, missed = await run_in_threadpool(self._view.events, self.newest)
            if missed:
                self.past.clear()
            self.past.extend(Told(each.number, each.kind, _text(each.data)) for each in found)
            self.newest = newest

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    def after(self, number: int) -> list[Told] | None:
        """The events after one; None: some of them are not known any more."""
        if number >= self.newest:
            return [] if number == self.newest else None
        found = [each for each in self.past if each.number > number]
        return found if found and found[0].number == number + 1 else None

    def number(self, last_id: str | None) -> int | None:
        """The number that a reader saw last, if it was one of ours."""
        run, _, number = (last_id or "").partition("-")
        return int(number) if run == self.run and number.isdecimal() and len(number) < 20 else None


def _text(data: dict[str, Any]) -> str:
    return json.dumps(plain(data), ensure_ascii=False, separators=(",", ":"))


class Stream(Response):
    """The answer to one reader: sends as long as it takes what it is sent."""

    media_type = "text/event-stream"

    def __init__(self, broadcast: Broadcast, kinds: frozenset[str], last_id: str | None) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self._broadcast, self._kinds, self._last_id = broadcast, kinds, last_id

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        """Sends until the reader goes, is too slow, or the console stops."""
        start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
        await self._broadcast.begin()
        with self._broadcast.reading():
            gone = asyncio.ensure_future(_gone(receive))
            try:
                await send(start)
                await self._tell(send, gone)
                await send({"type": "http.response.body", "body": b""})
            except (TimeoutError, OSError):
                return  # it does not read, or is gone
            finally:
                gone.cancel()

    async def _tell(self, send: Send, gone: asyncio.Future[None]) -> None:
        broadcast = self._broadcast
        seen = broadcast.number(self._last_id)
        body = f"retry: {RETRY_MS}\n\n"
        if self._last_id is not None and (seen is None or broadcast.after(seen) is None):
            body += "event: missed\ndata: {}\n\n"
            seen = None
        at = broadcast.newest if seen is None else seen
        overview = 0
        while not gone.done() and not broadcast.stopping():
            found = broadcast.after(at)
            if found is None:
                return  # too slow: it comes back and is told so
            for each in found:
                at = each.number
                if each.kind in self._kinds:
                    body += f"id: {broadcast.run}-{at}\nevent: {each.kind}\ndata: {each.text}\n\n"
            if OVERVIEW in self._kinds and broadcast.overview[0] > overview:
                overview, text = broadcast.overview
                body += f"event: {OVERVIEW}\ndata: {text}\n\n"
            if body:
                message = {"type": "http.response.body", "body": body.encode(), "more_body": True}
                await asyncio.wait_for(send(message), SLOW_S)
                sent_s = time.monotonic()
            body = ""
            await broadcast.changed(1.0)
            if time.monotonic() - sent_s >= HEARTBEAT_S:
                body = ": still here\n\n"


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def routes(broadcast: Broadcast) -> APIRouter:
    """`/api/events`."""
    found = APIRouter(prefix="/api", tags=["fleet"])

    @found.get(
        "/events",
        response_class=Response,
        responses={200: {"content": {"text/event-stream": {}}}, 503: {"description": "too many readers"}},
    )
    async def events(
        kinds: Annotated[str, Query(max_length=200, description=f"Some of {','.join(KINDS)}; empty: all")] = "",
        last_event_id: Annotated[str | None, Header(max_length=100)] = None,
    ) -> Response:
        """Alert transitions, changes of status and health, hosts that come and go; every 3 s the overview.

        With Last-Event-ID goes on after that event; `missed` says that this is not possible: read anew what you need.
        """
        wanted = frozenset(kinds.replace(" ", "").split(",")) if kinds else frozenset(KINDS)
        if unknown := wanted - set(KINDS):
            raise HTTPException(422, f"no such kinds: {', '.join(sorted(unknown))}; there are {', '.join(KINDS)}")
        if broadcast.readers >= READERS:
            raise HTTPException(503, "too many read events already", {"Retry-After": "10"})
        return Stream(broadcast, wanted, last_event_id)

    return found
