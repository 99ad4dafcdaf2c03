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

import itertools
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import structlog
from confluent_kafka import KafkaError, KafkaException

from producers.rejects import Rejects
from producers.spool import Drop, Row, Spool, merged
from runtime.kafka import Publisher

log = structlog.get_logger()
HOLD_S: Final = 1.0
"""A record not confirmed for this long goes on disk."""
WAIT_S: Final = 0.5
"""The longest that a record's hand-over waits for the disk."""
WINDOW: Final = 1000
"""Records of the spool that librdkafka has at once,"""
WINDOW_BYTES: Final = 16 * 1024 * 1024
"""and their bytes."""
CHUNK: Final = 1000
"""Records that one transaction writes."""
MEMORY_BYTES: Final = 64 * 1024 * 1024
"""What may be kept in memory when the disk takes nothing."""
BACKOFF_S: Final = (1.0, 30.0)
"""After an error the next attempt waits this long, twice as long each time, at most the second."""
BUSY_S, IDLE_S = 0.02, 0.25
"""How often the thread looks: while it hands records over, and else."""
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


class Outbox:
    """The way of one producer's records to Kafka. Thread-safe; a caller may hold `lock`."""

    def __init__(
        self,
        publisher: Publisher,
        spool: Spool,
        rejects: Rejects,
        *,
        confirmed: Callable[[Row], None],
        dropped: Callable[[Drop], None],
        saved: Callable[[Sequence[Row]], None],
        ready: bool = True,
    ) -> None:
        """`confirmed` and `dropped` are called with the lock held; `saved`, for rows new on disk, without it.

        `ready`: Kafka has what must be there before the first record.
        """
        self.lock = threading.RLock()
        self._publisher, self._spool, self._rejects = publisher, spool, rejects
        self._confirmed, self._dropped, self._saved = confirmed, dropped, saved
        self._on_disk = threading.Condition(self.lock)
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._threadless = False
        """No thread can be started any more: the interpreter exits."""
        self._tickets = itertools.count()
        self._sent: dict[int, Entry] = {}
        """What librdkafka has, in its order;"""
        self._sent_states: dict[int, State] = {}
        """state records likewise."""
        self._sent_rows = 0
        """How many of `_sent` are on disk, too."""
        self._tail: deque[Entry] = deque()
        """What neither librdkafka nor the disk has,"""
        self._tail_bytes = 0
        """its bytes,"""
        self._writing = 0
        """and how many beside these are being written."""
        self._states: dict[tuple[str, bytes], bytes] = {}
        """The newest of each, to be sent when Kafka is there."""
        self._cursor = 0
        """Rows up to this one have been handed to librdkafka."""
        self._unsent = spool.records
        """How many are beyond it."""
        self._gone: list[int] = []
        """Rows that are confirmed and still on disk,"""
        self._noted: list[Drop] = []
        """drops that the disk does not know of yet,"""
        self._named: list[Drop] = []
        """and drops that it may forget."""
        self._suspects: set[Identity] = set()
        """Records of which one, at least, is refused by Kafka."""
        self._error: KafkaError | None = None
        """What ended librdkafka's client."""
        self._retry_s = self._backoff_s = self._look_s = 0.0
        self._ready, self._away, self._closing = ready, False, False
        self._disk_error: str | None = None
        """Why the disk takes nothing; None: it does, as far as is known."""
        self._disk_slow = False
        if self._unsent:
            log.info("records of an earlier run wait on disk", count=self._unsent, file=str(spool.path))
            self._tend()

    @property
    def outstanding(self) -> int:
        """Records handed over and not confirmed."""
        with self.lock:
            return self.unsaved + max(self._spool.records - len(self._gone), 0)

    @property
    def unsaved(self) -> int:
        """Those of them that a kill would lose: neither confirmed nor on disk."""
        with self.lock:
            return len(self._sent) - self._sent_rows + len(self._tail) + self._writing

    @property
    def spooled(self) -> tuple[int, int, float | None]:
        """Records on disk, their bytes, and when the oldest was handed over: Unix time."""
        return self._spool.records, self._spool.bytes, self._spool.oldest_at

    @property
    def rejected(self) -> int:
        """Records that Kafka refuses."""
        return self._rejects.count

    @property
    def straight(self) -> bool:
        """Whether the next record goes to librdkafka at once. Holds for as long as the caller has the lock."""
        waits = self._tail or self._writing or self._unsent or self._suspects
        return self._ready and not (waits or self._away or self._error)

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

    def poll(self, timeout_s: float = 0) -> None:
        """Serves delivery reports, and sees whether Kafka is away. Does not wait for the disk."""
        self._publisher.poll(timeout_s)
        with self.lock:
            self._look_s = time.monotonic() + IDLE_S
            since_s = [each.since_s for each in itertools.islice(self._sent.values(), 1)]
            since_s += [each[3] for each in itertools.islice(self._sent_states.values(), 1)]
            away = bool(since_s) and time.monotonic() - min(since_s) > HOLD_S
            if away and not self._away:
                log.warning("Kafka does not take records: they are kept on disk", file=str(self._spool.path))
            elif self._away and not away:
                log.info("Kafka takes records again", waiting=self.outstanding)
            self._away = away
            if away or self._error is not None:
                self._start()
            elif self._states and self._ready:
                for (topic, key), value in list(self._states.items()):
                    if not self._tell((topic, key, value, time.monotonic())):
                        break
                    del self._states[topic, key]
        if self._threadless:
            self._pass()

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
            thread.join(WAIT_S)
            if thread.is_alive():  # the disk hangs: the file ends with the process
                return self.unsaved
        self._publisher.purge()
        while self._write(everything=True):
            pass
        if not self._spool.records:
            self._spool.shrink()
        self._spool.close()
        return self.unsaved

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
            self._give_up([_drop(entry.row, error.str())])
            return True
        self._suspects.add(identity)
        self._error = self._error or error
        return False

    def _give_up(self, drops: Iterable[Drop]) -> None:
        for drop in drops:
            self._noted.append(drop)
            self._dropped(drop)

    def _bound(self) -> None:
        """Drops the oldest of what only memory holds, if that is too much."""
        drops = []
        while self._tail_bytes > MEMORY_BYTES:
            entry = self._tail.popleft()
            self._tail_bytes -= entry.row.size
            entry.settled = True
            drops.append(_drop(entry.row, self._disk_error or "the spool's disk is too slow"))
        self._give_up(merged(drops))

    def _tend(self) -> None:
        """Has the thread look at once. Called with the lock held."""
        self._wake.set()
        self._start()

    def _start(self) -> None:
        if self._thread is not None or self._threadless or self._closing:
            return
        thread = threading.Thread(target=self._run, name="outbox", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._threadless = True
        else:
            self._thread = thread

    def _run(self) -> None:
        while True:
            self._wake.clear()
            self.poll()
            busy = self._pass()
            with self.lock:
                waits = self._gone or self._noted or self._named or self._spool.records
                if self._closing or (self.straight and not waits):
                    self._thread = None
                    return
            self._wake.wait(BUSY_S if busy else IDLE_S)

    def _pass(self) -> bool:
        """One round of the thread; whether the next should come soon."""
        if self._error is not None:
            self._restart()
        before = self._spool.records
        wrote = self._write()
        self._trim()
        if before and not self._spool.records:
            self._spool.shrink()
        return self._drain() or wrote

    def _write(self, *, everything: bool = False) -> bool:
        """Brings the disk up to date, CHUNK records at a time; whether there was something to do, and it is done."""
        with self.lock:
            held: list[Entry] = []
            if (self._tail or self._away or everything) and len(self._sent) > self._sent_rows:
                bare = (each for each in self._sent.values() if each.number is None)
                held = list(itertools.islice(bare, CHUNK))
            fresh = [self._tail.popleft() for _ in range(min(CHUNK - len(held), len(self._tail)))]
            size = sum(each.row.size for each in fresh)
            self._tail_bytes -= size
            self._writing = len(fresh)
            gone, self._gone = self._gone, []
            noted, self._noted = self._noted, []
            named, self._named = self._named, []
        entries = held + fresh
        if not (entries or gone or noted or named):
            return False
        rows = [each.row for each in entries]
        try:
            numbers = self._spool.write(rows, gone=gone, noted=noted, named=named)
        except sqlite3.Error as error:
            with self.lock:
                if self._disk_error is None:
                    log.error("spool not written: records wait in memory", why=str(error), file=str(self._spool.path))  # noqa: TRY400  says all
                self._disk_error = f"the spool's disk: {error}"
                self._writing = 0
                self._tail.extendleft(reversed(fresh))
                self._tail_bytes += size
                self._gone[:0], self._noted[:0], self._named[:0] = gone, noted, named
                self._bound()
                self._on_disk.notify_all()
            return False
        self._saved(rows[len(held) :])
        with self.lock:
            self._disk_error, self._disk_slow, self._writing = None, False, 0
            self._unsent += len(fresh)
            for entry, number in zip(entries, numbers, strict=True):
                entry.number, entry.settled = number, True
            for entry in held:
                self._cursor = max(self._cursor, entry.number or 0)
                if entry.done:  # while it was being written
                    self._gone.append(entry.number or 0)
                else:
                    self._sent_rows += 1
            self._on_disk.notify_all()
        return True

    def _trim(self) -> None:
        try:
            drops = self._spool.trim(time.time(), beyond=self._cursor)
        except sqlite3.Error as error:
            log.debug("spool not trimmed", why=str(error))
            return
        if drops:
            with self.lock:
                self._unsent -= sum(each.count for each in drops)
                for each in drops:
                    self._dropped(each)

    def _drain(self) -> bool:
        """Hands the head of what waits to librdkafka; whether more is to come."""
        with self.lock:
            room = WINDOW - len(self._sent)
            blocked = self._error or self._closing or (self._suspects and self._sent)
            if blocked or not self._ready or room <= 0 or time.monotonic() < self._retry_s:
                return bool(self._sent) and not self._away
            if not self._unsent:
                return self._drain_memory(room)
        try:
            rows = self._spool.after(self._cursor, most=room, most_bytes=WINDOW_BYTES)
        except sqlite3.Error as error:
            log.error("spool not read", why=str(error), file=str(self._spool.path))  # noqa: TRY400  says all
            return False
        with self.lock:
            gone = set(self._gone)
            for number, row in rows:
                if number not in gone:  # else confirmed, but not deleted for want of room on the disk
                    suspect = row[1:5] in self._suspects
                    if suspect and self._sent:
                        break
                    entry = Entry(row, time.monotonic(), number, settled=True)
                    if not self._hand(entry) and not entry.done:
                        break
                    self._unsent -= 1
                    if suspect:
                        self._cursor = number
                        break
                self._cursor = number
        return True

    def _drain_memory(self, room: int) -> bool:
        """The same where the disk takes nothing: what memory holds is next."""
        for _ in range(min(room, len(self._tail))):
            entry = self._tail[0]
            entry.since_s = time.monotonic()
            if not self._hand(entry) and not entry.done:
                break
            entry.settled = True
            self._tail.popleft()
            self._tail_bytes -= entry.row.size
        return bool(self._tail)

    def _restart(self) -> None:
        """Ends librdkafka's client after an error. What it had is at the head again."""
        log.warning(
            "Kafka refused a record: what is not confirmed is sent again", why=self._error and self._error.str()
        )
        self._publisher.renew()
        with self.lock:
            left, self._sent = list(self._sent.values()), {}
            fresh = [each for each in left if each.number is None]
            self._tail.extendleft(reversed(fresh))
            self._tail_bytes += sum(each.row.size for each in fresh)
            # Those on disk were handed over before those that are not, and are its oldest rows.
            numbers = [each.number for each in left if each.number is not None]
            self._cursor = min(numbers, default=self._cursor + 1) - 1
            self._unsent += len(numbers)
            self._sent_rows = 0
            for topic, key, value, _ in self._sent_states.values():
                self._states.setdefault((topic, key), value)
            self._sent_states.clear()
            self._error, self._away = None, False
            self._backoff_s = min(max(2 * self._backoff_s, BACKOFF_S[0]), BACKOFF_S[1])
            self._retry_s = time.monotonic() + self._backoff_s


def _drop(row: Row, cause: str) -> Drop:
    return Drop(row.host, row.category, row.epoch, row.sequence, row.sequence, cause)
