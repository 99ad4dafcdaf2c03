"""The collector of seed 002: buffers events and metrics of any thread and flushes them by size, time and hand."""

from __future__ import annotations

import atexit
import logging
import threading
import weakref
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Final, Self
from uuid import uuid4

from producers.app import storage as storages
from producers.app.delivery import Delivery, Outlet
from producers.app.filters import split
from producers.app.fork_safety import renew_after_fork
from producers.app.model import EventType, Item, TelemetryConfig, TelemetryData, TelemetryEvent, TelemetryMetric
from producers.app.timing import Timed

log = logging.getLogger(__name__)
Listener = Callable[[TelemetryData], object]
BUSY_S: Final = 1.0
"""How long a thread whose item fills the buffer waits for a thread that is delivering: back-pressure, no deadlock."""
SETTLE_S: Final = 30.0
"""The same for a flush by hand and for `close`."""


class TelemetryCollector:
    """Collects events and metrics. Thread-safe; what is buffered is delivered at `close` and at interpreter exit.

    Flushed items go once to `storage`, or, while a `TelemetryStream` runs, to its storage and consumers. A storage
    that fails is offered the same items again. Counts say what went wrong; nothing is raised into the application.
    """

    def __init__(self, config: TelemetryConfig | None = None, *, storage: storages.Storage | None = None) -> None:
        """`storage` replaces the one the configuration names.

        Raises:
            ValueError: the configuration of an enabled collector is wrong.
        """
        self.config = config or TelemetryConfig()
        if self.config.enabled:
            self.config.validate()
        self.storage = storage or storages.of(self.config)
        self.delivery = Delivery(Outlet(self.storage))
        self.listener_errors = 0
        """Errors that listeners raised."""
        self._listeners: tuple[Listener, ...] = ()
        self._closed = self._exiting = False
        self.renew()
        renew_after_fork(self)
        _LIVE.add(self)

    def collect_event(
        self,
        source: str,
        message: str,
        event_type: EventType = EventType.INFO,
        metadata: Mapping[str, Any] | None = None,
    ) -> TelemetryEvent | None:
        """Collects an event. Returns it, or None when disabled or closed."""
        if not self.config.enabled or self._closed:
            return None
        now = datetime.now(UTC)
        event = TelemetryEvent(str(uuid4()), now, event_type, source, message, dict(metadata) if metadata else None)
        self._add(event)
        return event

    def collect_metric(
        self, name: str, value: float, unit: str | None = None, tags: Mapping[str, Any] | None = None
    ) -> TelemetryMetric | None:
        """Collects a number. Returns it as a metric, or None when disabled or closed."""
        if not self.config.enabled or self._closed:
            return None
        metric = TelemetryMetric(str(uuid4()), datetime.now(UTC), name, value, unit, dict(tags) if tags else None)
        self._add(metric)
        return metric

    def timed(self, name: str, tags: Mapping[str, Any] | None = None) -> Timed:
        """Times a `with` block or, as a decorator, each call of a function: a metric in ms, tagged `success`."""
        return Timed(self.collect_metric, name, tags or {})

    def add_listener(self, listener: Listener) -> None:
        """Has each item given to `listener` as soon as it is collected, in the collecting thread (`realtime_mode`)."""
        self._listeners = (*self._listeners, listener)

    def remove_listener(self, listener: Listener) -> None:
        """Ends that."""
        self._listeners = tuple(each for each in self._listeners if each is not listener)

    def flush(self) -> TelemetryData:
        """Delivers what is buffered and returns it."""
        data = self._take()
        self.delivery.run(SETTLE_S)
        return data.copy()

    def close(self) -> None:
        """Delivers what is buffered; from then on nothing is collected."""
        with self._lock:
            self._closed = True
        self.finish()
        self._wake.set()

    def finish(self) -> None:
        """Flushes, and waits for storages that work in the background."""
        self.flush()
        for outlet in {*self.delivery.outlets, self.delivery.own}:
            outlet.settle()

    @property
    def storage_errors(self) -> int:
        """How often the configured storage failed."""
        return self.delivery.own.storage_errors

    @property
    def held(self) -> int:
        """Items that the configured storage has not taken yet."""
        return self.delivery.own.held

    @property
    def dropped(self) -> int:
        """Items given up because the configured storage failed for too long."""
        return self.delivery.own.dropped

    def renew(self) -> None:
        """After a fork: what is buffered is the parent's."""
        self._lock = threading.RLock()  # a signal handler or finaliser may collect while its thread holds it
        self._wake = threading.Event()
        self._buffer: list[Item] = []
        self._timer: threading.Thread | None = None
        self._here = threading.local()
        self.delivery.renew()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _add(self, item: Item) -> None:
        with self._lock:
            self._buffer.append(item)
            full = len(self._buffer) >= self.config.buffer_size or self._exiting or self._closed
            if full:
                self._take()
            elif self._timer is None:
                full = not self._start_timer()
        if self._listeners and self.config.realtime_mode:
            self._announce(item)
        if full:
            self.delivery.run(BUSY_S)
        if self._exiting:
            self.finish()

    def _take(self) -> TelemetryData:
        """Moves the buffer to the delivery's queue."""
        with self._lock:
            # One statement: a signal handler that runs in between and collects finds either list whole.
            items, self._buffer = self._buffer, []
            data = split(items)
            if items:
                self.delivery.put(data)
        return data

    def _announce(self, item: Item) -> None:
        if getattr(self._here, "announcing", False):
            return  # a listener collected it: announcing that would never end
        self._here.announcing = True
        try:
            for listener in self._listeners:
                self._tell(listener, split((item,)))
        finally:
            self._here.announcing = False

    def _tell(self, listener: Listener, data: TelemetryData) -> None:
        try:
            listener(data)
        except Exception:  # an application's own code
            with self._lock:
                self.listener_errors += 1
                first = self.listener_errors == 1
            if first:
                log.warning("a listener failed; further errors are only counted", exc_info=True)

    def _start_timer(self) -> bool:
        """A thread that lives as long as anything waits, and keeps this collector alive meanwhile."""
        timer = threading.Thread(target=self._flush_by_time, name="telemetry-flush", daemon=True)
        try:
            timer.start()
        except RuntimeError:  # the interpreter is about to exit
            self._take()
            return False
        self._timer = timer
        return True

    def _flush_by_time(self) -> None:
        while True:
            self._wake.wait(self.config.flush_interval)
            self._take()
            self.delivery.run(BUSY_S)
            with self._lock:
                if self._closed or not (self._buffer or self.delivery.pending):
                    self._timer = None
                    return


_LIVE: Final[weakref.WeakSet[TelemetryCollector]] = weakref.WeakSet()


@atexit.register
def _at_exit() -> None:
    for collector in list(_LIVE):
        collector._exiting = True  # noqa: SLF001  what is collected still later is delivered at once
        collector.finish()
