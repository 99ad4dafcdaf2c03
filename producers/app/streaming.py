"""Stream for applications: passes a collector's items to a storage and to consumers."""

from __future__ import annotations

import math
import threading
from types import TracebackType
from typing import Final, Self

from producers.app.collector import FLUSH_WAIT_S, TelemetryCollector
from producers.app.delivery import Consumer, Outlet
from producers.app.fork_safety import reset_after_fork
from producers.app.storage import Storage

JOIN_TIMEOUT_S: Final = 5.0


class TelemetryStream:
    """Flushes a collector every `interval` seconds to a storage and to consumers.

    Without `storage`, items go to the collector's own. Consumers get each flushed batch once, in a thread of the
    collector; the errors of one are counted and do not affect the others. Before `start` and after `stop` flushed items
    go to the collector's storage.
    """

    def __init__(self, collector: TelemetryCollector, storage: Storage | None = None, interval: float = 1.0) -> None:
        if not 0 < interval < math.inf:
            raise ValueError(f"interval must be seconds above 0, not {interval!r}")
        self.collector = collector
        self.interval = interval
        self._outlet = Outlet(storage or collector.storage)
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None
        reset_after_fork(self)

    @property
    def running(self) -> bool:
        """True if it has been started and not stopped."""
        return self._thread is not None

    @property
    def consumer_errors(self) -> int:
        """Errors raised by consumers."""
        return self._outlet.consumer_errors

    @property
    def storage_errors(self) -> int:
        """Errors raised by the stream's storage."""
        return self._outlet.storage_errors

    @property
    def held(self) -> int:
        """Items that the stream's storage has not accepted yet; they are offered again."""
        return self._outlet.held

    @property
    def dropped(self) -> int:
        """Items dropped because the stream's storage failed for too long."""
        return self._outlet.dropped

    def add_consumer(self, consumer: Consumer) -> None:
        """Calls `consumer` with each batch flushed from now on."""
        self._outlet.consumers = (*self._outlet.consumers, consumer)

    def start(self) -> None:
        """Starts streaming, with the items already buffered first. No-op if it is running."""
        if self._thread is not None:
            return
        self._stop.clear()
        self.collector.delivery.attach(self._outlet)
        self._thread = threading.Thread(target=self._run, args=(self._stop,), name="telemetry-stream", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Streams the buffered items, then ends. Safe to call twice, and from a consumer."""
        if self._thread is None:
            return
        thread, self._thread = self._thread, None
        self._stop.set()
        self.collector.flush()
        self.collector.delivery.detach(self._outlet, FLUSH_WAIT_S)
        self._outlet.flush()
        if thread is not threading.current_thread():
            thread.join(JOIN_TIMEOUT_S)

    def reset(self) -> None:
        """Starts a thread for a running stream in a forked child, because the other is the parent's."""
        self._stop = threading.Event()
        self._outlet.discard()
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
