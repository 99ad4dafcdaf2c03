"""Hands records to Kafka in their order: straight while it takes them, else by way of the spool.

- A record that is not confirmed for HOLD_S goes on disk as it is; librdkafka still has it and goes on trying, so that a
  broker that was only slow, or comes back, gets nothing twice. The delivery report deletes it.
- While anything waits, on disk or on its way there, new records join its tail; of the spool the oldest are handed to
  librdkafka, WINDOW at most, in order.
- An error that librdkafka reports for a record ends its client: what is not confirmed is handed to a new one from the
  spool's head on. Where an error is about the record itself it is first tried alone, for a batch fails as a whole; if
  it fails again it goes to the file of rejects.
- Whoever hands over waits until the disk has the record, but no longer than WAIT_S, and not at all while the disk is
  known to be full or slow. What the disk does not take is kept in memory, and the oldest of that is dropped.
- Status records and heartbeats are not spooled. Only the newest says anything: while Kafka is away, it replaces the
  one before.

No disk is touched while the lock is held: a thread does that, which lives while anything waits.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Final

import structlog

from producers.publishing.in_flight import Entry
from producers.publishing.spool import Drop, Row
from producers.publishing.spooler import BUSY_S, Backlog

log = structlog.get_logger()
WAIT_S: Final = 0.5
"""The longest that a record's hand-over waits for the disk."""


JOIN_S: Final = 5.0
"""The longest that an end waits for a disk that hangs."""


class Outbox(Backlog):
    """The way of one producer's records to Kafka. Thread-safe; a caller may hold `lock`."""

    @property
    def spooled(self) -> tuple[int, int, float | None]:
        """Records on disk, their bytes, and when the oldest was handed over: Unix time."""
        return self._spool.records, self._spool.bytes, self._spool.oldest_at

    @property
    def rejected(self) -> int:
        """Records that Kafka refuses."""
        return self._rejects.count

    def send(self, row: Row) -> Entry:
        """Takes one record over. After that `settle` is to be called, without the lock."""
        with self.lock:
            entry = Entry(row, time.monotonic())
            if self.straight and self._hand(entry):
                entry.settled = True
            else:
                self._tail.append(entry)
                self._tail_bytes += row.size
                self._bound()
                self._tend()
            return entry

    def settle(self, entry: Entry) -> None:
        """Waits until a record that could not be sent is on disk, for WAIT_S at most."""
        if entry.settled:
            return
        with self.lock:
            if self._disk_error is None and not (self._disk_slow or self._threadless or self._closing):
                self._disk_slow = not self._on_disk.wait_for(lambda: entry.settled or self._disk_error, WAIT_S)

    def state(self, topic: str, key: bytes, value: bytes) -> None:
        """Takes a state record over: while Kafka is away, only the newest of each key."""
        with self.lock:
            waits = not self._ready or self._away or self._error or (topic, key) in self._states
            if waits or not self._tell((topic, key, value, time.monotonic())):
                self._states[topic, key] = value

    def ready(self) -> None:
        """Kafka has what must be there before the first record."""
        with self.lock:
            self._ready = True
        self._wake.set()

    def note(self, drop: Drop) -> None:
        """Has the disk remember a drop until it is `named`."""
        with self.lock:
            self._noted.append(drop)
            self._tend()

    def named(self, drops: Iterable[Drop]) -> None:
        """Has it forget these: a delivered record names them."""
        with self.lock:
            self._named.extend(drops)
            self._tend()

    def serve(self) -> None:
        """Serves delivery reports; now and then, as `poll`. For each record."""
        if time.monotonic() < self._look_s:
            self._publisher.poll(0)
        else:
            self.poll()

    def close(self, timeout_s: float) -> int:
        """Waits for Kafka and for the disk; returns how many records neither took.

        Where Kafka is away and the disk has everything, there is nothing to wait for.
        """
        deadline_s = time.monotonic() + timeout_s
        while self.outstanding or self._sent_states or self._states:
            self.poll(BUSY_S)
            if time.monotonic() >= deadline_s or ((self._away or not self._ready) and not self.unsaved):
                break
        with self.lock:
            self._closing = True
            thread = self._thread
        self._wake.set()
        if thread is not None:
            thread.join(JOIN_S)
            if thread.is_alive():  # the disk hangs: the file ends with the process
                return self.unsaved
        self._publisher.purge()
        while self._write(everything=True):
            pass
        if not self._spool.records:
            self._spool.shrink()
        self._spool.close()
        return self.unsaved
