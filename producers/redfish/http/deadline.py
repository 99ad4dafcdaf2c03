"""Ends reads that outlast their deadline: a socket's own time-out is one per piece received. One thread for all."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

SPARE: Final = 1024
"""Waits that are over stay in the queue until their time, unless they are more than this and more than half of it."""


class Wait:
    """A block of code that is interrupted when it takes too long."""

    __slots__ = ("_alarm", "_call", "_left_s")

    def __init__(self, alarm: Alarm, left_s: float, call: Callable[[], object]) -> None:
        self._alarm = alarm
        self._left_s = left_s
        self._call: Callable[[], object] | None = call

    def __enter__(self) -> None:
        self._alarm.add(self, time.monotonic() + max(0.0, self._left_s))

    def __exit__(self, *_: object) -> None:
        self._call = None
        self._alarm.over()

    def ring(self) -> None:
        """Interrupts it, if it is still going on."""
        if call := self._call:
            with suppress(OSError, ValueError, RuntimeError):
                call()


class Alarm:
    """Waits by the time they end; a thread that begins with the first."""

    def __init__(self) -> None:
        # Re-entrant, for a collector that is let go of deletes its session, in whatever thread that happens.
        self._bell = threading.Condition(threading.RLock())
        self._waits: list[tuple[float, int, Wait]] = []
        self._count = itertools.count()
        self._over = 0
        self._thread: threading.Thread | None = None

    def within(self, left_s: float, call: Callable[[], object]) -> Wait:
        """A context; `call` is made in another thread when it lasts longer than `left_s` seconds, and should end it."""
        return Wait(self, left_s, call)

    def add(self, wait: Wait, at_s: float) -> None:
        """Notes a wait that has begun."""
        with self._bell:
            if self._thread is None:
                self._begin()
            entry = (at_s, next(self._count), wait)
            heapq.heappush(self._waits, entry)
            if self._waits[0] is entry:
                self._bell.notify()

    def over(self) -> None:
        """Notes that a wait has ended, and lets those go that have."""
        with self._bell:
            self._over += 1
            if self._over > SPARE and self._over > len(self._waits) / 2:
                self._waits = [each for each in self._waits if each[2]._call is not None]  # noqa: SLF001  of this module
                heapq.heapify(self._waits)
                self._over = 0

    def _begin(self) -> None:
        thread = threading.Thread(target=self._run, daemon=True, name="redfish-alarm")
        # While the interpreter shuts down none can be begun; sockets' own time-outs have to do then.
        with suppress(RuntimeError):
            thread.start()
            self._thread = thread

    def _run(self) -> None:
        while True:
            with self._bell:
                now_s = time.monotonic()
                while not self._waits or self._waits[0][0] > now_s:
                    self._bell.wait(self._waits[0][0] - now_s if self._waits else None)
                    now_s = time.monotonic()
                _, _, wait = heapq.heappop(self._waits)
                self._over = max(0, self._over - 1)
            wait.ring()


ALARM: Final = Alarm()
"""The process's."""
