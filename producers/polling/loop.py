"""Poll loop shared by all sources: starts due polls, publishes samples and target statuses.

One thread decides, workers poll. Their results come back through an inbox, so that no decision needs a lock.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from queue import Empty, SimpleQueue
from typing import Final

import structlog

from producers.polling import status, vendors
from producers.polling.schedule import Poll, Schedule, slot_s
from producers.polling.status import PollOutcome
from producers.polling.target_set import TargetSet
from producers.polling.target_state import PolledTarget, TargetChange
from producers.polling.worker_pool import WorkerPool
from producers.publishing.publisher import RecordPublisher
from producers.reader import PollFailed, Reader, Sample
from runtime import metrics, observability
from schemas.commands import DesiredState
from schemas.records import Heartbeat, TargetStatus

log = structlog.get_logger()
HEARTBEAT_INTERVAL_S: Final = 10.0
TICK_S: Final = 0.25
"""Delivery reports are handled at least this often."""
SESSION_CHECK_INTERVAL_S: Final = 1.0
"""Targets with running polls are checked for new sessions this often."""
POLL_TIMEOUT_S: Final = (5.0, 120.0)
"""A poll may take its interval, but at least the first and at most the second value."""
STOP_TIMEOUT_S: Final = 5.0
"""When the producer stops, running polls get this long to finish."""
DRAIN_TIMEOUT_S: Final = 10.0
"""When the producer stops, Kafka gets this long to accept queued records."""
MAX_THREADS: Final = 2048
"""More than the schedule's limit of concurrent polls."""


class PollLoop:
    """Polls the readers of one source until it is stopped."""

    def __init__(  # noqa: PLR0913  the parts of a loop
        self,
        publisher: RecordPublisher,
        readers: Iterable[Reader],
        alias: str,
        *,
        source: str,
        last_statuses: Mapping[str, TargetStatus] | None = None,
        desired: DesiredState | None = None,
        may_poll: Callable[[], bool] | None = None,
    ) -> None:
        """Prepares the loop; `run` starts it.

        Args:
            publisher: Publishes records.
            readers: Targets from the start on.
            alias: Alias of their raw topic.
            source: redfish, libvirt or host.
            last_statuses: Host → latest status of each target of the source, by any producer.
            desired: Commands in force.
            may_poll: True if polls may start now. Passed where several producers poll the targets in turn; each target
                then has due times of its own, whoever polls it.
        """
        self._publisher = publisher
        self._readers = tuple(readers)
        self._alias = alias
        self._source = source
        self._is_shared = may_poll is not None
        self._may_poll = may_poll or (lambda: True)
        self._inbox: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._targets = TargetSet(
            source,
            alias,
            publisher,
            last_statuses=last_statuses or {},
            desired=desired or DesiredState(),
            call_soon=self._inbox.put,
            on_restarted=lambda target: self._schedule_targets([target]),
        )
        self._schedule: Schedule[PolledTarget] = Schedule(random.Random())  # noqa: S311  jitter
        self._workers = WorkerPool(source, MAX_THREADS)
        self._late_polls = metrics.LATE_POLLS.labels(source)
        metrics.RECORDS_OUT.labels(alias)  # exports 0 before the first record
        self._is_stopping = False
        self._heartbeats = self._polls = self._failures = 0

    def stop(self) -> None:
        """Stops the loop; from any thread."""
        self._inbox.put(self._stop)

    def apply_change(self, change: TargetChange) -> None:
        """Starts and ends targets while the others continue; from any thread."""
        self._inbox.put(lambda: self._apply_change(change))

    def release(self, hosts: Iterable[str], on_released: Callable[[], None]) -> None:
        """Releases targets to other producers; from any thread.

        Then calls `on_released` in the loop's thread.
        """
        released = tuple(hosts)
        self._inbox.put(lambda: self._release(released, on_released))

    def apply_commands(self, desired: DesiredState) -> None:
        """Stops and starts targets as commanded; from any thread."""
        self._inbox.put(lambda: self._apply_commands(desired))

    def run(self) -> None:
        """Polls until `stop`.

        Running polls may finish, then readers are closed and queued records are sent.
        """
        self._schedule_targets(self._targets.add(self._readers))
        self._targets.remove_vanished()
        next_heartbeat_s = next_session_check_s = time.monotonic()
        observability.notify("READY=1")
        try:
            while not self._is_stopping:
                now_s = time.monotonic()
                if now_s >= next_heartbeat_s:
                    self._publish_heartbeat()
                    missed = int((now_s - next_heartbeat_s) / HEARTBEAT_INTERVAL_S)
                    next_heartbeat_s += HEARTBEAT_INTERVAL_S * (missed + 1)
                if now_s >= next_session_check_s:
                    self._targets.publish_new_sessions()
                    next_session_check_s = now_s + SESSION_CHECK_INTERVAL_S
                wake_s = now_s + TICK_S
                if self._may_poll():
                    for poll in self._schedule.start_due(now_s):
                        self._start_poll(poll)
                    wake_s = min(wake_s, self._schedule.next_due_s())
                self._publisher.poll()
                self._process_inbox(min(next_heartbeat_s, wake_s))
        finally:
            self._workers.wait_idle(STOP_TIMEOUT_S)
            self._publish_heartbeat(stopping=True)
            self._targets.close()
            self._publisher.close(DRAIN_TIMEOUT_S)
            self._workers.close()

    def _stop(self) -> None:
        self._is_stopping = True

    def _apply_change(self, change: TargetChange) -> None:
        replacements = [reader for reader in change.added if reader.host in change.removed]
        ended, started = self._targets.replace(replacements)
        ended += self._targets.remove(change.removed - {reader.host for reader in replacements})
        added = [reader for reader in change.added if reader.host not in change.removed]
        if self._is_shared:
            started += self._targets.adopt(added, change.last_statuses)
        else:
            started += self._targets.add(added)
        for target in ended:
            self._schedule.remove(target)
        self._targets.publish_removed(change.vanished)
        self._schedule_targets(started)

    def _release(self, hosts: Iterable[str], on_released: Callable[[], None]) -> None:
        for target in self._targets.release(hosts, on_released):
            self._schedule.remove(target)

    def _apply_commands(self, desired: DesiredState) -> None:
        ended, started = self._targets.apply_commands(desired)
        for target in ended:
            self._schedule.remove(target)
        self._schedule_targets(started)

    def _schedule_targets(self, targets: Iterable[PolledTarget]) -> None:
        now_s = time.monotonic()
        intervals = {target: target.reader.intervals for target in targets}
        if not self._is_shared:
            self._schedule.add(intervals, now_s)
            return
        # The smallest of several samples, as this thread may be preempted between the two clocks.
        ahead_s = min(time.time() - time.monotonic() for _ in range(5))
        slots = {
            target: {
                category: slot_s(f"{target.host}:{category}", interval_s, ahead_s)
                for category, interval_s in intervals_s.items()
            }
            for target, intervals_s in intervals.items()
        }
        already_polled = {target for target in intervals if target.tracker.status != "unknown"}
        self._schedule.add(intervals, now_s, slots=slots, already_polled=already_polled)

    def _process_inbox(self, until_s: float) -> None:
        """Waits for the first message until `until_s`, then processes all that have arrived."""
        with suppress(Empty):
            self._inbox.get(timeout=max(0.0, until_s - time.monotonic()))()
            while not self._is_stopping:
                self._inbox.get_nowait()()

    def _start_poll(self, poll: Poll[PolledTarget]) -> None:
        self._targets.poll_started(poll.key)
        self._workers.submit(lambda: self._run_poll(poll))

    def _run_poll(self, poll: Poll[PolledTarget]) -> None:
        """Makes one poll, in a worker. Its outcome is returned through the inbox, whatever happens."""
        reader, task = poll.key.reader, poll.task
        began_s = time.monotonic()
        samples: Iterable[Sample] = ()
        error = None
        try:
            result = reader.read(task.category, min(max(task.interval_s, POLL_TIMEOUT_S[0]), POLL_TIMEOUT_S[1]))
            samples = (result,) if isinstance(result, Sample) else result
            for sample in samples:
                self._publisher.publish(self._alias, reader, task.category, sample, began_s=began_s)
        except PollFailed as failure:
            error = failure
        except Exception as exception:
            error = PollFailed("unreachable", f"{type(exception).__name__} while polling, a bug: see the log")
            log.exception("poll crashed", source=self._source, host=reader.host, category=task.category)
        outcome = status.evaluate_poll(poll, samples, error, time.monotonic() - began_s)
        self._inbox.put(lambda: self._finish_poll(poll, outcome))

    def _finish_poll(self, poll: Poll[PolledTarget], outcome: PollOutcome) -> None:
        skipped = self._schedule.finish(
            poll, time.monotonic(), answered=not outcome.is_unanswered, failed=outcome.failed
        )
        self._targets.poll_finished(poll.key, outcome, skipped=skipped, down=poll.task.target.is_down)
        if poll.key.is_released:
            return  # it was aborted
        self._polls += 1
        self._failures += outcome.failed
        metrics.POLLS.labels(self._source, outcome.status).inc()
        vendor = vendors.vendor_label(poll.key.tracker.facts.vendor)
        metrics.POLL_SECONDS.labels(self._source, vendor).observe(outcome.duration_s)
        self._late_polls.inc(outcome.late + skipped)

    def _publish_heartbeat(self, *, stopping: bool = False) -> None:
        self._targets.update_metrics()
        heartbeat: Heartbeat = {
            "producer": self._publisher.producer,
            "epoch": self._publisher.epoch,
            "sequence": self._heartbeats,
            "observed_at": datetime.now(UTC),
            "interval_s": HEARTBEAT_INTERVAL_S,
            "source": self._source,
            "targets": len(self._targets),
            "records": self._publisher.records,
            "dropped": self._publisher.dropped,
            "polls": self._polls,
            "failures": self._failures,
            "queued": self._publisher.queued,
            "shared": self._is_shared,
            "stopping": stopping,
            **self._publisher.spool_state,
            **self._targets.heartbeat_lists(),
        }
        self._publisher.publish_state("heartbeats", heartbeat)
        self._heartbeats += 1
