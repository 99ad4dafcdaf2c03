"""The loop all sources share: starts polls when they are due, publishes what they give, says how targets stand.

One thread decides, workers poll. What they find comes back through the inbox, so nothing that decides needs a lock.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import Any, Final

import structlog

from producers.control.commands import Orders
from producers.polling import status, vendors
from producers.polling.schedule import Poll, Schedule, slot_s
from producers.polling.status import Outcome
from producers.polling.target_set import Members
from producers.polling.target_state import Change, Member
from producers.polling.worker_pool import Workers
from producers.publishing.publisher import Publication
from producers.reader import PollFailed, Reader, Sample
from runtime import metrics, observability

log = structlog.get_logger()
HEARTBEAT_S: Final = 10.0
TICK_S: Final = 0.25
"""Delivery reports are served at least this often."""
SESSIONS_S: Final = 1.0
"""Targets under poll are asked this often whether their session is another."""
DEADLINE_S: Final = (5.0, 120.0)
"""A poll may take its interval, but at least and at most this."""
POLLS_S: Final = 5.0
"""At a stop, polls under way are waited for this long,"""
DRAIN_S: Final = 10.0
"""and Kafka, to take what is queued."""
THREADS: Final = 2048
"""More than the schedule allows polls."""


class Loop:
    """Polls the readers of one source until it is stopped."""

    def __init__(  # noqa: PLR0913  what a loop is made of
        self,
        publication: Publication,
        readers: Iterable[Reader],
        alias: str,
        *,
        source: str,
        known: Mapping[str, Mapping[str, Any]] | None = None,
        orders: Orders | None = None,
        may_poll: Callable[[], bool] | None = None,
    ) -> None:
        """Of one source.

        Args:
            publication: where records go.
            readers: what to poll from the start on.
            alias: of their topic.
            source: redfish, libvirt or host.
            known: the newest TargetStatus of each host of this source, by whichever producer.
            orders: commands.
            may_poll: whether polls may begin now, asked before any does. Given where others of a group poll the same
                targets in turn: then each is due at times of its own, whoever polls it.
        """
        self._publication = publication
        self._readers = tuple(readers)
        self._alias = alias
        self._source = source
        self._shared = may_poll is not None
        self._may_poll = may_poll or (lambda: True)
        self._inbox: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._members = Members(
            source,
            alias,
            publication,
            known=known or {},
            orders=orders or Orders(),
            later=self._inbox.put,
            again=lambda member: self._plan([member]),
        )
        self._schedule: Schedule[Member] = Schedule(random.Random())  # noqa: S311  jitter
        self._workers = Workers(source, THREADS)
        self._late = metrics.LATE_POLLS.labels(source)
        metrics.RECORDS_OUT.labels(alias)  # at 0: that there are none must be seen
        self._stopping = False
        self._beats = self._polls = self._failures = 0

    def stop(self) -> None:
        """Asks the loop to end; from any thread."""
        self._inbox.put(self._stop)

    def change(self, change: Change) -> None:
        """Begins and ends targets while the others go on; from any thread."""
        self._inbox.put(lambda: self._apply(change))

    def release(self, hosts: Iterable[str], done: Callable[[], None]) -> None:
        """Hands targets over to others of the group, then calls `done`, from the loop's thread; from any thread."""
        wanted = tuple(hosts)
        self._inbox.put(lambda: self._release(wanted, done))

    def obey(self, orders: Orders) -> None:
        """Stops and starts targets as is commanded from now on; from any thread."""
        self._inbox.put(lambda: self._obey(orders))

    def run(self) -> None:
        """Polls until `stop`. Polls under way are waited for, then readers are closed and the queue is handed over."""
        self._plan(self._members.add(self._readers))
        self._members.forget_others()
        next_beat_s = next_sessions_s = time.monotonic()
        observability.notify("READY=1")
        try:
            while not self._stopping:
                now_s = time.monotonic()
                if now_s >= next_beat_s:
                    self._beat()
                    next_beat_s += HEARTBEAT_S * max(1, int((now_s - next_beat_s) / HEARTBEAT_S) + 1)
                if now_s >= next_sessions_s:
                    self._members.look_at_sessions()
                    next_sessions_s = now_s + SESSIONS_S
                next_poll_s = now_s + TICK_S
                if self._may_poll():
                    for poll in self._schedule.start(now_s):
                        self._begin(poll)
                    next_poll_s = min(next_poll_s, self._schedule.next_s())
                self._publication.poll()
                self._serve(min(next_beat_s, next_poll_s))
        finally:
            self._workers.wait(POLLS_S)
            self._beat(stopping=True)
            self._members.end()
            self._publication.close(DRAIN_S)
            self._workers.close()

    def _stop(self) -> None:
        self._stopping = True

    def _apply(self, change: Change) -> None:
        changed = [reader for reader in change.added if reader.host in change.removed]
        ended, begun = self._members.replace(changed)
        ended += self._members.remove(change.removed - {reader.host for reader in changed})
        added = [reader for reader in change.added if reader.host not in change.removed]
        begun += self._members.take_over(added, change.known) if self._shared else self._members.add(added)
        for member in ended:
            self._schedule.remove(member)
        self._members.forget(change.gone)
        self._plan(begun)

    def _release(self, hosts: Iterable[str], done: Callable[[], None]) -> None:
        for member in self._members.release(hosts, done):
            self._schedule.remove(member)

    def _obey(self, orders: Orders) -> None:
        ended, begun = self._members.obey(orders)
        for member in ended:
            self._schedule.remove(member)
        self._plan(begun)

    def _plan(self, members: Iterable[Member]) -> None:
        now_s = time.monotonic()
        targets = {member: member.reader.intervals for member in members}
        if not self._shared:
            self._schedule.add(targets, now_s)
            return
        # The least of several: this thread may lose the processor between the two clocks.
        ahead_s = min(time.time() - time.monotonic() for _ in range(5))
        slots = {
            member: {name: slot_s(f"{member.reader.host}:{name}", every_s, ahead_s) for name, every_s in each.items()}
            for member, each in targets.items()
        }
        going_on = {member for member in targets if member.standing.status != "unknown"}
        self._schedule.add(targets, now_s, slots=slots, going_on=going_on)

    def _serve(self, until_s: float) -> None:
        """Takes what has come; waits for the first of it."""
        with suppress(Empty):
            self._inbox.get(timeout=max(0.0, until_s - time.monotonic()))()
            while not self._stopping:
                self._inbox.get_nowait()()

    def _begin(self, poll: Poll[Member]) -> None:
        self._members.began(poll.key)
        self._workers.do(lambda: self._poll(poll))

    def _poll(self, poll: Poll[Member]) -> None:
        """One poll, in a worker; whatever happens, its outcome is handed back."""
        reader, task = poll.key.reader, poll.task
        began_s = time.monotonic()
        samples: Iterable[Sample] = ()
        error = None
        try:
            answer = reader.read(task.category, min(max(task.interval_s, DEADLINE_S[0]), DEADLINE_S[1]))
            samples = (answer,) if isinstance(answer, Sample) else answer
            for sample in samples:
                self._publication.publish(self._alias, reader, task.category, sample, began_s=began_s)
        except PollFailed as failed:
            error = failed
        except Exception as fault:
            error = PollFailed("unreachable", f"{type(fault).__name__} while polling; a fault of ours, see the log")
            log.exception("poll broke", source=self._source, host=reader.host, category=task.category)
        result = status.outcome(poll, samples, error, time.monotonic() - began_s)
        self._inbox.put(lambda: self._ended(poll, result))

    def _ended(self, poll: Poll[Member], result: Outcome) -> None:
        missed = self._schedule.ended(poll, time.monotonic(), answered=not result.silent, failed=result.failed)
        self._members.ended(poll.key, result, missed=missed, down=poll.task.target.down)
        if poll.key.released:
            return  # it was cut short
        self._polls += 1
        self._failures += result.failed
        metrics.POLLS.labels(self._source, result.status).inc()
        vendor = vendors.label(poll.key.standing.facts.vendor)
        metrics.POLL_SECONDS.labels(self._source, vendor).observe(result.duration_s)
        self._late.inc(result.late + missed)

    def _beat(self, *, stopping: bool = False) -> None:
        self._members.count()
        self._publication.state(
            "heartbeats",
            {
                "producer": self._publication.producer,
                "epoch": self._publication.epoch,
                "sequence": self._beats,
                "observed_at": datetime.now(UTC),
                "interval_s": HEARTBEAT_S,
                "source": self._source,
                "targets": len(self._members),
                "records": self._publication.records,
                "dropped": self._publication.dropped,
                "polls": self._polls,
                "failures": self._failures,
                "queued": self._publication.queued,
                "shared": self._shared,
                "stopping": stopping,
            }
            | self._publication.spool
            | self._members.unheard(),
        )
        self._beats += 1
