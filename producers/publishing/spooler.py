"""What waits for Kafka, on disk and in memory, and the thread that moves it on: never on a disk with the lock held."""

from __future__ import annotations

import itertools
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from producers.publishing.in_flight import Entry, Line, dropped
from producers.publishing.rejects import Rejects
from producers.publishing.spool import Drop, Row, Spool, merged
from runtime.kafka import Publisher

log = structlog.get_logger()
HOLD_S: Final = 1.0
"""A record not confirmed for this long goes on disk."""
REJECTED: Final = ".rejected.jsonl"
"""Ending of the file of rejects, beside the spool."""
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


class Backlog(Line):
    """The spool, what is on its way there, and what comes from there."""

    def __init__(
        self,
        publisher: Publisher,
        spool: Spool,
        *,
        confirmed: Callable[[Row], None],
        given_up: Callable[[Drop], None],
        saved: Callable[[Sequence[Row]], None],
        ready: bool = True,
    ) -> None:
        """`confirmed` and `given_up` are called with the lock held; `saved`, for rows new on disk, without it.

        `ready`: Kafka has what must be there before the first record.
        """
        super().__init__(publisher, Rejects(spool.path.with_suffix(REJECTED)), confirmed=confirmed, given_up=given_up)
        self._spool, self._saved = spool, saved
        self._on_disk = threading.Condition(self.lock)
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._threadless = False
        """No thread can be started any more: the interpreter exits."""
        self._tail: deque[Entry] = deque()
        """What neither librdkafka nor the disk has,"""
        self._tail_bytes = 0
        """its bytes,"""
        self._writing = 0
        """and how many beside these are being written."""
        self._cursor = 0
        """Rows up to this one have been handed to librdkafka."""
        self._unsent = spool.records
        """How many are beyond it."""
        self._named: list[Drop] = []
        """Drops that the disk may forget."""
        self._retry_s = self._look_s = 0.0
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
    def straight(self) -> bool:
        """Whether the next record goes to librdkafka at once. Holds for as long as the caller has the lock."""
        waits = self._tail or self._writing or self._unsent or self._suspects
        return self._ready and not (waits or self._away or self._error)

    def poll(self, timeout_s: float = 0) -> None:
        """Serves delivery reports, and sees whether Kafka is away. Does not wait for the disk."""
        self._publisher.poll(timeout_s)
        with self.lock:
            self._look_s = time.monotonic() + IDLE_S
            away = self._stalled(HOLD_S)
            if away and not self._away:
                log.warning("Kafka does not take records: they are kept on disk", file=str(self._spool.path))
            elif self._away and not away:
                log.info("Kafka takes records again", waiting=self.outstanding)
            self._away = away
            if away or self._error is not None:
                self._start()
            elif self._states and self._ready:
                self._tell_states()
        if self._threadless:
            self._pass()

    def _bound(self) -> None:
        """Drops the oldest of what only memory holds, if that is too much."""
        drops = []
        while self._tail_bytes > MEMORY_BYTES:
            entry = self._tail.popleft()
            self._tail_bytes -= entry.row.size
            entry.settled = True
            drops.append(dropped(entry.row, self._disk_error or "the spool's disk is too slow"))
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
                self._unsent -= sum(drop.count for drop in drops)
                for drop in drops:
                    self._dropped(drop)

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
        left = self._take_back()
        with self.lock:
            fresh = [each for each in left if each.number is None]
            self._tail.extendleft(reversed(fresh))
            self._tail_bytes += sum(each.row.size for each in fresh)
            # Those on disk were handed over before those that are not, and are its oldest rows.
            numbers = [each.number for each in left if each.number is not None]
            self._cursor = min(numbers, default=self._cursor + 1) - 1
            self._unsent += len(numbers)
            self._error, self._away = None, False
            self._backoff_s = min(max(2 * self._backoff_s, BACKOFF_S[0]), BACKOFF_S[1])
            self._retry_s = time.monotonic() + self._backoff_s
