"""The targets of a loop: their statuses on Kafka, and when their readers are closed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from queue import SimpleQueue

import pytest

from producers.polling.status import PollOutcome
from producers.polling.target_set import TargetSet
from producers.polling.target_state import PolledTarget
from producers.publishing.publisher import RecordPublisher
from runtime import compacted_topic
from runtime.settings import KafkaSettings
from schemas.commands import DesiredState
from schemas.testing import make_record
from tests.unit.support.readers import HostSource
from tests.unit.support.waiting import until

UP = PollOutcome("host", "up", "", 0.1)
DOWN = PollOutcome("host", "unreachable", "connection refused", 0.1, failed=True)


def stop_command(host: str) -> DesiredState:
    key = f"target:host:{host}"
    return DesiredState.from_records([make_record("Control", key=key, desired="stopped", by="ann", reason="")], 7)


class Targets(TargetSet):
    """A set with a publisher, and what its thread has to do."""

    def __init__(self, settings: KafkaSettings, **options: object) -> None:
        self.settings = settings
        self.publisher = RecordPublisher.open(settings, "p1")
        self.inbox: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.restarted: list[str] = []
        defaults = {"last_statuses": {}, "desired": DesiredState()}
        super().__init__(
            "host",
            "raw-host",
            self.publisher,
            call_soon=self.inbox.put,
            on_restarted=lambda target: self.restarted.append(target.host),
            **(defaults | options),
        )

    def run_next(self) -> None:
        self.inbox.get(timeout=30)()

    def statuses(self) -> dict[str, tuple[str, bool]]:
        """Host → status on Kafka, and whether it is removed."""
        until(lambda: self.publisher.poll() or not self.publisher.has_queued_states)
        records = compacted_topic.read_latest(self.settings, "state-targets").values()
        return {record["host"]: (record["status"], record["removed"]) for record in records}


@pytest.fixture
def create(kafka: KafkaSettings) -> Iterator[Callable[..., Targets]]:
    sets: list[Targets] = []

    def make(**options: object) -> Targets:
        sets.append(Targets(kafka, **options))
        return sets[-1]

    yield make
    for targets in sets:
        targets.publisher.close(10)


def polled(targets: Targets, target: PolledTarget, outcome: PollOutcome) -> None:
    targets.poll_started(target)
    targets.poll_finished(target, outcome, skipped=0, down=outcome.failed)


def test_a_target_is_on_kafka_before_its_first_poll_and_as_its_polls_say(create: Callable[..., Targets]) -> None:
    targets = create()
    [target] = targets.add([HostSource("a")])
    assert {"a": ("unknown", False)} == targets.statuses()

    polled(targets, target, UP)
    assert {"a": ("up", False)} == targets.statuses()


def test_a_removed_target_is_removed_on_kafka_when_its_last_poll_has_ended(create: Callable[..., Targets]) -> None:
    targets = create()
    reader = HostSource("a")
    [target] = targets.add([reader])
    targets.poll_started(target)
    assert ([target], 0) == (targets.remove(["a"]), reader.closed)

    targets.poll_finished(target, UP, skipped=0, down=False)
    targets.run_next()
    assert (1, {"a": ("stopped", True)}) == (reader.closed, targets.statuses())


def test_a_stopped_target_is_closed_and_polled_again_when_it_is_started(create: Callable[..., Targets]) -> None:
    targets = create()
    reader = HostSource("a")
    [target] = targets.add([reader])
    assert ([target], []) == targets.apply_commands(stop_command("a"))
    targets.run_next()
    assert (1, {"a": ("stopped", False)}) == (reader.closed, targets.statuses())

    assert ([], [target]) == targets.apply_commands(DesiredState())
    polled(targets, target, UP)
    assert {"a": ("up", False)} == targets.statuses()


def test_a_target_started_while_its_last_poll_runs_is_polled_when_that_has_ended(
    create: Callable[..., Targets],
) -> None:
    targets = create()
    [target] = targets.add([HostSource("a")])
    targets.poll_started(target)
    targets.apply_commands(stop_command("a"))
    assert ([], []) == targets.apply_commands(DesiredState())

    targets.poll_finished(target, UP, skipped=0, down=False)
    assert (["a"], True) == (targets.restarted, target.is_polled)


def test_a_released_target_keeps_its_status_and_is_handed_over_when_it_is_closed(
    create: Callable[..., Targets],
) -> None:
    targets, released = create(), []
    reader = HostSource("a")
    [target] = targets.add([reader])
    polled(targets, target, DOWN)
    targets.release(["a"], lambda: released.append("a"))
    assert (True, []) == (reader.aborted, released)

    targets.run_next()
    assert (["a"], {"a": ("unreachable", False)}) == (released, targets.statuses())
    assert ["a"] == targets.heartbeat_lists()["released"]


def test_what_nobody_has_is_released_at_once(create: Callable[..., Targets]) -> None:
    targets, released = create(), []
    targets.release(["elsewhere"], lambda: released.append(1))

    assert [1] == released


def test_another_reader_goes_on_where_the_first_one_stood(create: Callable[..., Targets]) -> None:
    targets = create()
    old, new = HostSource("a"), HostSource("a")
    [target] = targets.add([old])
    polled(targets, target, UP)
    ended, [started] = targets.replace([new])
    targets.run_next()

    assert ([target], 1, 0) == (ended, old.closed, new.closed)
    assert ("up", 1) == (started.tracker.status, started.tracker.counts.polls)
    assert {"a": ("up", False)} == targets.statuses()


def test_what_left_the_fleet_file_between_two_starts_is_removed_if_it_was_ours(
    create: Callable[..., Targets],
) -> None:
    known = {
        host: make_record("TargetStatus", source="host", host=host, status="up", producer=producer)
        for host, producer in (("ours", "p1"), ("theirs", "p2"), ("kept", "p1"))
    }
    targets = create(last_statuses=known)
    targets.add([HostSource("kept")])
    targets.remove_vanished()

    assert {"ours": ("stopped", True)} == targets.statuses()


def test_a_new_session_is_on_kafka_while_the_poll_that_opened_it_runs(
    create: Callable[..., Targets], kafka: KafkaSettings
) -> None:
    targets = create()
    reader = HostSource("a")
    [target] = targets.add([reader])
    targets.poll_started(target)
    reader.session = "/sessions/7"
    targets.publish_new_sessions()
    targets.statuses()

    [record] = compacted_topic.read_latest(kafka, "state-targets").values()
    assert "/sessions/7" == record["session_uri"]


def test_at_the_end_readers_are_closed_and_their_targets_stopped(create: Callable[..., Targets]) -> None:
    targets = create()
    readers = [HostSource("a"), HostSource("b")]
    targets.add(readers)
    targets.close()

    assert [1, 1] == [reader.closed for reader in readers]
    assert {"a": ("stopped", False), "b": ("stopped", False)} == targets.statuses()
