"""Partitions that a group gives a producer and takes away: what the poll loop has to do for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from producers.fleet.targets import FleetTarget
from producers.polling.target_state import TargetChange
from producers.publishing.publisher import RecordPublisher
from producers.reader import PollFailed, Reader
from producers.shared_targets.admin import record_from_entry
from producers.shared_targets.assignment import TargetAssignment
from producers.shared_targets.unavailable import UnavailableReader
from runtime.errors import Misconfigured, Retry
from runtime.settings import KafkaSettings
from schemas.records import Target, TargetStatus
from schemas.testing import make_record
from tests.e2e.support.parts import until
from tests.unit.support.readers import HostSource


def bmc(host: str, **fields: Any) -> Target:
    return record_from_entry("redfish", {"host": host, "address": f"https://{host}", **fields})


def removed(record: Target) -> Target:
    return {**record, "removed": True}


class Member:
    """An assignment, and what it asks of a loop."""

    def __init__(self, publisher: RecordPublisher) -> None:
        self.publisher = publisher
        self.statuses: dict[str, TargetStatus] = {}
        self.kafka_answers = True
        self.missing_secrets: set[str] = set()
        self.changes: list[TargetChange] = []
        self.released: list[list[str]] = []
        self.sessions: dict[str, str | None] = {}
        self.errors: dict[str, Exception] = {}
        """Host → error of creating its reader."""
        self.unforeseen: list[Exception] = []
        """Raised when statuses are read, one each time."""
        self.assignment = TargetAssignment(
            "redfish",
            publisher,
            read_statuses=self._read_statuses,
            create_reader=self._create_reader,
            on_change=self.changes.append,
            release=self._release,
        )

    def assign(self, number: int, *records: Target) -> None:
        self.assignment.assign([number])
        for record in records:
            self.assignment.update(number, record)
        self.assignment.mark_complete(number)
        self.assignment.apply_changes()

    def _read_statuses(self, numbers: set[int]) -> dict[str, TargetStatus]:
        assert numbers
        if self.unforeseen:
            raise self.unforeseen.pop()
        if not self.kafka_answers:
            raise Retry("no answer")
        return self.statuses

    def _create_reader(self, target: FleetTarget, last: TargetStatus | None) -> Reader:
        if target.host in self.missing_secrets:
            raise Misconfigured("BMC_PASSWORD is not set")
        if target.host in self.errors:
            raise self.errors[target.host]
        self.sessions[target.host] = last["session_uri"] if last else None
        return HostSource(target.host)

    def _release(self, hosts: Iterable[str], on_released: Callable[[], None]) -> None:
        self.released.append(sorted(hosts))
        on_released()

    @property
    def last(self) -> tuple[list[str], list[str]]:
        """Hosts that the last change adds and removes."""
        change = self.changes[-1]
        return sorted(reader.host for reader in change.added), sorted(change.removed)


@pytest.fixture
def member(tmp_path: Path) -> Iterable[Member]:
    settings = KafkaSettings.read(bootstrap="127.0.0.1:1", data_dir=tmp_path)
    publisher = RecordPublisher.open(settings, "p1", ready=False)
    yield Member(publisher)
    publisher.close(0)


def test_a_partition_counts_when_it_was_read_to_its_end(member: Member) -> None:
    member.assignment.assign([3])
    member.assignment.update(3, bmc("a"))
    member.assignment.apply_changes()
    assert [] == member.changes

    member.assignment.update(3, bmc("b"))
    member.assignment.mark_complete(3)
    member.assignment.apply_changes()
    assert (["a", "b"], []) == member.last


def test_only_the_newest_record_of_a_target_counts(member: Member) -> None:
    member.assign(0, bmc("a"), removed(bmc("a")), bmc("b"), bmc("b", interval=60))

    [reader] = member.changes[-1].added
    assert "b" == reader.host


def test_what_changes_later_is_applied_alone(member: Member) -> None:
    member.assign(0, bmc("a"), bmc("b"), bmc("c"))
    member.assignment.update(0, removed(bmc("a")))
    member.assignment.update(0, bmc("b", interval=60))
    member.assignment.update(0, bmc("d"))
    member.assignment.apply_changes()

    assert (["b", "d"], ["a", "b"]) == member.last


def test_records_of_other_sources_and_partitions_of_others_are_ignored(member: Member) -> None:
    member.assignment.update(9, bmc("elsewhere"))
    member.assign(0, record_from_entry("libvirt", {"host": "k", "uri": "qemu+tls://k/system"}))

    assert [] == member.changes


def test_a_target_taken_over_has_a_newer_epoch_and_its_open_session_is_known(member: Member) -> None:
    ahead = "efffffffffff-00000000"
    session = "/sessions/7"
    member.statuses = {
        "a": make_record("TargetStatus", host="a", source="redfish", status="up", epoch=ahead, session_uri=session)
    }
    member.assign(0, bmc("a"))

    assert session == member.sessions["a"]
    assert member.publisher.epoch_of("a") > ahead
    assert {"a"} == member.changes[-1].last_statuses.keys()


def test_a_target_removed_while_nobody_polled_it_is_removed_on_kafka(member: Member) -> None:
    member.statuses = {"a": make_record("TargetStatus", host="a", source="redfish", status="unreachable")}
    member.assign(0, removed(bmc("a")))

    assert ["a"] == [status["host"] for status in member.changes[-1].vanished]


def test_without_an_answer_from_kafka_nothing_is_applied_and_nothing_forgotten(member: Member) -> None:
    member.kafka_answers = False
    with pytest.raises(Retry):
        member.assign(0, bmc("a"))
    assert [] == member.changes

    member.kafka_answers = True
    member.assignment.apply_changes()
    assert (["a"], []) == member.last


def test_a_revoked_partition_releases_its_targets(member: Member) -> None:
    member.assign(0, bmc("a"), bmc("b"))
    member.assign(1, bmc("c"))

    assert member.assignment.revoke([0]).is_set()
    assert [["a", "b"]] == member.released
    member.assignment.apply_changes()
    assert 2 == len(member.changes)


def test_a_partition_assigned_again_keeps_its_targets_until_it_was_read_again(member: Member) -> None:
    member.assign(0, bmc("a"), bmc("b"))
    member.assignment.assign([0])
    member.assignment.update(0, bmc("a"))
    member.assignment.apply_changes()
    assert 1 == len(member.changes)

    member.assignment.update(0, bmc("b"))
    member.assignment.mark_complete(0)
    member.assignment.apply_changes()
    assert 1 == len(member.changes), "nothing has changed"
    assert member.publisher.epoch_of("a") == member.publisher.epoch_of("b") > member.publisher.epoch


def test_a_target_without_its_secret_says_so_and_is_polled_when_it_is_there(member: Member) -> None:
    member.missing_secrets = {"a"}
    member.assign(0, bmc("a"))
    [reader] = member.changes[-1].added
    assert isinstance(reader, UnavailableReader)

    member.assignment.retry_unavailable()
    assert 1 == len(member.changes)
    member.missing_secrets.clear()
    member.assignment.retry_unavailable()
    assert (["a"], ["a"]) == member.last
    assert isinstance(member.changes[-1].added[0], HostSource)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"address": "nowhere"}, "refused: address: expected"),
        ({"address": "https://[x"}, "refused: address: expected"),
        ({"address": "https://a:99999"}, "refused: address: port"),
        ({"address": "http://a", "username": "u", "password": "env:BMC_P"}, "needs https"),
        ({"labels": None}, "refused: "),
    ],
)
def test_a_refused_record_is_a_target_that_says_why_until_it_is_mended(
    member: Member, fields: dict[str, Any], says: str
) -> None:
    member.assign(0, bmc("a"), bmc("b"))
    member.assignment.update(0, {**bmc("a"), **fields})
    member.assignment.apply_changes()
    [reader] = member.changes[-1].added

    assert (["a"], ["a"]) == member.last
    with pytest.raises(PollFailed, match=says):
        reader.read("system", 1.0)
    member.assignment.update(0, bmc("a"))
    member.assignment.apply_changes()
    assert isinstance(member.changes[-1].added[0], HostSource)


def test_a_password_in_a_refused_address_is_not_published(member: Member) -> None:
    member.assign(0, {**bmc("a"), "address": "https://u:hunter2@a"})
    [reader] = member.changes[-1].added

    assert "https://a" == reader.address


def test_a_host_that_cannot_be_shown_is_ignored_and_the_others_are_polled(member: Member) -> None:
    member.assign(0, {**bmc("a"), "host": "a" * 10_000}, {**bmc("b"), "host": ""}, bmc("c"))

    assert (["c"], []) == member.last


def test_a_reader_that_cannot_be_created_for_any_reason_concerns_its_target_only(member: Member) -> None:
    member.errors["a"] = UnicodeDecodeError("utf-8", b"", 0, 1, "binary")
    member.assign(0, bmc("a"), bmc("b"))
    failing, working = sorted(member.changes[-1].added, key=lambda reader: reader.host)

    assert isinstance(working, HostSource)
    with pytest.raises(PollFailed, match="UnicodeDecodeError"):
        failing.read("system", 1.0)
    member.assignment.retry_unavailable()
    member.errors.clear()
    member.assignment.retry_unavailable()
    assert isinstance(member.changes[-1].added[0], HostSource)


def test_the_thread_that_applies_targets_survives_any_error(member: Member) -> None:
    member.unforeseen = [RuntimeError("unforeseen")]
    stop = threading.Event()
    thread = threading.Thread(target=member.assignment.run, args=(stop,))
    member.assignment.assign([0])
    member.assignment.update(0, bmc("a"))
    member.assignment.mark_complete(0)
    thread.start()
    until(lambda: member.changes, timeout_s=20)
    stop.set()
    thread.join(20)

    assert (["a"], []) == member.last
