"""Table of the records that librdkafka holds, and what their delivery reports mean.

An error about a record itself makes every record of its batch suspect, because a batch fails as a whole. A suspect is
sent alone, and rejected if it fails again.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple

from confluent_kafka import KafkaError, KafkaException

from producers.publishing.rejects import RejectFile
from producers.publishing.spool import DroppedRange, OutgoingRecord, RecordId, SpoolChanges
from runtime.kafka import KafkaPublisher

PURGED_CODES: Final = (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)  # noqa: SLF001  public in librdkafka
PERMANENT_CODES: Final = (
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.RECORD_LIST_TOO_LARGE,
    KafkaError.INVALID_RECORD,
    KafkaError.INVALID_MSG,
    KafkaError.INVALID_TIMESTAMP,
    KafkaError.POLICY_VIOLATION,
)
"""Errors about a record itself, which no retry cures."""


class StateRecord(NamedTuple):
    """A status or heartbeat: not spooled, since a later one replaces it."""

    topic: str
    key: bytes
    value: bytes
    sent_s: float
    """When librdkafka got it, in monotonic seconds."""


@dataclass(slots=True, eq=False)
class PendingRecord:
    """A record between `Outbox.send` and its confirmation."""

    record: OutgoingRecord
    since_s: float
    """When it was sent (to librdkafka, if that holds it), in monotonic seconds."""
    number: int | None = None
    """Its number in the spool. None: it is not spooled."""
    is_safe: bool = False
    """True if it is confirmed, on disk or dropped: nobody has to wait for it."""
    is_finished: bool = False
    """True if it is delivered or rejected."""


class InFlightTable:
    """Sends records through librdkafka and tracks them until their delivery report.

    All methods but `poll`, `recall` and `purge` expect that the caller holds the lock.
    """

    def __init__(
        self,
        publisher: KafkaPublisher,
        rejects: RejectFile,
        changes: SpoolChanges,
        *,
        lock: threading.RLock,
        on_delivered: Callable[[OutgoingRecord], None],
        on_dropped: Callable[[DroppedRange], None],
    ) -> None:
        """Starts empty.

        Args:
            publisher: The client.
            rejects: File of rejected records.
            changes: Collects finished records of the spool, and drops.
            lock: Guards the table; delivery reports take it.
            on_delivered: Called with the lock held.
            on_dropped: Called with the lock held.
        """
        self._publisher, self._rejects, self._changes = publisher, rejects, changes
        self._lock = lock
        self._on_delivered, self._on_dropped = on_delivered, on_dropped
        self._tickets = itertools.count()
        self._records: dict[int, PendingRecord] = {}
        """Records that librdkafka holds, in order."""
        self._spooled_count = 0
        """How many of them are also on disk."""
        self._states: dict[int, StateRecord] = {}
        """State records that librdkafka holds, in order."""
        self._waiting_states: dict[tuple[str, bytes], bytes] = {}
        """Topic and key → newest state record that waits for Kafka."""
        self._suspects: set[RecordId] = set()
        """Records of failed batches; at least one of them is rejected by Kafka."""
        self.error: KafkaError | None = None
        """The error that ended librdkafka's client; `recall` replaces the client."""
        self.has_succeeded = True
        """True if a record was delivered since the spooler last replaced the client; it resets this."""

    def __len__(self) -> int:
        return len(self._records)

    @property
    def unspooled_count(self) -> int:
        """Number of records that are not on disk."""
        return len(self._records) - self._spooled_count

    @property
    def has_suspects(self) -> bool:
        """True while records of a failed batch have to be sent one by one."""
        return bool(self._suspects)

    @property
    def has_waiting_states(self) -> bool:
        """True if state records wait for Kafka."""
        return bool(self._waiting_states)

    @property
    def has_states(self) -> bool:
        """True if state records wait for Kafka or for confirmation."""
        return bool(self._waiting_states or self._states)

    def unspooled(self) -> Iterator[PendingRecord]:
        """Iterates over the records that are not on disk, in order."""
        return (pending for pending in self._records.values() if pending.number is None)

    def is_suspect(self, record: OutgoingRecord) -> bool:
        """True if the record has to be sent alone."""
        return record.id in self._suspects

    def is_stalled(self, timeout_s: float) -> bool:
        """True if the oldest record has been unconfirmed for longer than `timeout_s`."""
        oldest_s = [pending.since_s for pending in itertools.islice(self._records.values(), 1)]
        oldest_s += [state.sent_s for state in itertools.islice(self._states.values(), 1)]
        return bool(oldest_s) and time.monotonic() - min(oldest_s) > timeout_s

    def poll(self, timeout_s: float = 0) -> None:
        """Handles delivery reports, waiting up to `timeout_s` for one. Call without the lock."""
        self._publisher.poll(timeout_s)

    def purge(self) -> None:
        """Discards what librdkafka holds."""
        self._publisher.purge()

    def send(self, pending: PendingRecord) -> bool:
        """Passes one record to librdkafka; returns False if it accepts none now, or rejects it."""
        record, ticket = pending.record, next(self._tickets)
        try:
            self._publisher.send(
                record.topic, record.key, record.value, lambda error: self._handle_report(ticket, error)
            )
        except BufferError:
            return False
        except KafkaException as error:  # the client has ended, or does not accept this record
            if self._is_rejected(pending, error.args[0]):
                self._finish(pending)
            return False
        self._records[ticket] = pending
        self._spooled_count += pending.number is not None
        return True

    def mark_spooled(self, pending: PendingRecord) -> None:
        """Records that a record which librdkafka already holds has been written to the spool."""
        assert pending.number is not None
        if pending.is_finished:  # while it was being written
            self._changes.finished.append(pending.number)
        else:
            self._spooled_count += 1

    def send_state(self, topic: str, key: bytes, value: bytes, *, hold: bool) -> None:
        """Sends a state record, or keeps the newest of its key for later.

        It is kept if `hold` is set or librdkafka accepts none.
        """
        must_wait = hold or self.error is not None or (topic, key) in self._waiting_states
        if must_wait or not self._try_send_state(StateRecord(topic, key, value, time.monotonic())):
            self._waiting_states[topic, key] = value

    def send_waiting_states(self) -> None:
        """Sends the state records that wait, as far as librdkafka accepts them."""
        for (topic, key), value in list(self._waiting_states.items()):
            if not self._try_send_state(StateRecord(topic, key, value, time.monotonic())):
                break
            del self._waiting_states[topic, key]

    def recall(self) -> list[PendingRecord]:
        """Replaces librdkafka's client after an error. Call without the lock.

        Returns:
            The unconfirmed records, in order. State records are kept for the new client.
        """
        self._publisher.recreate()
        with self._lock:
            records, self._records = list(self._records.values()), {}
            self._spooled_count = 0
            for state in self._states.values():
                self._waiting_states.setdefault((state.topic, state.key), state.value)
            self._states.clear()
            return records

    def _try_send_state(self, state: StateRecord) -> bool:
        ticket = next(self._tickets)
        try:
            self._publisher.send(
                state.topic, state.key, state.value, lambda error: self._handle_state_report(ticket, error)
            )
        except (BufferError, KafkaException):
            return False
        self._states[ticket] = state
        return True

    def _handle_report(self, ticket: int, error: KafkaError | None) -> None:
        with self._lock:
            pending = self._records.get(ticket)
            if pending is None or (error is not None and error.code() in PURGED_CODES):
                return  # from a client that was replaced: `recall` has returned its records
            if error is not None and not self._is_rejected(pending, error):
                return
            del self._records[ticket]
            self._spooled_count -= pending.number is not None
            self._finish(pending)
            if error is None:
                self.has_succeeded = True
                self._on_delivered(pending.record)

    def _handle_state_report(self, ticket: int, error: KafkaError | None) -> None:
        with self._lock:
            if ticket in self._states and error is None:
                del self._states[ticket]
            elif error is not None and error.code() not in PURGED_CODES:
                self.error = self.error or error

    def _finish(self, pending: PendingRecord) -> None:
        pending.is_finished = pending.is_safe = True
        self._suspects.discard(pending.record.id)
        if pending.number is not None:
            self._changes.finished.append(pending.number)

    def _is_rejected(self, pending: PendingRecord, error: KafkaError) -> bool:
        """Handles a failed delivery; returns True if the record is rejected.

        It is if it was sent alone and no retry helps.
        """
        if error.code() not in PERMANENT_CODES:
            self.error = self.error or error
            return False
        record = pending.record
        if self.is_suspect(record) and all(other is pending for other in self._records.values()):
            self._rejects.add(record, error.str())
            drop = DroppedRange.of_record(record, error.str())
            self._changes.dropped.append(drop)
            self._on_dropped(drop)
            return True
        self._suspects.add(record.id)
        self.error = self.error or error
        return False
