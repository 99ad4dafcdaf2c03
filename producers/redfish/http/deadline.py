"""Interrupts blocking reads at their deadline, because a socket's own time-out applies to each received piece."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

MAX_FINISHED: Final = 1024
"""Finished blocks stay queued until their deadline, unless they are more than this and more than half of the queue."""


class TimedBlock:
    """Context manager for a block of code that is interrupted when it takes too long."""

    __slots__ = ("_interrupt", "_timeout_s", "_timer")

    def __init__(self, timer: DeadlineTimer, timeout_s: float, interrupt: Callable[[], object]) -> None:
        self._timer = timer
        self._timeout_s = timeout_s
        self._interrupt: Callable[[], object] | None = interrupt

    def __enter__(self) -> None:
        self._timer.add(self, time.monotonic() + max(0.0, self._timeout_s))

    def __exit__(self, *_: object) -> None:
        self._interrupt = None
        self._timer.record_finished()

    @property
    def is_finished(self) -> bool:
        """True once the block was left."""
        return self._interrupt is None

    def interrupt(self) -> None:
        """Interrupts the block if it is still running."""
        if interrupt := self._interrupt:
            with suppress(OSError, ValueError, RuntimeError):
                interrupt()


class DeadlineTimer:
    """Queue of running blocks by deadline, served by one thread that starts with the first block."""

    def __init__(self) -> None:
        # Re-entrant: a garbage-collected `RedfishTelemetryCollector` deletes its session in whatever thread is running.
        self._queue_changed = threading.Condition(threading.RLock())
        self._queue: list[tuple[float, int, TimedBlock]] = []
        self._tie_breaker = itertools.count()
        self._finished = 0
        self._thread: threading.Thread | None = None

    @property
    def queue_length(self) -> int:
        """Number of queued blocks, including finished ones that have not been dropped yet."""
        return len(self._queue)

    def interrupt_after(self, timeout_s: float, interrupt: Callable[[], object]) -> TimedBlock:
        """Returns a context manager that calls `interrupt` in another thread after `timeout_s` seconds."""
        return TimedBlock(self, timeout_s, interrupt)

    def add(self, block: TimedBlock, deadline_s: float) -> None:
        """Queues a block that has started."""
        with self._queue_changed:
            if self._thread is None:
                self._start_thread()
            entry = (deadline_s, next(self._tie_breaker), block)
            heapq.heappush(self._queue, entry)
            if self._queue[0] is entry:
                self._queue_changed.notify()

    def record_finished(self) -> None:
        """Counts a finished block, and drops finished ones from the queue when there are too many."""
        with self._queue_changed:
            self._finished += 1
            if self._finished > MAX_FINISHED and self._finished > len(self._queue) / 2:
                self._queue = [entry for entry in self._queue if not entry[2].is_finished]
                heapq.heapify(self._queue)
                self._finished = 0

    def _start_thread(self) -> None:
        thread = threading.Thread(target=self._run, daemon=True, name="redfish-deadlines")
        # No thread can be started while the interpreter shuts down; the sockets' own time-outs have to do then.
        with suppress(RuntimeError):
            thread.start()
            self._thread = thread

    def _run(self) -> None:
        while True:
            with self._queue_changed:
                now_s = time.monotonic()
                while not self._queue or self._queue[0][0] > now_s:
                    self._queue_changed.wait(self._queue[0][0] - now_s if self._queue else None)
                    now_s = time.monotonic()
                _, _, block = heapq.heappop(self._queue)
                self._finished = max(0, self._finished - 1)
            block.interrupt()


DEADLINE_TIMER: Final = DeadlineTimer()
"""Timer that all BMCs of the process share."""
