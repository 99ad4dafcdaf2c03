"""A fleet file that changes: what is new in it, and that nothing else is touched."""

import os
import threading

import pytest

from producers.fleet import config
from producers.fleet.file_watcher import FileWatcher
from producers.fleet.reload import FleetReloader, diff_targets, targets_by_host
from producers.fleet.targets import HostTarget, RedfishTarget
from producers.host import reader as host
from runtime.errors import Misconfigured


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fleet.yaml"


def test_new_text_counts_when_it_was_the_same_at_two_looks(path):
    path.write_text("old")
    watched = FileWatcher(path, "old")
    assert None is watched.poll()

    path.write_text("ne")  # an editor in the middle of writing
    assert None is watched.poll()
    path.write_text("new")
    assert None is watched.poll()
    assert ["new", None] == [watched.poll(), watched.poll()]


def test_new_text_counts_at_once_when_asked_for(path):
    path.write_text("new")

    assert ["new", None] == [(watched := FileWatcher(path, "old")).poll(immediate=True), watched.poll(immediate=True)]


def test_a_file_that_is_touched_gone_or_back_is_no_new_text(path):
    path.write_text("old")
    watched = FileWatcher(path, "old")
    os.utime(path, (1, 1))
    looks = [watched.poll(), watched.poll()]
    path.unlink()
    looks += [watched.poll(), watched.poll(immediate=True)]
    path.write_text("old")

    assert [None] * 6 == [*looks, watched.poll(), watched.poll()]


def test_new_text_of_the_same_size_and_time_is_found_when_asked_for(path):
    path.write_text("old")
    watched = FileWatcher(path, "old")
    os.utime(path, (1, 1))
    watched.poll()
    path.write_text("new")
    os.utime(path, (1, 1))

    assert "new" == watched.poll(immediate=True)


def bmc(name, **more):
    return RedfishTarget(host=name, address=f"https://{name}", **more)


def test_the_difference_of_two_fleets_is_what_begins_and_what_ends():
    old = {each.host: each for each in (bmc("same"), bmc("gone"), bmc("other", labels={"rack": "r1"}))}
    new = {each.host: each for each in (bmc("same"), bmc("new"), bmc("other", labels={"rack": "r2"}))}

    begin, end = diff_targets(old, new)
    assert {"new", "other"} == {target.host for target in begin}
    assert {"gone", "other"} == end


ONE = "host: {targets: [{host: a}]}\n"
TWO = "host: {targets: [{host: a}, {host: b}]}\n"


@pytest.fixture
def reloading(path):
    def make(wanted):
        return [host.create_reader(target, target.interval) for target in wanted]

    changes = []
    found = FleetReloader(path, ONE, "host", create_readers=make, on_change=changes.append)
    found.changes = changes
    return found


def test_a_change_holds_what_begins_and_what_ends_and_nothing_else(reloading):
    reloading.apply(TWO)
    reloading.apply(ONE)

    assert [["b"], []] == [[reader.host for reader in change.added] for change in reloading.changes]
    assert [set(), {"b"}] == [set(change.removed) for change in reloading.changes]


@pytest.mark.parametrize("wrong", ["host: [", "host: {targets: [{host: a}, {host: a}]}", "hosts: {}", "- a"])
def test_a_file_that_is_not_right_is_refused_and_said_and_the_next_that_is_right_is_taken(reloading, wrong, capsys):
    reloading.apply(wrong)
    assert [] == reloading.changes
    assert "rejected" in "".join(capsys.readouterr())

    reloading.apply(TWO)
    assert ["b"] == [reader.host for reader in reloading.changes[0].added]


@pytest.mark.parametrize("error", [Misconfigured("BMC_PASSWORD is not set"), RuntimeError("unforeseen")])
def test_a_fleet_is_refused_whole_if_one_reader_cannot_be_had(path, error):
    def make(wanted):
        raise error

    changes = []
    FleetReloader(path, ONE, "host", create_readers=make, on_change=changes.append).apply(TWO)

    assert [] == changes


def test_other_sources_of_the_file_are_nobodys_business(reloading):
    reloading.apply(ONE + "libvirt: {targets: [{host: k, uri: 'test:///default'}]}\n")

    assert [] == reloading.changes


def test_a_signal_has_the_file_read_without_waiting_for_a_second_look(path):
    path.write_text(TWO)
    stop, changed = threading.Event(), threading.Event()
    found = FleetReloader(path, ONE, "host", create_readers=lambda _: [], on_change=lambda _: changed.set())
    found.trigger()
    thread = threading.Thread(target=found.run, args=(stop,))
    thread.start()
    try:
        assert changed.wait(30)
    finally:
        stop.set()
        found.trigger()
        thread.join()


def test_targets_are_found_by_host(path):
    fleet = config.parse(TWO, path)

    assert {"a": "a", "b": "b"} == {name: target.host for name, target in targets_by_host(fleet, "host").items()}
    assert isinstance(targets_by_host(fleet, "host")["a"], HostTarget)
