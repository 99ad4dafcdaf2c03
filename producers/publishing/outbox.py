"""Outbox of a producer: sends records to Kafka in order, directly or via the spool.

- A record that is not confirmed within STALLED_AFTER_S is also written to disk. librdkafka keeps it and goes on trying,
  so that a broker that was only slow, or comes back, gets nothing twice. The delivery report deletes it from disk.
- While anything waits, on disk or on its way there, new records queue behind it. Of the spool, librdkafka gets the
  oldest records in order, WINDOW at most.
- An error that librdkafka reports for a record ends its client: unconfirmed records are passed to a new one from the
  head of the spool. If the error is about the record itself, that record is first sent alone, since a batch fails as a
  whole; if it fails again, it goes to the reject file.
- The caller waits until a record is on disk, but no longer than SAVE_TIMEOUT_S, and not at all while the disk is known
  to be full or slow. Records that the disk does not accept stay in memory; beyond a limit the oldest are dropped.
- Status records and heartbeats are not spooled. Only the newest matters: while Kafka is unavailable, it replaces the
  previous one.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final, NamedTuple

from producers.publishing.in_flight import InFlightTable, PendingRecord
from producers.publishing.rejects import RejectFile
from producers.publishing.spool import DroppedRange, OutgoingRecord, Spool, SpoolChanges
from producers.publishing.spooler import Spooler
from runtime.kafka import KafkaPublisher

REJECTS_SUFFIX: Final = ".rejected.jsonl"
"""Suffix of the reject file, beside the spool."""


class SpoolUsage(NamedTuple):
    """Size of the spool."""

    records: int
    bytes: int
    oldest_at: float | None
    """Unix time at which the oldest record was published."""


class Outbox:
    """Sends the records of one producer.

    Thread-safe. Callers may hold `lock`, except where a method's docstring forbids it.
    """

    def __init__(
        self,
        publisher: KafkaPublisher,
        spool: Spool,
        *,
        on_delivered: Callable[[OutgoingRecord], None],
        on_dropped: Callable[[DroppedRange], None],
        on_saved: Callable[[Sequence[OutgoingRecord]], None],
        ready: bool = True,
    ) -> None:
        """Starts sending what the spool holds of an earlier run.

        Args:
            publisher: The client.
            spool: The spool file.
            on_delivered: Called with the lock held.
            on_dropped: Called with the lock held.
            on_saved: Called without the lock, for records new on disk.
            ready: True if topics and schemas are on Kafka; otherwise nothing is sent before `set_ready`.
        """
        self.lock = threading.RLock()
        self._spool = spool
        self._changes = SpoolChanges()
        self._rejects = RejectFile(spool.path.with_suffix(REJECTS_SUFFIX))
        self._in_flight = InFlightTable(
            publisher,
            self._rejects,
            self._changes,
            lock=self.lock,
            on_delivered=on_delivered,
            on_dropped=on_dropped,
        )
        self._spooler = Spooler(
            spool,
            self._in_flight,
            self._changes,
            lock=self.lock,
            on_saved=on_saved,
            on_dropped=on_dropped,
            ready=ready,
        )

    @property
    def spool_usage(self) -> SpoolUsage:
        """Size of the spool."""
        return SpoolUsage(self._spool.records, self._spool.bytes, self._spool.oldest_at)

    @property
    def rejected(self) -> int:
        """Number of records that Kafka rejected."""
        return self._rejects.count

    @property
    def outstanding(self) -> int:
        """Number of records sent and not confirmed."""
        return self._spooler.outstanding

    @property
    def unsaved(self) -> int:
        """Number of those that a kill would lose: neither confirmed nor on disk."""
        return self._spooler.unsaved

    @property
    def has_states(self) -> bool:
        """True if state records wait for Kafka or for confirmation."""
        return self._in_flight.has_states

    @property
    def is_stalled(self) -> bool:
        """True if Kafka does not confirm records."""
        return self._spooler.is_stalled

    @property
    def accepts_directly(self) -> bool:
        """True if the next record goes straight to librdkafka; valid while `lock` is held."""
        return self._spooler.accepts_directly

    def set_ready(self) -> None:
        """Starts sending to Kafka: topics and schemas are there."""
        self._spooler.set_ready()

    def send(self, record: OutgoingRecord) -> PendingRecord:
        """Accepts one record. Call `wait_until_safe` with the result, without the lock."""
        with self.lock:
            pending = PendingRecord(record, time.monotonic())
            if self._spooler.accepts_directly and self._in_flight.send(pending):
                pending.is_safe = True
            else:
                self._spooler.add(pending)
            return pending

    def wait_until_safe(self, pending: PendingRecord) -> None:
        """Waits until a record that could not be sent is on disk, for SAVE_TIMEOUT_S at most."""
        self._spooler.wait_until_safe(pending)

    def send_state(self, topic: str, key: bytes, value: bytes) -> None:
        """Accepts a state record; while Kafka is unavailable, only the newest of each key is kept."""
        with self.lock:
            self._in_flight.send_state(topic, key, value, hold=self._spooler.holds_states)

    def store_drop(self, drop: DroppedRange) -> None:
        """Stores a drop on disk until `delete_drops`."""
        with self.lock:
            self._changes.dropped.append(drop)
            self._spooler.wake()

    def delete_drops(self, drops: Iterable[DroppedRange]) -> None:
        """Deletes drops from disk: a delivered record has reported them."""
        with self.lock:
            self._changes.reported.extend(drops)
            self._spooler.wake()

    def serve(self) -> None:
        """Handles delivery reports. Cheap enough for every record."""
        self._spooler.serve()

    def poll(self) -> None:
        """Handles delivery reports and detects outages of Kafka."""
        self._spooler.poll()

    def close(self, timeout_s: float) -> int:
        """Waits for Kafka, then for the disk. Returns the number of records that neither accepted."""
        self._spooler.drain(timeout_s)
        return self._spooler.close()
