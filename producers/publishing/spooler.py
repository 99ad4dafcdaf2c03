"""Spooler: moves waiting records from memory to disk and from there to librdkafka.

Its thread lives while anything waits. No disk is accessed while the lock is held.
"""

from __future__ import annotations

import itertools
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from producers.publishing.in_flight import InFlightTable, PendingRecord
from producers.publishing.spool import DroppedRange, OutgoingRecord, Spool, SpoolChanges, merge_ranges

log = structlog.get_logger()
STALLED_AFTER_S: Final = 1.0
"""Records unconfirmed for this long are written to disk."""
SAVE_TIMEOUT_S: Final = 0.5
"""The longest that `wait_until_safe` waits for the disk."""
THREAD_TIMEOUT_S: Final = 5.0
"""The longest that `close` waits for a disk that hangs."""
WINDOW: Final = 1000
"""Spooled records that librdkafka holds at once."""
WINDOW_BYTES: Final = 16 * 1024 * 1024
"""Size of these records."""
CHUNK: Final = 1000
"""Records per transaction."""
MEMORY_BYTES: Final = 64 * 1024 * 1024
"""Size of the records kept in memory while the disk accepts none."""
BACKOFF_S: Final = (1.0, 30.0)
"""First and longest delay after an error; each delay doubles the previous one."""
BUSY_INTERVAL_S: Final = 0.02
"""Interval between two passes of the thread while it moves records."""
IDLE_INTERVAL_S: Final = 0.25
"""Interval between two passes of the thread otherwise."""


class Spooler:
    """Queue of records that librdkafka does not hold yet, on disk and in memory. Thread-safe."""

    def __init__(  # noqa: PLR0913  wired by the outbox
        self,
        spool: Spool,
        in_flight: InFlightTable,
        changes: SpoolChanges,
        *,
        lock: threading.RLock,
        on_saved: Callable[[Sequence[OutgoingRecord]], None],
        on_dropped: Callable[[DroppedRange], None],
        ready: bool,
    ) -> None:
        """Starts the thread if the spool has records of an earlier run.

        Args:
            spool: The spool file; accessed by the thread only.
            in_flight: The records that librdkafka holds.
            changes: Changes for the next write of the spool.
            lock: Guards this object and the table.
            on_saved: Called without the lock, for records new on disk.
            on_dropped: Called with the lock held.
            ready: True if topics and schemas are known to be on Kafka.
        """
        self._spool, self._in_flight, self._changes = spool, in_flight, changes
        self._lock = lock
        self._on_saved, self._on_dropped = on_saved, on_dropped
        self._saved = threading.Condition(lock)
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._threads_unavailable = False
        """True if no thread can be started any more, because the interpreter exits."""
        self._queue: deque[PendingRecord] = deque()
        """Records that neither librdkafka nor the disk has."""
        self._queue_bytes = 0
        self._writing_count = 0
        """Number of further records that are being written to disk."""
        self._sent_until = 0
        """Spooled records up to this number have been passed to librdkafka."""
        self._unsent_count = spool.records
        """Number of spooled records after it."""
        self._retry_at_s = self._next_poll_s = 0.0
        self._backoff_s = 0.0
        self._is_ready, self._is_closing = ready, False
        self.is_stalled = False
        """True if Kafka does not confirm records."""
        self._disk_error: str | None = None
        """Why the disk accepts no records. None: it accepts them, as far as is known."""
        self._disk_is_slow = False
        if self._unsent_count:
            log.info("resuming with spooled records of an earlier run", count=self._unsent_count, file=str(spool.path))
            self.wake()

    @property
    def outstanding(self) -> int:
        """Number of records sent and not confirmed."""
        with self._lock:
            return self.unsaved + max(self._spool.records - len(self._changes.finished), 0)

    @property
    def unsaved(self) -> int:
        """Number of those that a kill would lose: neither confirmed nor on disk."""
        with self._lock:
            return self._in_flight.unspooled_count + len(self._queue) + self._writing_count

    @property
    def accepts_directly(self) -> bool:
        """True if the next record may go straight to librdkafka; valid while the lock is held."""
        has_waiting = self._queue or self._writing_count or self._unsent_count or self._in_flight.has_suspects
        return self._is_ready and not (has_waiting or self.is_stalled or self._in_flight.error)

    @property
    def holds_states(self) -> bool:
        """True if state records have to wait for Kafka."""
        return not self._is_ready or self.is_stalled

    def set_ready(self) -> None:
        """Starts sending to Kafka: topics and schemas are there."""
        with self._lock:
            self._is_ready = True
        self._wake.set()

    def add(self, pending: PendingRecord) -> None:
        """Queues a record. Call with the lock held."""
        self._queue.append(pending)
        self._queue_bytes += pending.record.size
        self._limit_memory()
        self.wake()

    def wait_until_safe(self, pending: PendingRecord) -> None:
        """Waits until a record is on disk, for SAVE_TIMEOUT_S at most. Call without the lock.

        Does not wait at all while the disk is known to be full or slow.
        """
        if pending.is_safe:
            return
        with self._lock:
            if self._disk_error is None and not (self._disk_is_slow or self._threads_unavailable or self._is_closing):
                is_saved = self._saved.wait_for(lambda: pending.is_safe or self._disk_error, SAVE_TIMEOUT_S)
                self._disk_is_slow = not is_saved

    def wake(self) -> None:
        """Makes the thread run a pass now. Call with the lock held."""
        self._wake.set()
        self._start_thread()

    def serve(self) -> None:
        """Handles delivery reports; calls `poll` when that is due. Cheap enough for every record."""
        if time.monotonic() < self._next_poll_s:
            self._in_flight.poll()
        else:
            self.poll()

    def poll(self, timeout_s: float = 0) -> None:
        """Handles delivery reports and detects outages of Kafka. Does not wait for the disk."""
        self._in_flight.poll(timeout_s)
        with self._lock:
            self._next_poll_s = time.monotonic() + IDLE_INTERVAL_S
            is_stalled = self._in_flight.is_stalled(STALLED_AFTER_S)
            if is_stalled and not self.is_stalled:
                log.warning("Kafka does not accept records, spooling them to disk", file=str(self._spool.path))
            elif self.is_stalled and not is_stalled:
                log.info("Kafka accepts records again", waiting=self.outstanding)
            self.is_stalled = is_stalled
            if is_stalled or self._in_flight.error is not None:
                self._start_thread()
            elif self._in_flight.has_waiting_states and self._is_ready:
                self._in_flight.send_waiting_states()
        if self._threads_unavailable:
            self._run_pass()

    def drain(self, timeout_s: float) -> None:
        """Waits until Kafka has confirmed everything.

        Returns early if Kafka is unavailable and everything is on disk: there is nothing to wait for.
        """
        deadline_s = time.monotonic() + timeout_s
        while self.outstanding or self._in_flight.has_states:
            self.poll(BUSY_INTERVAL_S)
            if time.monotonic() >= deadline_s or (self.holds_states and not self.unsaved):
                break

    def close(self) -> int:
        """Stops the thread, writes what waits to disk and closes the spool.

        Returns the number of lost records.
        """
        with self._lock:
            self._is_closing = True
            thread = self._thread
        self._wake.set()
        if thread is not None:
            thread.join(THREAD_TIMEOUT_S)
            if thread.is_alive():  # the disk hangs: the file is closed when the process exits
                return self.unsaved
        self._in_flight.purge()
        while self._write(everything=True):
            pass
        if not self._spool.records:
            self._spool.shrink()
        self._spool.close()
        return self.unsaved

    def _start_thread(self) -> None:
        if self._thread is not None or self._threads_unavailable or self._is_closing:
            return
        thread = threading.Thread(target=self._run, name="spooler", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            self._threads_unavailable = True
        else:
            self._thread = thread

    def _run(self) -> None:
        while True:
            self._wake.clear()
            self.poll()
            is_busy = self._run_pass()
            with self._lock:
                if self._is_closing or (self.accepts_directly and not (self._changes or self._spool.records)):
                    self._thread = None
                    return
            self._wake.wait(BUSY_INTERVAL_S if is_busy else IDLE_INTERVAL_S)

    def _run_pass(self) -> bool:
        """Writes, trims and sends once. Returns True if the next pass should follow soon."""
        if self._in_flight.error is not None:
            self._recover()
        had_records = bool(self._spool.records)
        has_written = self._write()
        self._trim()
        if had_records and not self._spool.records:
            self._spool.shrink()
        return self._send_spooled() or has_written

    def _limit_memory(self) -> None:
        """Drops the oldest queued records beyond MEMORY_BYTES."""
        drops = []
        while self._queue_bytes > MEMORY_BYTES:
            pending = self._queue.popleft()
            self._queue_bytes -= pending.record.size
            pending.is_safe = True
            drops.append(DroppedRange.of_record(pending.record, self._disk_error or "the spool's disk is too slow"))
        for drop in merge_ranges(drops):
            self._changes.dropped.append(drop)
            self._on_dropped(drop)

    def _write(self, *, everything: bool = False) -> bool:
        """Writes queued records and changes to disk, CHUNK records at a time.

        Records that librdkafka holds are written as well once Kafka stalls, or anything is queued behind them.

        Returns:
            True if something was written.
        """
        with self._lock:
            held: list[PendingRecord] = []
            if (self._queue or self.is_stalled or everything) and self._in_flight.unspooled_count:
                held = list(itertools.islice(self._in_flight.unspooled(), CHUNK))
            queued = [self._queue.popleft() for _ in range(min(CHUNK - len(held), len(self._queue)))]
            size = sum(pending.record.size for pending in queued)
            self._queue_bytes -= size
            self._writing_count = len(queued)
            changes = self._changes.pop_all()
        pending_records = held + queued
        if not (pending_records or changes):
            return False
        records = [pending.record for pending in pending_records]
        try:
            numbers = self._spool.write(records, changes)
        except sqlite3.Error as error:
            with self._lock:
                if self._disk_error is None:
                    log.error(  # noqa: TRY400  no stack needed
                        "spool not written, records stay in memory", reason=str(error), file=str(self._spool.path)
                    )
                self._disk_error = f"the spool's disk: {error}"
                self._writing_count = 0
                self._queue.extendleft(reversed(queued))
                self._queue_bytes += size
                self._changes.restore(changes)
                self._limit_memory()
                self._saved.notify_all()
            return False
        self._on_saved(records[len(held) :])
        with self._lock:
            self._disk_error, self._disk_is_slow, self._writing_count = None, False, 0
            self._unsent_count += len(queued)
            for pending, number in zip(pending_records, numbers, strict=True):
                pending.number, pending.is_safe = number, True
            for pending, number in zip(held, numbers, strict=False):
                self._sent_until = max(self._sent_until, number)
                self._in_flight.mark_spooled(pending)
            self._saved.notify_all()
        return True

    def _trim(self) -> None:
        try:
            drops = self._spool.trim(time.time(), in_flight_until=self._sent_until)
        except sqlite3.Error as error:
            log.debug("spool not trimmed", reason=str(error))
            return
        if drops:
            with self._lock:
                self._unsent_count -= sum(drop.count for drop in drops)
                for drop in drops:
                    self._on_dropped(drop)

    def _send_spooled(self) -> bool:
        """Passes the oldest waiting records to librdkafka. Returns True if more are to follow."""
        in_flight = self._in_flight
        with self._lock:
            room = WINDOW - len(in_flight)
            is_blocked = in_flight.error or self._is_closing or (in_flight.has_suspects and len(in_flight))
            if is_blocked or not self._is_ready or room <= 0 or time.monotonic() < self._retry_at_s:
                return bool(len(in_flight)) and not self.is_stalled
            if not self._unsent_count:
                return self._send_queued(room)
        try:
            spooled = self._spool.read_after(self._sent_until, max_records=room, max_bytes=WINDOW_BYTES)
        except sqlite3.Error as error:
            log.error("spool not read", reason=str(error), file=str(self._spool.path))  # noqa: TRY400  no stack needed
            return False
        with self._lock:
            finished = set(self._changes.finished)
            for number, record in spooled:
                if number not in finished:  # otherwise delivered, but not deleted because the disk is full
                    is_suspect = in_flight.is_suspect(record)
                    if is_suspect and len(in_flight):
                        break
                    pending = PendingRecord(record, time.monotonic(), number, is_safe=True)
                    if not in_flight.send(pending) and not pending.is_finished:
                        break
                    self._unsent_count -= 1
                    if is_suspect:
                        self._sent_until = number
                        break
                self._sent_until = number
        return True

    def _send_queued(self, room: int) -> bool:
        """Passes the oldest records in memory to librdkafka, when the disk accepts none.

        Call with the lock held.
        """
        for _ in range(min(room, len(self._queue))):
            pending = self._queue[0]
            pending.since_s = time.monotonic()
            if not self._in_flight.send(pending) and not pending.is_finished:
                break
            pending.is_safe = True
            self._queue.popleft()
            self._queue_bytes -= pending.record.size
        return bool(self._queue)

    def _recover(self) -> None:
        """Replaces librdkafka's client after an error and queues its records again, in front."""
        error = self._in_flight.error
        log.warning("Kafka rejected a record, sending unconfirmed records again", reason=error and error.str())
        recalled = self._in_flight.recall()
        with self._lock:
            if self._in_flight.has_succeeded:  # also reports that came while the client was replaced
                self._backoff_s = 0.0
            self._in_flight.has_succeeded = False
            unspooled = [pending for pending in recalled if pending.number is None]
            self._queue.extendleft(reversed(unspooled))
            self._queue_bytes += sum(pending.record.size for pending in unspooled)
            # Spooled records were sent before the others and are the oldest on disk.
            numbers = [pending.number for pending in recalled if pending.number is not None]
            self._sent_until = min(numbers, default=self._sent_until + 1) - 1
            self._unsent_count += len(numbers)
            self._in_flight.error, self.is_stalled = None, False
            self._backoff_s = min(max(2 * self._backoff_s, BACKOFF_S[0]), BACKOFF_S[1])
            self._retry_at_s = time.monotonic() + self._backoff_s
