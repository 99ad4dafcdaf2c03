"""InfluxConnector of the scripting API: writes lines of one process to InfluxDB through a bounded queue in memory.

The pipeline does not use it: queued lines are lost with the process, whereas `InfluxSink` commits offsets on Kafka.
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
"""Maximum lines in the queue. Further lines are dropped and counted."""
RETRY_S: Final = 1.0
"""Delay before a failed write is tried again."""


class InfluxConnector:
    """Batches lines by BATCH_MAX_LINES and BATCH_MAX_SEC, and writes them from a thread of its own."""

    def __init__(self, settings: InfluxSettings, max_queued: int = MAX_QUEUED) -> None:
        self._settings, self._max_queued = settings, max_queued
        self._client = InfluxClient(settings)
        self._lines: deque[bytes] = deque()
        self._changed = threading.Condition()
        self._stop_at_s: float | None = None
        self._thread: threading.Thread | None = None
        self._last_problem = ""
        self.written = 0
        """Number of lines stored."""
        self.dropped = 0
        """Number of lines dropped because the queue was full, or refused by the server."""

    @property
    def queue_size(self) -> int:
        """Number of lines in the queue."""
        return len(self._lines)

    def enqueue(self, line: str | bytes) -> bool:
        """Queues one line. Returns False if the queue is full and the line was dropped."""
        with self._changed:
            if len(self._lines) >= self._max_queued:
                self.dropped += 1
                self._warn_once("queue full, dropping lines", f"{self._max_queued} lines are queued")
                return False
            self._lines.append(line.encode() if isinstance(line, str) else line)
            if len(self._lines) >= self._settings.max_lines:
                self._changed.notify()
        return True

    def start_writing(self) -> None:
        """Starts the thread, unless it is running."""
        if self._thread is None or not self._thread.is_alive():
            self._stop_at_s = None
            self._thread = threading.Thread(target=self._run, name="influx-connector", daemon=True)
            self._thread.start()

    def stop_writing(self, timeout: float = 10.0) -> bool:
        """Writes queued lines for up to `timeout` seconds and stops. Returns False if lines are left in the queue."""
        with self._changed:
            self._stop_at_s = time.monotonic() + timeout
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout + self._settings.timeout_s)
        return not self._lines

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._stop_at_s is None and len(self._lines) < self._settings.max_lines:
                    self._changed.wait(self._settings.max_sec)
                batch = list(islice(self._lines, self._settings.max_lines))
                if self._stop_at_s is not None and (not batch or time.monotonic() > self._stop_at_s):
                    return
            if batch and not self._write(batch):
                time.sleep(RETRY_S if self._stop_at_s is None else RETRY_S / 4)

    def _write(self, batch: list[bytes]) -> bool:
        """Writes a batch, which stays in the queue until it is stored; returns False if it has to be tried again."""
        try:
            refused = self._client.write(batch)
        except (Retry, Misconfigured) as error:
            self._warn_once("lines not written, retrying", str(error))
            return False
        if refused:
            log.warning("lines refused", count=len(refused), reason=next(iter(refused.values())))
        with self._changed:
            for _ in batch:
                self._lines.popleft()
            self.written += len(batch) - len(refused)
            self.dropped += len(refused)
            self._last_problem = ""
        return True

    def _warn_once(self, event: str, reason: str) -> None:
        if reason != self._last_problem:
            self._last_problem = reason
            log.warning(event, reason=reason)
