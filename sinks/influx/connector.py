"""Seed 004's InfluxConnector: lines of one process to InfluxDB, through a bounded queue in memory.

The pipeline does not use it: what is queued here is lost with the process, while `InfluxSink` commits on Kafka.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from itertools import islice
from typing import TYPE_CHECKING, Final

import structlog

from runtime.errors import Misconfigured, Retry
from sinks.influx.client import InfluxClient

if TYPE_CHECKING:
    from sinks.settings import InfluxSettings

log = structlog.get_logger()
MAX_QUEUED: Final = 100_000
"""Lines. What comes beyond is dropped and counted."""
DELAY_S: Final = 1.0
"""Before a write is tried again."""


class InfluxConnector:
    """Batches lines by BATCH_MAX_LINES and BATCH_MAX_SEC, and writes them from a thread of its own."""

    def __init__(self, settings: InfluxSettings, max_queued: int = MAX_QUEUED) -> None:
        self._settings, self._max_queued = settings, max_queued
        self._client = InfluxClient(settings)
        self._lines: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._stop_at: float | None = None
        self._thread: threading.Thread | None = None
        self._trouble = ""
        self.written = 0
        """Lines stored."""
        self.dropped = 0
        """Lines dropped because the queue was full, or refused by the server."""

    @property
    def queue_size(self) -> int:
        """Lines that wait."""
        return len(self._lines)

    def enqueue(self, line: str | bytes) -> bool:
        """Queues one line; False: the queue is full, and the line is dropped."""
        with self._changed:
            if len(self._lines) >= self._max_queued:
                self.dropped += 1
                self._once("queue full, lines dropped", f"{self._max_queued} lines wait")
                return False
            self._lines.append(line.encode() if isinstance(line, str) else line)
            if len(self._lines) >= self._settings.max_lines:
                self._changed.notify()
        return True

    def start_writing(self) -> None:
        """Starts the thread; nothing happens if it runs."""
        if self._thread is None or not self._thread.is_alive():
            self._stop_at = None
            self._thread = threading.Thread(target=self._run, name="influx-connector", daemon=True)
            self._thread.start()

    def stop_writing(self, timeout: float = 10.0) -> bool:
        """Writes what waits, for `timeout` seconds at most, and ends; False: lines are left in the queue."""
        with self._changed:
            self._stop_at = time.monotonic() + timeout
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout + self._settings.timeout_s)
        return not self._lines

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._stop_at is None and len(self._lines) < self._settings.max_lines:
                    self._changed.wait(self._settings.max_sec)
                batch = list(islice(self._lines, self._settings.max_lines))
                if self._stop_at is not None and (not batch or time.monotonic() > self._stop_at):
                    return
            if batch and not self._write(batch):
                time.sleep(DELAY_S if self._stop_at is None else DELAY_S / 4)

    def _write(self, batch: list[bytes]) -> bool:
        """Writes a batch that stays in the queue until it is stored."""
        try:
            refused = self._client.write(batch)
        except (Retry, Misconfigured) as error:
            self._once("lines not written, tried again", str(error))
            return False
        if refused:
            log.warning("lines refused", count=len(refused), why=next(iter(refused.values())))
        with self._changed:
            for _ in batch:
                self._lines.popleft()
            self.written += len(batch) - len(refused)
            self.dropped += len(refused)
            self._trouble = ""
        return True

    def _once(self, event: str, why: str) -> None:
        if why != self._trouble:
            self._trouble = why
            log.warning(event, why=why)
