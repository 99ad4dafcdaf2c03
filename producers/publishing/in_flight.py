"""What librdkafka has of a producer's records, and what its delivery reports say. The lock is the outbox's.

An error that is about a record itself makes every record of its batch suspect, for a batch fails as a whole. A suspect
is sent alone, and given up if it fails again.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException

from producers.publishing.rejects import Rejects
from producers.publishing.spool import Drop, Row
from runtime.kafka import Publisher

PURGED: Final = (KafkaError._PURGE_QUEUE, KafkaError._PURGE_INFLIGHT)  # noqa: SLF001  librdkafka's names
OF_THE_RECORD: Final = (
    KafkaError.MSG_SIZE_TOO_LARGE,
    KafkaError.RECORD_LIST_TOO_LARGE,
    KafkaError.INVALID_RECORD,
    KafkaError.INVALID_MSG,
    KafkaError.INVALID_TIMESTAMP,
    KafkaError.POLICY_VIOLATION,
)
"""Errors that no retry cures."""
State = tuple[str, bytes, bytes, float]
"""Topic, key, value, and when librdkafka got it: monotonic seconds."""
Identity = tuple[Any, ...]
"""Host, category, epoch and sequence of a record."""


@dataclass(slots=True, eq=False)
class Entry:
    """One record between hand-over and confirmation."""

    row: Row
    since_s: float
    """When it was handed over, to librdkafka where that has it: monotonic seconds."""
    number: int | None = None
    """In the spool; None: it is not there."""
    settled: bool = False
    """It is confirmed, on disk or dropped: nobody has to wait for it."""
    done: bool = False
    """It is confirmed, or given up."""


def dropped(row: Row, cause: str) -> Drop:
    """One record given up."""
    return Drop(row.host, row.category, row.epoch, row.sequence, row.sequence, cause)


class Line:
    """Hands records to librdkafka, and remembers them until their report."""

    def __init__(
        self,
        publisher: Publisher,
        rejects: Rejects,
        *,
        confirmed: Callable[[Row], None],
        given_up: Callable[[Drop], None],
    ) -> None:
        """`confirmed` and `given_up` are called with the lock held."""
        self.lock = threading.RLock()
        self._publisher, self._rejects = publisher, rejects
        self._confirmed, self._dropped = confirmed, given_up
        self._tickets = itertools.count()
        self._sent: dict[int, Entry] = {}
        """What librdkafka has, in its order;"""
        self._sent_states: dict[int, State] = {}
        """state records likewise."""
        self._sent_rows = 0
        """How many of `_sent` are on disk, too."""
        self._states: dict[tuple[str, bytes], bytes] = {}
        """The newest of each, to be sent when Kafka is there."""
        self._gone: list[int] = []
        """Rows that are confirmed and still on disk,"""
        self._noted: list[Drop] = []
        """and drops that the disk does not know of yet."""
        self._suspects: set[Identity] = set()
        """Records of which one, at least, is refused by Kafka."""
        self._error: KafkaError | None = None
        """What ended librdkafka's client."""
        self._backoff_s = 0.0

    def _stalled(self, hold_s: float) -> bool:
        """Whether the oldest of what librdkafka has is older than that."""
        since_s = [each.since_s for each in itertools.islice(self._sent.values(), 1)]
        since_s += [each[3] for each in itertools.islice(self._sent_states.values(), 1)]
        return bool(since_s) and time.monotonic() - min(since_s) > hold_s

    def _take_back(self) -> list[Entry]:
        """Ends librdkafka's client after an error; returns what it had, in its order. States are to be sent again."""
        self._publisher.renew()
        with self.lock:
            left, self._sent = list(self._sent.values()), {}
            self._sent_rows = 0
            for topic, key, value, _ in self._sent_states.values():
                self._states.setdefault((topic, key), value)
            self._sent_states.clear()
            return left

    def _tell_states(self) -> None:
        for (topic, key), value in list(self._states.items()):
            if not self._tell((topic, key, value, time.monotonic())):
                break
            del self._states[topic, key]

    def _hand(self, entry: Entry) -> bool:
        """Gives one record to librdkafka; False: it takes none now."""
        row, ticket = entry.row, next(self._tickets)
        try:
            self._publisher.send(row.topic, row.key, row.value, lambda error: self._reported(ticket, error))
        except BufferError:
            return False
        except KafkaException as error:  # its client has ended, or does not take this one
            if self._failed(entry, error.args[0]):
                self._done(entry)
            return False
        self._sent[ticket] = entry
        self._sent_rows += entry.number is not None
        return True

    def _tell(self, state: State) -> bool:
        ticket = next(self._tickets)
        try:
            self._publisher.send(*state[:3], lambda error: self._told(ticket, error))
        except (BufferError, KafkaException):
            return False
        self._sent_states[ticket] = state
        return True

    def _reported(self, ticket: int, error: KafkaError | None) -> None:
        with self.lock:
            entry = self._sent.get(ticket)
            if entry is None or (error is not None and error.code() in PURGED):
                return  # of a client that was ended: `_restart` has what it had
            if error is not None and not self._failed(entry, error):
                return
            del self._sent[ticket]
            self._sent_rows -= entry.number is not None
            self._done(entry)
            if error is None:
                self._backoff_s = 0.0
                self._confirmed(entry.row)

    def _told(self, ticket: int, error: KafkaError | None) -> None:
        with self.lock:
            if ticket in self._sent_states and error is None:
                del self._sent_states[ticket]
            elif error is not None and error.code() not in PURGED:
                self._error = self._error or error

    def _done(self, entry: Entry) -> None:
        entry.done = entry.settled = True
        self._suspects.discard(entry.row[1:5])
        if entry.number is not None:
            self._gone.append(entry.number)

    def _failed(self, entry: Entry, error: KafkaError) -> bool:
        """A record is not delivered by this client; whether it is given up: it was alone, and no retry cures it."""
        if error.code() not in OF_THE_RECORD:
            self._error = self._error or error
            return False
        identity = entry.row[1:5]
        if identity in self._suspects and all(each is entry for each in self._sent.values()):
            self._rejects.add(entry.row, error.str())
            self._give_up([dropped(entry.row, error.str())])
            return True
        self._suspects.add(identity)
        self._error = self._error or error
        return False

    def _give_up(self, drops: Iterable[Drop]) -> None:
        for drop in drops:
            self._noted.append(drop)
            self._dropped(drop)
