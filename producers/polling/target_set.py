"""Set of the targets of a poll loop: closes readers, publishes statuses. For one thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Final

import structlog

from producers.polling import status, target_state
from producers.polling.status import PollOutcome, StatusAuthor, StatusTracker
from producers.polling.target_state import MAX_LISTED, HeartbeatLists, PolledTarget
from producers.polling.worker_pool import WorkerPool
from producers.publishing.publisher import RecordPublisher
from producers.publishing.subject import RemovedTarget
from producers.reader import Reader
from runtime import metrics
from schemas import commands
from schemas.commands import DesiredState
from schemas.records import Control, TargetStatus

log = structlog.get_logger()
CLOSE_TIMEOUT_S: Final = 8.0
"""When the producer stops, readers get this long to close their sessions."""
MAX_CLOSERS: Final = 64
"""Readers closed at the same time."""
REMOVED_DETAIL: Final = "no longer in the fleet file"
STOPPED_DETAIL: Final = "its producer was stopped"
CallSoon = Callable[[Callable[[], None]], None]
"""Schedules a function for the thread of the set."""


class TargetLists(HeartbeatLists):
    """Fields of a heartbeat about targets."""

    released: list[str]


class TargetSet:
    """Targets of one source.

    Publishes a status when it changes and every now and then; closes a reader after its last poll.
    """

    def __init__(  # noqa: PLR0913  the parts of a loop
        self,
        source: str,
        alias: str,
        publisher: RecordPublisher,
        *,
        last_statuses: Mapping[str, TargetStatus],
        desired: DesiredState,
        call_soon: CallSoon,
        on_restarted: Callable[[PolledTarget], None],
    ) -> None:
        """Starts empty.

        Args:
            source: redfish, libvirt or host.
            alias: Alias of its raw topic.
            publisher: Publishes records.
            last_statuses: Host → latest status of each target of the source, by any producer.
            desired: Commands in force.
            call_soon: Schedules a function for the thread of the set.
            on_restarted: Called for a target that is polled again, if that was not possible when it was commanded.
        """
        self._source, self._alias = source, alias
        self._publisher = publisher
        self._last_statuses = dict(last_statuses)
        self._desired = desired
        self._call_soon = call_soon
        self._on_restarted = on_restarted
        self._targets: dict[str, PolledTarget] = {}
        self._leaving: dict[PolledTarget, None] = {}
        self._released_failing: dict[str, None] = {}
        """Hosts released to other producers while they could not be read."""
        self._handovers: list[tuple[set[PolledTarget], Callable[[], None]]] = []
        """Targets still to be closed, and the callback after the last of them."""
        self._closers = WorkerPool(f"{source}-close", MAX_CLOSERS)

    def __len__(self) -> int:
        return len(self._targets)

    def add(self, readers: Iterable[Reader]) -> list[PolledTarget]:
        """Adds targets and returns those to poll.

        The status of a target without an earlier one is published at once: it is expected from now on.
        """
        started = []
        for reader in readers:
            last = self._last_statuses.pop(reader.host, None)
            target = PolledTarget(reader, StatusTracker.from_last_status(last, _now()))
            self._targets[reader.host] = target
            started += self._start_polling(target)
            if target.tracker.status == "unknown":
                self._publish_if_due(target)
        return started

    def adopt(self, readers: Iterable[Reader], last_statuses: Mapping[str, TargetStatus]) -> list[PolledTarget]:
        """Adds targets that other producers polled until now; returns those to poll.

        Their statuses are published at once, as they name the producer.
        """
        started = []
        for reader in readers:
            last = last_statuses.get(reader.host)
            target = PolledTarget(reader, StatusTracker.from_last_status(last, _now()))
            target.tracker.facts = reader.facts()
            self._targets[reader.host] = target
            self._released_failing.pop(reader.host, None)
            started += self._start_polling(target)
            if not target.is_stopped:
                self._publish_if_due(target)
        return started

    def release(self, hosts: Iterable[str], on_released: Callable[[], None]) -> list[PolledTarget]:
        """Releases targets to another producer of the group and returns those that were polled.

        Their statuses stay. `on_released` is called when the last poll of each has ended and its session is closed.
        """
        released = [self._targets.pop(host) for host in hosts if host in self._targets]
        self._publisher.release([target.host for target in released])
        if not released:
            on_released()
        else:
            self._handovers.append((set(released), on_released))
        ended = [target for target in released if target.is_polled]
        for target in released:
            target.is_released = True
            if target.tracker.status in status.FAILING_STATUSES:
                self._released_failing[target.host] = None
            target.reader.abort()
            self._retire(target)
        return ended

    def apply_commands(self, desired: DesiredState) -> tuple[list[PolledTarget], list[PolledTarget]]:
        """Applies the desired state.

        Targets whose command is unchanged are left alone; the statuses of the others are published, as confirmation.

        Returns:
            Targets whose polls end, and targets whose polls start.
        """
        self._desired = desired
        ended, started = [], []
        for target in self._targets.values():
            command = desired.command_for(self._source, target.host)
            if command == target.command:
                continue
            was_polled, was_stopped, target.command = target.is_polled, target.is_stopped, command
            if command is not None and commands.is_stop(command):
                ended += [target] if was_polled else []
                self._stop_polling(target, command)
            elif was_stopped:
                target.tracker.mark_resumed(_now())
                target.is_polled = not (target.polls_running or target.is_closing)
                started += [target] if target.is_polled else []
                log.info("target started", source=self._source, host=target.host)
            self._publish_status(target)
        return ended, started

    def replace(self, readers: Iterable[Reader]) -> tuple[list[PolledTarget], list[PolledTarget]]:
        """Replaces the readers of targets.

        Returns:
            Targets whose polls end, and targets whose polls start.
        """
        pairs = [(self._targets[reader.host], reader) for reader in readers]
        added = [
            PolledTarget(reader, old.tracker.for_new_reader(), was_failing=old.was_failing) for old, reader in pairs
        ]
        self._targets |= {target.host: target for target in added}
        ended = [old for old, _ in pairs if old.is_polled]
        for old, _ in pairs:
            self._retire(old)
        return ended, [started for target in added for started in self._start_polling(target)]

    def remove(self, hosts: Iterable[str]) -> list[PolledTarget]:
        """Removes targets for good and returns those that were polled."""
        removed = [self._targets.pop(host) for host in hosts]
        ended = [target for target in removed if target.is_polled]
        for target in removed:
            log.info("target removed", source=self._source, host=target.host)
            target.tracker.mark_ended(_now(), REMOVED_DETAIL)
            self._retire(target)
        return ended

    def remove_vanished(self) -> None:
        """Publishes the removal of this producer's earlier targets that have left the fleet file."""
        producer = self._publisher.producer
        self.publish_removed(
            last for last in self._last_statuses.values() if last["producer"] == producer and not last["removed"]
        )
        self._last_statuses.clear()

    def publish_removed(self, last_statuses: Iterable[TargetStatus]) -> None:
        """Publishes a final `removed` status for targets that no producer polls any longer."""
        for last in last_statuses:
            self._publisher.publish_removed(self._alias, RemovedTarget(last["host"], last["address"], last["labels"]))
            final: TargetStatus = {
                **last,
                "status": "stopped",
                "detail": REMOVED_DETAIL,
                "observed_at": _now(),
                "removed": True,
                "stopped_by": None,
            }
            self._publisher.publish_state("state-targets", final)

    def poll_started(self, target: PolledTarget) -> None:
        """Records the start of a poll."""
        target.polls_running += 1

    def poll_finished(self, target: PolledTarget, outcome: PollOutcome, *, skipped: int, down: bool) -> None:
        """Records the end of a poll.

        Args:
            target: The target.
            outcome: Result of the poll.
            skipped: Number of polls that were skipped because of it.
            down: True if the target has not answered recently.
        """
        target.polls_running -= 1
        if not target.is_polled:
            self._close_when_idle(target)
            return
        tracker = target.tracker
        tracker.counts.late += skipped
        if tracker.record_poll(outcome, target.reader.facts(), _now(), down=down):
            write_log = log.info if tracker.status in ("up", "partial") else log.warning
            write_log(
                "target status changed",
                source=self._source,
                host=target.host,
                status=tracker.status,
                detail=tracker.detail,
            )
        self._publish_if_due(target)

    def publish_new_sessions(self) -> None:
        """Publishes sessions opened by running polls.

        So another producer can close them if this one is killed.
        """
        for target in self._targets.values():
            if target.polls_running and target.reader.facts().session_uri != target.tracker.facts.session_uri:
                target.tracker.facts = target.reader.facts()
                self._publish_if_due(target)

    def update_metrics(self) -> None:
        """Sets the gauge of targets by status."""
        for name, count in target_state.count_by_status(self._targets.values()).items():
            metrics.TARGETS.labels(self._source, name).set(count)

    def heartbeat_lists(self) -> TargetLists:
        """Lists failing, stopped and released targets for a heartbeat."""
        return {
            **target_state.heartbeat_lists(self._targets.values()),
            "released": list(self._released_failing)[:MAX_LISTED],
        }

    def close(self) -> None:
        """Closes all readers, within CLOSE_TIMEOUT_S, and publishes that their targets are stopped."""
        for target in [*self._targets.values(), *(target for target in self._leaving if target.polls_running)]:
            self._closers.submit(partial(_close_reader, target.reader))
        self._closers.wait_idle(CLOSE_TIMEOUT_S)
        for target in self._targets.values():
            if not target.is_stopped:
                target.tracker.mark_ended(_now(), STOPPED_DETAIL)
            self._publish_status(target)
        for target in self._leaving:
            self._publish_departure(target)
        self._closers.close()

    def _start_polling(self, target: PolledTarget) -> list[PolledTarget]:
        """Applies the command for a new target. Returns the target if it is to be polled."""
        target.command = self._desired.command_for(self._source, target.host)
        if target.command is not None and commands.is_stop(target.command):
            target.tracker.mark_stopped(target.command, _now())
            self._publish_status(target)
            return []
        if target.is_stopped:
            target.tracker.mark_resumed(_now())
        target.is_polled = True
        return [target]

    def _stop_polling(self, target: PolledTarget, command: Control) -> None:
        if not target.is_stopped:
            target.was_failing = target.tracker.status in status.FAILING_STATUSES
            log.info(
                "target stopped", source=self._source, host=target.host, by=command["by"], reason=command["reason"]
            )
        target.tracker.mark_stopped(command, _now())
        if target.is_polled:
            target.is_polled = False
            self._close_when_idle(target)

    def _retire(self, target: PolledTarget) -> None:
        target.is_leaving, target.is_polled = True, False
        self._leaving[target] = None
        self._close_when_idle(target)

    def _close_when_idle(self, target: PolledTarget) -> None:
        """Closes the reader of a stopped or leaving target after its last poll, or resumes polling."""
        if target.polls_running or target.is_closing:
            return
        if not (target.is_leaving or target.is_stopped):  # restarted before that poll or the closing had ended
            target.is_polled = True
            self._on_restarted(target)
            return
        target.is_closing = True

        def close() -> None:
            _close_reader(target.reader)
            self._call_soon(lambda: self._reader_closed(target))

        self._closers.submit(close)

    def _reader_closed(self, target: PolledTarget) -> None:
        target.is_closing = False
        if target in self._leaving:
            del self._leaving[target]
            self._publish_departure(target)
        elif target.is_stopped:
            self._publish_status(target)  # its session is closed
        elif not target.is_leaving:
            self._close_when_idle(target)

    def _publish_departure(self, target: PolledTarget) -> None:
        """Publishes the last status of a target that was released, or removed without replacement."""
        if target.is_released:
            self._finish_handover(target)
        elif target.host not in self._targets:
            reader = target.reader
            self._publisher.publish_removed(
                self._alias, RemovedTarget(reader.host, reader.address, dict(reader.labels))
            )
            self._publish_status(target, removed=True)

    def _finish_handover(self, target: PolledTarget) -> None:
        if target.host not in self._targets:  # otherwise it has already returned to this producer
            self._publish_status(target)
        for handover in list(self._handovers):
            waiting, on_released = handover
            waiting.discard(target)
            if not waiting:
                self._handovers.remove(handover)
                on_released()

    def _publish_if_due(self, target: PolledTarget) -> None:
        if target.tracker.should_publish(time.monotonic()):
            self._publish_status(target)

    def _publish_status(self, target: PolledTarget, *, removed: bool = False) -> None:
        if target.tracker.status == "stopped" or target.is_released:
            target.tracker.facts = target.reader.facts()
        epoch = self._publisher.epoch_of(target.host)
        author = StatusAuthor(self._publisher.producer, epoch, self._desired.offset)
        record = status.build_record(target.reader, target.tracker, _now(), author=author, removed=removed)
        self._publisher.publish_state("state-targets", record)


def _now() -> datetime:
    return datetime.now(UTC)


def _close_reader(reader: Reader) -> None:
    """Closes a reader; a failure is only logged."""
    try:
        reader.close()
    except Exception:
        log.exception("reader not closed", host=reader.host)
