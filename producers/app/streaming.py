"""The stream of seed 002: while it runs, a collector's items go to its storage and its consumers."""

from __future__ import annotations

import math
import threading
from types import TracebackType
from typing import Final, Self

from producers.app.collector import SETTLE_S, TelemetryCollector
from producers.app.delivery import Consumer, Outlet
from producers.app.fork_safety import renew_after_fork
from producers.app.storage import Storage

JOIN_S: Final = 5.0


class TelemetryStream:
    """Flushes a collector every `interval` seconds into `storage` (None: the collector's own) and to consumers.

    Consumers get each flushed batch once, in a thread of the collector; one that fails is counted and does not keep
    the others from theirs. Before `start` and after `stop` flushed items go to the collector's storage.
    """

    def __init__(self, collector: TelemetryCollector, storage: Storage | None = None, interval: float = 1.0) -> None:
        if not 0 < interval < math.inf:
            raise ValueError(f"interval must be seconds above 0, not {interval!r}")
        self.collector = collector
        self.interval = interval
        self._outlet = Outlet(storage or collector.storage)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        renew_after_fork(self)

    @property
    def running(self) -> bool:
        """Whether it has been started and not stopped."""
        return self._thread is not None

    @property
    def consumer_errors(self) -> int:
        """Errors that consumers raised."""
        return self._outlet.consumer_errors

    @property
    def storage_errors(self) -> int:
        """How often the stream's storage failed."""
        return self._outlet.storage_errors

    @property
    def held(self) -> int:
        """Items that the stream's storage has not taken yet; they are offered again while it runs."""
        return self._outlet.held

    @property
    def dropped(self) -> int:
        """Items given up because the stream's storage failed for too long."""
        return self._outlet.dropped

    def add_consumer(self, consumer: Consumer) -> None:
        """Has each flushed batch given to `consumer` from now on."""
        self._outlet.consumers = (*self._outlet.consumers, consumer)

    def start(self) -> None:
        """Begins to stream; what is buffered already comes first. A running stream is left as it is."""
        if self._thread is not None:
            return
        self._stop.clear()
        self.collector.delivery.attach(self._outlet)
        self._thread = threading.Thread(target=self._run, args=(self._stop,), name="telemetry-stream", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Streams what is buffered, then ends. Safe to call twice, and from a consumer."""
        if self._thread is None:
            return
        thread, self._thread = self._thread, None
        self._stop.set()
        self.collector.flush()
        self.collector.delivery.detach(self._outlet, SETTLE_S)
        self._outlet.settle()
        if thread is not threading.current_thread():
            thread.join(JOIN_S)

    def renew(self) -> None:
        """After a fork: the thread is the parent's, so a running stream gets one of its own."""
        self._stop = threading.Event()
        self._outlet.forget()
        if self._thread is not None:
            self._thread = None
            self.start()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self, stop: threading.Event) -> None:
        while not stop.wait(self.interval):
            self.collector.flush()
