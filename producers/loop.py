"""The loop all sources share: cadence with jitter, a bounded number of polls at once, back-off, status, heartbeat."""

from __future__ import annotations

import heapq
import itertools
import random
import threading
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from producers.publish import Publication
from producers.reader import PollFailed, Reader, Sample
from runtime import observe

log = structlog.get_logger()
HEARTBEAT_S: Final = 10.0
STATUS_S: Final = 600.0
"""A status that does not change is written again this often."""
BACKOFF_S: Final = 60.0
"""A target that fails is asked again after its interval, doubled at each failure up to this."""
DRAIN_S: Final = 10.0
WORSE: Final = ("up", "partial", "slow", "late", "auth_failed", "unreachable")
"""Statuses, each worse than the one before it."""


@dataclass
class Task:
    """One category of one target."""

    reader: Reader
    category: str
    failures: int = 0

    @property
    def interval_s(self) -> float:
        """Seconds between two polls."""
        return self.reader.intervals[self.category]

    def delay_s(self) -> float:
        """Seconds to the next poll; more after failures."""
        if not self.failures:
            return self.interval_s
        return max(self.interval_s, min(BACKOFF_S, self.interval_s * 2.0 ** min(self.failures - 1, 16)))


@dataclass
class Status:
    """How a target stands; written when it changes."""

    categories: dict[str, tuple[str, str]] = field(default_factory=dict)
    """Status and detail of each category; the target's is the worst of them."""
    status: str = "unknown"
    since: datetime = field(default_factory=lambda: datetime.now(UTC))
    written_s: float = -STATUS_S
    polls: int = 0
    failures: int = 0
    duration_s: float | None = None


class Loop:
    """Polls the readers of one source until it is stopped."""

    def __init__(
        self, publication: Publication, readers: Iterable[Reader], alias: str, *, source: str, workers: int = 32
    ) -> None:
        self._publication = publication
        self._readers = list(readers)
        self._alias = alias
        self._source = source
        self._workers = workers
        self._lock = threading.Lock()
        self._wake = threading.Condition()
        self._stopping = False
        self._due: list[tuple[float, int, Task]] = []
        self._count = itertools.count()
        self._status = {reader.host: Status() for reader in self._readers}
        self._beats = 0

    def stop(self) -> None:
        """Asks the loop to end; safe in a signal handler's thread."""
        with self._wake:
            self._stopping = True
            self._wake.notify()

    def run(self) -> None:
        """Polls until `stop`. Polls under way are waited for, then readers are closed and the queue is handed over."""
        now_s = time.monotonic()
        for reader in self._readers:
            for category, interval_s in reader.intervals.items():
                # The first polls are spread, so that a thousand BMCs are not asked in the same second.
                jitter_s = random.uniform(0, min(interval_s, 0.02 * len(self._readers)))  # noqa: S311
                self._plan(Task(reader, category), now_s + jitter_s)
        next_beat_s = now_s
        pool = ThreadPoolExecutor(self._workers, thread_name_prefix=self._source)
        observe.notify("READY=1")
        try:
            while not self._stopping:
                now_s = time.monotonic()
                if now_s >= next_beat_s:
                    self._beat()
                    next_beat_s += HEARTBEAT_S * max(1, int((now_s - next_beat_s) / HEARTBEAT_S) + 1)
                self._start_due(pool, now_s)
                self._publication.poll()
                with self._wake:
                    until_s = min(next_beat_s, self._due[0][0] if self._due else next_beat_s, now_s + 0.25)
                    if not self._stopping:
                        self._wake.wait(max(0.0, until_s - time.monotonic()))
        finally:
            pool.shutdown(wait=True, cancel_futures=True)
            for reader in self._readers:
                reader.close()
            self._publication.close(DRAIN_S)

    def _plan(self, task: Task, due_s: float) -> None:
        with self._wake:
            heapq.heappush(self._due, (due_s, next(self._count), task))
            self._wake.notify()

    def _start_due(self, pool: ThreadPoolExecutor, now_s: float) -> None:
        while True:
            with self._wake:
                if not self._due or self._due[0][0] > now_s:
                    return
                due_s, _, task = heapq.heappop(self._due)
            pool.submit(self._poll, task, due_s)

    def _poll(self, task: Task, due_s: float) -> None:
        """One poll; whatever happens, the next one is planned."""
        began_s = time.monotonic()
        if began_s - due_s > task.interval_s / 2:
            observe.LATE_POLLS.labels(self._source).inc()
        status, detail = "up", ""
        try:
            answer = task.reader.read(task.category, max(task.interval_s, 5.0))
            samples = [answer] if isinstance(answer, Sample) else answer
            lost = {place: None for sample in samples for place in sample.problems.whole}
            if lost:
                status, detail = "partial", "; ".join(f"{where}: {cause}" for where, cause in lost)
            for sample in samples:
                self._publication.publish(self._alias, task.reader, task.category, sample, began_s=began_s)
            task.failures = 0
        except PollFailed as error:
            task.failures += 1
            status, detail = error.status, str(error)
        except Exception as error:
            task.failures += 1
            status, detail = "unreachable", f"{type(error).__name__} while polling; a fault of ours, see the log"
            log.exception("poll broke", source=self._source, host=task.reader.host, category=task.category)
        ended_s = time.monotonic()
        if status in ("up", "partial") and ended_s - began_s > task.interval_s:
            status, detail = "slow", f"{task.category} took {ended_s - began_s:.1f} s, more than its interval"
        observe.POLLS.labels(self._source, status).inc()
        observe.POLL_SECONDS.labels(self._source).inc(ended_s - began_s)
        self._note(task, status, detail, ended_s - began_s)
        # On the grid of due times, so that the cadence does not drift; a poll that overran skips what it missed.
        next_s = due_s + task.delay_s()
        self._plan(task, next_s if next_s > ended_s else ended_s + task.delay_s() * 0.1)

    def _note(self, task: Task, status: str, detail: str, duration_s: float) -> None:
        """Counts a poll; writes the target's status if it changed or is due again."""
        with self._lock:
            known = self._status[task.reader.host]
            known.categories[task.category] = (status, detail)
            status, detail = max(known.categories.values(), key=lambda each: WORSE.index(each[0]))
            known.polls += 1
            known.failures += bool(task.failures)
            known.duration_s = duration_s
            changed = status != known.status
            if changed:
                known.status, known.since = status, datetime.now(UTC)
                tell = log.info if status in ("up", "partial") else log.warning
                tell("target", source=self._source, host=task.reader.host, status=status, detail=detail)
            if changed or time.monotonic() - known.written_s >= STATUS_S:
                known.written_s = time.monotonic()
                self._publication.state("state-targets", self._status_record(task.reader, known, detail))

    def _status_record(self, reader: Reader, known: Status, detail: str) -> dict[str, Any]:
        return {
            "source": self._source,
            "host": reader.host,
            "address": reader.address,
            "status": known.status,
            "detail": detail,
            "since": known.since,
            "observed_at": datetime.now(UTC),
            "producer": self._publication.producer,
            "epoch": self._publication.epoch,
            "polls": known.polls,
            "failures": known.failures,
            "duration_s": known.duration_s,
            "labels": dict(reader.labels),
        }

    def _beat(self) -> None:
        self._publication.state(
            "heartbeats",
            {
                "producer": self._publication.producer,
                "epoch": self._publication.epoch,
                "sequence": self._beats,
                "observed_at": datetime.now(UTC),
                "interval_s": HEARTBEAT_S,
                "source": self._source,
                "targets": len(self._readers),
                "records": self._publication.records,
                "dropped": self._publication.dropped,
                "polls": sum(each.polls for each in self._status.values()),
                "failures": sum(each.failures for each in self._status.values()),
                "queued": self._publication.queued,
            },
        )
        self._beats += 1
