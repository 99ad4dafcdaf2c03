"""Hands flushed items on: each once, in order, to one storage and some consumers, whose errors stay with them."""

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
"""Items held for a storage that fails; beyond them the oldest are given up, and counted."""


class Outlet:
    """One storage and its consumers. Used by one thread at a time; only counts are read by others."""

    def __init__(self, storage: Storage) -> None:
        self.storage = storage
        self.consumers: tuple[Consumer, ...] = ()
        self.consumer_errors = 0
        self.storage_errors = 0
        self.dropped = 0
        self._held: deque[TelemetryData] = deque()

    @property
    def held(self) -> int:
        """Items that the storage has not taken yet."""
        return sum(len(data.events) + len(data.metrics) for data in tuple(self._held))

    def hold(self, data: TelemetryData) -> None:
        """Takes items in for the storage."""
        self._held.append(data)

    def consume(self, data: TelemetryData) -> None:
        """Gives items to the consumers."""
        for consumer in self.consumers:
            try:
                consumer(data.copy())
            except Exception:  # noqa: BLE001  an application's own code
                self.consumer_errors += 1
                _tell(self.consumer_errors, "a consumer failed; further errors are only counted")

    def store(self) -> None:
        """Stores what is held, in order; what the storage refuses is offered again the next time."""
        while self._held:
            try:
                self.storage.store(self._held[0])
            except Exception:  # noqa: BLE001  a full disk, Kafka away, an application's own storage
                self.storage_errors += 1
                _tell(self.storage_errors, "the storage failed; items are held and offered again")
                break
            self._held.popleft()
        while len(self._held) > 1 and self.held > MAX_HELD:
            first = self._held.popleft()
            self.dropped += len(first.events) + len(first.metrics)

    def settle(self) -> None:
        """Lets a storage that works in the background finish."""
        if self._held:
            log.error("%d items are not stored: the storage does not take them", self.held)
        try:
            getattr(self.storage, "flush", int)()
        except Exception:  # noqa: BLE001  as above
            self.storage_errors += 1
            _tell(self.storage_errors, "the storage failed to finish")

    def forget(self) -> None:
        """Drops what is held: it is another process's."""
        self._held.clear()


def _tell(count: int, what: str) -> None:
    if count == 1:
        log.warning(what, exc_info=True)  # noqa: LOG014  called in handlers only


class Delivery:
    """The queue between a collector's buffer and the outlets.

    Outlets run under one lock, so that the order of the queue is the order of delivery. A thread that does not get it
    in time leaves its items to the one that has it: that one may be in a consumer that waits for a lock of our caller.
    """

    def __init__(self, own: Outlet) -> None:
        self.own = own
        self.attached: tuple[Outlet, ...] = ()
        self._queue: deque[TelemetryData] = deque()
        self._owner: int | None = None
        self.renew()

    @property
    def outlets(self) -> tuple[Outlet, ...]:
        """Where items go now: the attached streams, or else the configured storage."""
        return self.attached or (self.own,)

    @property
    def pending(self) -> bool:
        """Whether anything is queued or held."""
        return bool(self._queue) or any(outlet.held for outlet in self.outlets)

    def put(self, data: TelemetryData) -> None:
        """Queues flushed items. Called under the collector's lock: that makes their order."""
        self._queue.append(data)

    def run(self, wait_s: float) -> None:
        """Delivers what is queued, waiting up to `wait_s` seconds for another thread that is delivering."""
        while True:
            if self._owner == threading.get_ident():
                return  # called from a consumer or a storage: the run around it goes on with the queue
            if not self._lock.acquire(timeout=wait_s):
                return
            self._owner = threading.get_ident()
            try:
                self._drain()
            finally:
                self._owner = None
                self._lock.release()
            if not self._queue:  # else another thread put items in and gave up waiting just before the release
                return

    def attach(self, outlet: Outlet) -> None:
        """Items flushed from now on go to this outlet."""
        if outlet not in self.attached:
            self.attached = (*self.attached, outlet)

    def detach(self, outlet: Outlet, wait_s: float) -> None:
        """Delivers what is queued, then leaves this outlet out: when this returns, it is given nothing more."""
        inside = self._owner == threading.get_ident()
        got = not inside and self._lock.acquire(timeout=wait_s)
        if got:
            self._owner = threading.get_ident()
        try:
            if got:
                self._drain()
            self.attached = tuple(each for each in self.attached if each is not outlet)
        finally:
            if got:
                self._owner = None
                self._lock.release()
        self.run(wait_s)  # what a consumer collected meanwhile

    def renew(self) -> None:
        """After a fork: what is queued is the parent's."""
        self._lock = threading.Lock()
        self._owner = None
        self._queue.clear()
        for outlet in {self.own, *self.attached}:
            outlet.forget()

    def _drain(self) -> None:
        while self._queue:
            data = self._queue.popleft()
            outlets = self.outlets
            for outlet in outlets:
                outlet.hold(data)
            for outlet in outlets:
                outlet.consume(data)
        for outlet in {*self.outlets, self.own}:
            outlet.store()
