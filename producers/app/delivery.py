"""Delivers flushed items, once and in order, to storages and consumers.

Their errors do not reach the application.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from producers.app.model import TelemetryData

if TYPE_CHECKING:
    from producers.app.storage import Storage

log = logging.getLogger(__name__)
Consumer = Callable[[TelemetryData], object]
MAX_HELD: Final = 100_000
"""Items held for a storage that fails; beyond them the oldest are dropped and counted."""


class Outlet:
    """A storage and its consumers.

    Used by one thread at a time; other threads only read the counters.
    """

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.consumers: tuple[Consumer, ...] = ()
        self.consumer_errors = 0
        self.storage_errors = 0
        self.dropped = 0
        self._held: deque[TelemetryData] = deque()

    @property
    def held(self) -> int:
        """Items that the storage has not accepted yet."""
        return sum(len(data.events) + len(data.metrics) for data in tuple(self._held))

    def hold(self, data: TelemetryData) -> None:
        """Queues items for the storage."""
        self._held.append(data)

    def notify_consumers(self, data: TelemetryData) -> None:
        """Passes items to the consumers."""
        for consumer in self.consumers:
            try:
                consumer(data.copy())
            except Exception:  # noqa: BLE001  an application's own code
                self.consumer_errors += 1
                _warn_once(self.consumer_errors, "a consumer failed; further errors are only counted")

    def store(self) -> None:
        """Stores the held items in order; after an error, the next call tries again."""
        while self._held:
            try:
                self.storage.store(self._held[0])
            except Exception:  # noqa: BLE001  a full disk, Kafka unreachable, an application's own storage
                self.storage_errors += 1
                _warn_once(self.storage_errors, "the storage failed; items are kept and stored later")
                break
            self._held.popleft()
        while len(self._held) > 1 and self.held > MAX_HELD:
            oldest = self._held.popleft()
            self.dropped += len(oldest.events) + len(oldest.metrics)

    def flush(self) -> None:
        """Waits for a storage that works in the background."""
        if self._held:
            log.error("%d items are not stored: the storage does not accept them", self.held)
        try:
            getattr(self.storage, "flush", int)()
        except Exception:  # noqa: BLE001  as above
            self.storage_errors += 1
            _warn_once(self.storage_errors, "the storage failed to finish")

    def discard(self) -> None:
        """Discards the held items, in a forked child: they are the parent's."""
        self._held.clear()


def _warn_once(error_count: int, message: str) -> None:
    if error_count == 1:
        log.warning(message, exc_info=True)  # noqa: LOG014  called in handlers only


class DeliveryQueue:
    """The queue between a collector's buffer and the outlets.

    Outlets run under one lock, so that items are delivered in the order of the queue. A thread that does not get the
    lock in time leaves its items to the thread that holds it, which may be in a consumer that waits for a lock of our
    caller.
    """

    def __init__(self, default_outlet: Outlet) -> None:
        self.default_outlet = default_outlet
        self.attached: tuple[Outlet, ...] = ()
        self._queue: deque[TelemetryData] = deque()
        self._owner: int | None = None
        """Id of the thread that is delivering."""
        self.reset()

    @property
    def outlets(self) -> tuple[Outlet, ...]:
        """Current outlets: those of the running streams, or else the configured storage."""
        return self.attached or (self.default_outlet,)

    @property
    def has_pending(self) -> bool:
        """True if items are queued or held."""
        return bool(self._queue) or any(outlet.held for outlet in self.outlets)

    def put(self, data: TelemetryData) -> None:
        """Queues flushed items. Called under the collector's lock, which determines their order."""
        self._queue.append(data)

    def deliver(self, wait_s: float) -> None:
        """Delivers the queued items, waiting up to `wait_s` seconds for another delivering thread."""
        while True:
            if self._owner == threading.get_ident():
                return  # called from a consumer or a storage: the outer call continues with the queue
            if not self._lock.acquire(timeout=wait_s):
                return
            self._owner = threading.get_ident()
            try:
                self._drain()
            finally:
                self._owner = None
                self._lock.release()
            if not self._queue:  # else another thread queued items and gave up waiting just before the release
                return

    def attach(self, outlet: Outlet) -> None:
        """Adds an outlet for items flushed from now on."""
        if outlet not in self.attached:
            self.attached = (*self.attached, outlet)

    def detach(self, outlet: Outlet, wait_s: float) -> None:
        """Delivers the queued items, then removes an outlet, which gets nothing after this returns."""
        is_inside = self._owner == threading.get_ident()
        is_locked = not is_inside and self._lock.acquire(timeout=wait_s)
        if is_locked:
            self._owner = threading.get_ident()
        try:
            if is_locked:
                self._drain()
            self.attached = tuple(other for other in self.attached if other is not outlet)
        finally:
            if is_locked:
                self._owner = None
                self._lock.release()
        self.deliver(wait_s)  # items that a consumer collected meanwhile

    def reset(self) -> None:
        """Creates the lock and empties the queue; a forked child leaves the items to its parent."""
        self._lock = threading.Lock()
        self._owner = None
        self._queue.clear()
        for outlet in {self.default_outlet, *self.attached}:
            outlet.discard()

    def _drain(self) -> None:
        while self._queue:
            data = self._queue.popleft()
            outlets = self.outlets
            for outlet in outlets:
                outlet.hold(data)
            for outlet in outlets:
                outlet.notify_consumers(data)
        for outlet in {*self.outlets, self.default_outlet}:
            outlet.store()
