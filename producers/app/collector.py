"""Collector for applications: buffers events and metrics, and flushes by size, time or call."""

from __future__ import annotations

import atexit
import logging
import threading
import weakref
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, Self
from uuid import uuid4

from producers.app import storage as storages
from producers.app.delivery import DeliveryQueue, Outlet
from producers.app.filters import split
from producers.app.fork_safety import reset_after_fork
from producers.app.model import (
    EventType,
    Item,
    Metadata,
    TelemetryConfig,
    TelemetryData,
    TelemetryEvent,
    TelemetryMetric,
)
from producers.app.timing import Timed

log = logging.getLogger(__name__)
Listener = Callable[[TelemetryData], object]
DELIVERY_WAIT_S: Final = 1.0
"""How long a thread whose item fills the buffer waits for a thread that is delivering: back-pressure, no deadlock."""
FLUSH_WAIT_S: Final = 30.0
"""The same for `flush` and `close`."""


class TelemetryCollector:
    """Collects events and metrics.

    Thread-safe; buffered items are delivered at `close` and at interpreter exit.

    Flushed items go once to `storage` or, while a `TelemetryStream` runs, to its storage and consumers. A storage that
    fails is offered the same items again. Errors are counted and never raised into the application.
    """

    def __init__(self, config: TelemetryConfig | None = None, *, storage: storages.Storage | None = None) -> None:
        """Creates a collector.

        Args:
            config: Configuration; by default an enabled collector that stores in memory.
            storage: Replaces the storage that the configuration names.

        Raises:
            ValueError: The configuration of an enabled collector is invalid.
        """
        self.config = config or TelemetryConfig()
        if self.config.enabled:
            self.config.validate()
        self.storage = storage or storages.from_config(self.config)
        self.delivery = DeliveryQueue(Outlet(self.storage))
        self.listener_errors = 0
        """Errors raised by listeners."""
        self._listeners: tuple[Listener, ...] = ()
        self._closed = self._exiting = False
        self.reset()
        reset_after_fork(self)
        _LIVE.add(self)

    def collect_event(
        self,
        source: str,
        message: str,
        event_type: EventType = EventType.INFO,
        metadata: Metadata | None = None,
    ) -> TelemetryEvent | None:
        """Collects an event. Returns it, or None when disabled or closed."""
        if not self.config.enabled or self._closed:
            return None
        now = datetime.now(UTC)
        event = TelemetryEvent(str(uuid4()), now, event_type, source, message, dict(metadata) if metadata else None)
        self._add(event)
        return event

    def collect_metric(
        self, name: str, value: float, unit: str | None = None, tags: Metadata | None = None
    ) -> TelemetryMetric | None:
        """Collects a metric. Returns it, or None when disabled or closed."""
        if not self.config.enabled or self._closed:
            return None
        metric = TelemetryMetric(str(uuid4()), datetime.now(UTC), name, value, unit, dict(tags) if tags else None)
        self._add(metric)
        return metric

    def timed(self, name: str, tags: Metadata | None = None) -> Timed:
        """Times a `with` block or, as a decorator, each call of a function.

        Collects a metric in ms, tagged `success`.
        """
        return Timed(self.collect_metric, name, tags or {})

    def add_listener(self, listener: Listener) -> None:
        """Calls `listener` with each item at once, in the collecting thread (`realtime_mode`)."""
        self._listeners = (*self._listeners, listener)

    def remove_listener(self, listener: Listener) -> None:
        """Stops calling `listener`."""
        self._listeners = tuple(other for other in self._listeners if other is not listener)

    def flush(self) -> TelemetryData:
        """Delivers the buffered items and returns them."""
        data = self._queue_buffer()
        self.delivery.deliver(FLUSH_WAIT_S)
        return data.copy()

    def close(self) -> None:
        """Delivers the buffered items; from then on nothing is collected."""
        with self._lock:
            self._closed = True
        self.finish()
        self._wake.set()

    def finish(self) -> None:
        """Flushes, and waits for storages that work in the background."""
        self.flush()
        for outlet in {*self.delivery.outlets, self.delivery.default_outlet}:
            outlet.flush()

    @property
    def storage_errors(self) -> int:
        """Errors raised by the configured storage."""
        return self.delivery.default_outlet.storage_errors

    @property
    def held(self) -> int:
        """Items that the configured storage has not accepted yet."""
        return self.delivery.default_outlet.held

    @property
    def dropped(self) -> int:
        """Items dropped because the configured storage failed for too long."""
        return self.delivery.default_outlet.dropped

    def reset(self) -> None:
        """Creates locks and an empty buffer; a forked child leaves the buffered items to its parent."""
        self._lock = threading.RLock()  # a signal handler or finaliser may collect while its thread holds it
        self._wake = threading.Event()
        self._buffer: list[Item] = []
        self._timer: threading.Thread | None = None
        self._thread_state = threading.local()
        self.delivery.reset()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _add(self, item: Item) -> None:
        with self._lock:
            self._buffer.append(item)
            deliver = len(self._buffer) >= self.config.buffer_size or self._exiting or self._closed
            if deliver:
                self._queue_buffer()
            elif self._timer is None:
                deliver = not self._start_timer()
        if self._listeners and self.config.realtime_mode:
            self._notify_listeners(item)
        if deliver:
            self.delivery.deliver(DELIVERY_WAIT_S)
        if self._exiting:
            self.finish()

    def _queue_buffer(self) -> TelemetryData:
        """Moves the buffered items to the delivery queue and returns them."""
        with self._lock:
            # One statement: a signal handler that collects in between finds a consistent list either way.
            items, self._buffer = self._buffer, []
            data = split(items)
            if items:
                self.delivery.put(data)
        return data

    def _notify_listeners(self, item: Item) -> None:
        if getattr(self._thread_state, "notifying", False):
            return  # collected by a listener: notifying again would never end
        self._thread_state.notifying = True
        try:
            for listener in self._listeners:
                self._notify(listener, split((item,)))
        finally:
            self._thread_state.notifying = False

    def _notify(self, listener: Listener, data: TelemetryData) -> None:
        try:
            listener(data)
        except Exception:  # an application's own code
            with self._lock:
                self.listener_errors += 1
                is_first = self.listener_errors == 1
            if is_first:
                log.warning("a listener failed; further errors are only counted", exc_info=True)

    def _start_timer(self) -> bool:
        """Starts the thread that flushes by time. It keeps the collector alive while items wait.

        Returns False, after queueing the buffer, if no thread can be started.
        """
        timer = threading.Thread(target=self._flush_by_time, name="telemetry-flush", daemon=True)
        try:
            timer.start()
        except RuntimeError:  # the interpreter is about to exit
            self._queue_buffer()
            return False
        self._timer = timer
        return True

    def _flush_by_time(self) -> None:
        while True:
            self._wake.wait(self.config.flush_interval)
            self._queue_buffer()
            self.delivery.deliver(DELIVERY_WAIT_S)
            with self._lock:
                if self._closed or not (self._buffer or self.delivery.has_pending):
                    self._timer = None
                    return


_LIVE: Final[weakref.WeakSet[TelemetryCollector]] = weakref.WeakSet()


@atexit.register
def _at_exit() -> None:
    for collector in list(_LIVE):
        collector._exiting = True  # noqa: SLF001  items collected later are delivered at once
        collector.finish()
