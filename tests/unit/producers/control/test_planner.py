"""Commands: which holds for whom, what a new one changes, what people are told of it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.control import planner
from producers.control.planner import NoSuchTarget
from schemas.commands import DesiredState, Scope, describe_stop, is_stop, parse_key
from schemas.testing import START_TIME, make_record

SOURCES, HOSTS = ("redfish", "libvirt"), ("h1", "h2", "a:b")
TARGETS = [(source, host) for source in SOURCES for host in HOSTS]
SCOPES = st.builds(Scope, st.sampled_from([None, *SOURCES]), st.sampled_from([None, *HOSTS]))
ALL = Scope()
DESIRED = st.sampled_from(["running", "stopped"])
GIVEN = st.dictionaries(SCOPES, DESIRED, max_size=12)


def command(about=ALL, desired="stopped", **fields):
    return make_record("Control", key=about.key, desired=desired, **({"by": "ann", "reason": ""} | fields))


def desired_state(commands):
    return DesiredState.from_records([command(*entry) for entry in commands.items()])


def stopped(desired):
    return {target for target in TARGETS if desired.stop_command_for(*target)}


@given(GIVEN, st.randoms())
def test_the_most_specific_holds_whatever_the_order(given_, chance):
    shuffled = list(given_.items())
    chance.shuffle(shuffled)
    found = desired_state(dict(shuffled))
    for source, host in TARGETS:
        named = (Scope(source, host), Scope(None, host), Scope(source), Scope())
        expected = next((given_[each] for each in named if each in given_), "running")
        assert (expected == "stopped") == bool(found.stop_command_for(source, host))


def test_what_no_command_names_runs():
    assert None is DesiredState().command_for("redfish", "h1")
    assert set() == stopped(DesiredState())


@given(SCOPES)
def test_a_key_tells_its_scope(about):
    assert about == parse_key(about.key)
    assert {target for target in TARGETS if about.includes(*target)} == stopped(desired_state({about: "stopped"}))


@pytest.mark.parametrize("key", ["", "host:", "host", "source:", "target:redfish", "target::h1", "rack:r1", "**"])
def test_a_key_that_is_none_of_ours_names_nothing(key):
    assert None is parse_key(key)
    assert set() == stopped(DesiredState.from_records([command() | {"key": key}]))


def test_a_stop_says_who_and_why():
    assert "stopped by ann" == describe_stop(command())
    assert "stopped by ann: new PSU" == describe_stop(command(reason="new PSU"))


@given(GIVEN, SCOPES)
def test_a_stop_stops_all_it_names_and_nothing_else(given_, about):
    before = desired_state(given_)
    after = planner.apply_changes(before, planner.plan_changes(before, command(about), TARGETS))

    assert stopped(before) | {target for target in TARGETS if about.includes(*target)} == stopped(after)


@given(GIVEN, SCOPES)
def test_a_start_starts_all_it_names_but_what_was_stopped_more_closely(given_, about):
    before = desired_state(given_)
    after = planner.apply_changes(before, planner.plan_changes(before, command(about, "running"), TARGETS))
    left = stopped(before) & stopped(after)

    assert stopped(after) <= stopped(before)
    assert {target for target in stopped(before) if not about.includes(*target)} <= left
    for target in left:
        held = parse_key(before.stop_command_for(*target)["key"])
        assert not about.includes(*target) or (held.host is not None, held.source is not None) > (
            about.host is not None, about.source is not None,
        )  # fmt: skip


def test_a_start_for_one_target_does_not_outlive_the_next_stop_of_all():
    started = desired_state({Scope(): "stopped", Scope("redfish", "h1"): "running"})
    changes = planner.plan_changes(started, command(), TARGETS)

    assert {"*": True, "target:redfish:h1": False} == {key: bool(each) for key, each in changes.items()}


def status(host, state="up", source="redfish", **fields):
    return make_record("TargetStatus", source=source, host=host, status=state, producer=f"{source}-1", **fields)


@pytest.mark.parametrize(
    ("source", "host", "says"),
    [
        pytest.param(
            "redfish", "h", r"no target of redfish is called h; did you mean h1\?", id="a host nearly written so"
        ),
        pytest.param(None, "zzz", "`rackstream targets status` lists all", id="a host like no other"),
        pytest.param(
            "libvirt", None, "libvirt has no targets; sources with targets: redfish", id="a source without any"
        ),
        pytest.param("libvirt", "h1", "libvirt has no targets", id="a host that another source has"),
    ],
)
def test_a_command_about_nothing_says_what_there_is(source, host, says):
    with pytest.raises(NoSuchTarget, match=says):
        planner.check_scope(Scope(source, host), {("redfish", "h1")}, DesiredState())


def test_a_command_about_a_target_that_is_gone_may_be_taken_back():
    planner.check_scope(Scope("redfish", "gone"), set(), desired_state({Scope("redfish", "gone"): "stopped"}))


def test_what_stands_as_is_commanded_is_told_from_what_does_not():
    found = desired_state({Scope("redfish"): "stopped", Scope(None, "h3"): "running"})
    statuses = [
        status("h1", "stopped", stopped_by="ann"),
        status("h2", "up"),
        status("h3", "stopped", stopped_by="ann"),
        status("h4", "stopped", stopped_by=None),
        status("k1", "unreachable", "libvirt"),
    ]
    told = planner.summarize(found, statuses)

    assert {
        "redfish": {"targets": 4, "running": 1, "stopped": 3, "pending": 2},
        "libvirt": {"targets": 1, "running": 1, "stopped": 0, "pending": 0},
    } == told["observed"]
    assert [("h2", "stopped"), ("h3", "running")] == [(each["host"], each["desired"]) for each in told["pending"]]
    assert ["source:redfish", "host:h3"] == [each["key"] for each in told["desired"]]


@pytest.mark.parametrize(
    ("given_", "asked", "statuses", "says"),
    [
        pytest.param({}, command(Scope("redfish")), [status("h1", "stopped"), status("h2", "stopped")],
                     "all targets of redfish: stopped, 2 targets", id="done"),
        pytest.param({}, command(Scope(None, "h1")), [status("h1")],
                     "h1: to be stopped; 1 of 1 target pending until their producers (redfish-1) apply the command",
                     id="not obeyed yet"),
        pytest.param({Scope("redfish", "h1"): "stopped"}, command(desired="running"),
                     [status("h1", "stopped"), status("h2")],
                     "all targets: started, 2 targets. 1 stay stopped by more specific commands: redfish of h1",
                     id="what stays stopped"),
    ],
)  # fmt: skip
def test_people_are_told_what_has_come_of_a_command(given_, asked, statuses, says):
    before = desired_state(given_)
    after = planner.apply_changes(before, planner.plan_changes(before, asked, TARGETS))

    assert says == planner.describe_result(after, asked, statuses)


def test_the_time_of_a_command_is_part_of_it():
    made = planner.create_command(Scope("redfish", "h1"), "stopped", author="ann", reason="", at=START_TIME)

    assert command(Scope("redfish", "h1"), at=START_TIME) == made
    assert is_stop(made)
