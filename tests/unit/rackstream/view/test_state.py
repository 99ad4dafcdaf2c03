"""The state behind the view: what records of removed targets, dead letters and changes do to it, in any order."""

import random
from datetime import timedelta

import pytest

from rackstream.view import state as state_module
from rackstream.view.state import HANDLERS, FleetState, make_decoder
from schemas import catalog, codec
from schemas.sources import SOURCE_BY_TOPIC
from schemas.testing import START_TIME, make_raw_record, make_record
from tests.unit.rackstream.view.test_model import TOPICS, alert, domains, encoded, presence, target, thermal

DECODE = make_decoder(TOPICS)


def applied(*records, state=None):
    """A state to which these records were applied, with its list columns up to date."""
    state = state or FleetState(DECODE)
    for alias, record in records:
        state.apply(*encoded(alias, record))
    assert state.update_lists()
    return state


def live(*records):
    """A state to which these records were applied before it was ready: later changes are events."""
    state = applied(*records)
    state.emits_events = True
    return state


def removed(host="h1", at_s=0.0, alias="raw-redfish"):
    """The last record of a target that is not polled any longer."""
    kinds = {"raw-redfish": "RedfishSample", "raw-libvirt": "LibvirtSample"}
    return alias, make_raw_record(kinds[alias], host=host, category="removed", at_s=at_s)


def health(overall="ok", host="h1", at_s=0.0):
    observed_at = START_TIME + timedelta(seconds=at_s)
    return "state-health", make_record(
        "Health", host=host, category="thermal", overall=overall, observed_at=observed_at
    )


def events(state):
    return [(event.kind, event.data) for event in state.events]


# What is no record

FRAME = codec.encode(catalog.schema("RedfishSample"), thermal("h1", (1.0, 2.0))[1])[:5]


@pytest.mark.parametrize("alias", sorted(TOPICS.topics))
def test_no_bytes_on_any_topic_make_the_state_raise(alias):
    state, rng = applied(target(), thermal("h1", (40.0, 80.0))), random.Random(7)
    for length in [15] * 300 + list(range(60)):
        noise = rng.randbytes(length)
        for value in (noise, b"\0" + noise, FRAME + noise, FRAME + b"\2a\2b" + b"\xff" * 9 + b"\1", None):
            state.apply(alias, rng.randbytes(5), value)
            state.update_lists()

    assert ["h1"] == list(state.hosts)
    assert state.undecodable > 100 or alias not in HANDLERS | SOURCE_BY_TOPIC
    assert applied(thermal("h2", (40.0, 80.0)), state=state).hosts["h2"].last_seen_us > 0


def test_a_decoder_that_fails_in_any_way_is_counted_and_the_next_record_is_applied():
    def decode(alias, value):
        raise RuntimeError("Kafka does not tell the schema")

    state = FleetState(decode)
    state.apply(*encoded(*target()))
    state.apply(*encoded(*thermal("h1", (40.0, 80.0))))
    assert state.update_lists()

    assert 2 == state.undecodable
    assert {} == state.hosts


# Removed targets and late records


@pytest.mark.parametrize("removal", [removed(at_s=20), target(removed=True, at_s=20)], ids=["a record", "a status"])
@pytest.mark.parametrize(
    ("at_s", "hosts"),
    [pytest.param(19, [], id="before"), pytest.param(20, [], id="at"), pytest.param(21, ["h1"], id="after")],
)
def test_after_a_removal_only_records_of_a_later_time_bring_a_host_back(removal, at_s, hosts):
    state = applied(thermal("h1", (40.0, 80.0)), removal)
    assert {} == state.hosts

    assert hosts == list(applied(thermal("h1", (40.0, 80.0), at_s=at_s), state=state).hosts)


def test_derived_records_of_a_removed_target_are_late_too():
    state = applied(target(), removed(at_s=20), health(at_s=19), ("power", make_record("Power", host="h1")))

    assert {} == state.hosts


def test_a_status_of_a_target_that_was_added_again_lets_older_records_count():
    state = applied(removed(at_s=20), target(at_s=30), thermal("h1", (40.0, 80.0), at_s=19))

    assert 40.0 == state.hosts["h1"].hottest.celsius


def test_a_removal_that_is_older_than_the_status_of_the_target_removes_nothing():
    state = applied(target(at_s=30), thermal("h1", (40.0, 80.0), at_s=29), removed(at_s=20))

    assert {"redfish": "up"} == state.hosts["h1"].row((), 0).statuses
    assert {("h1", "redfish")} == state.target_statuses.keys()


def test_a_removal_drops_all_that_came_from_the_source_and_nothing_else():
    state = applied(
        target(labels={"rack": "r1"}), target(source="libvirt", labels={"site": "s1"}),
        thermal("h1", (40.0, 80.0)), health("critical"), ("power", make_record("Power", host="h1", consumed_watts=9.0)),
        domains("h1", "a"),
    )  # fmt: skip
    applied(removed(at_s=20), domains("h1", "a", "b", at_s=19), state=state)
    row = state.hosts["h1"].row((), 0)

    assert (None, "unknown", None) == (row.hottest, row.health, row.watts)
    assert ({"libvirt": "up"}, {"site": "s1"}, 2) == (row.statuses, row.labels, row.vms)
    assert {("h1", "libvirt")} == state.target_statuses.keys()
    assert [("raw-libvirt", "")] == list(state.hosts["h1"].records)
    assert "h1 site=s1" == state.hosts["h1"].search_text
    assert {} == applied(removed(at_s=20, alias="raw-libvirt"), state=state).hosts


def test_the_removal_of_a_host_that_is_not_listed_makes_its_older_records_late():
    state = live(removed(at_s=20), thermal("h1", (40.0, 80.0), at_s=10))
    applied(removed("h2", at_s=20), thermal("h2", (40.0, 80.0), at_s=10), state=state)

    assert ({}, []) == (state.hosts, events(state))


def test_the_oldest_removals_are_forgotten(monkeypatch):
    monkeypatch.setattr(state_module, "MAX_REMOVED", 2)
    state = applied(*(removed(f"h{n}", at_s=20) for n in range(3)))
    applied(*(thermal(f"h{n}", (40.0, 80.0), at_s=10) for n in range(3)), state=state)

    assert ["h0"] == list(state.hosts)


def test_a_record_without_a_value_changes_nothing():
    state = applied(target())
    for alias in ("raw-redfish", "state-targets", "heartbeats", "alerts"):
        state.apply(alias, b"h1", None)

    assert (["h1"], 0) == (list(state.hosts), state.undecodable)


def test_raw_records_say_when_a_host_was_seen_and_derived_ones_do_not():
    state = applied(thermal("h1", (40.0, 80.0), at_s=5), health(at_s=9))

    assert START_TIME + timedelta(seconds=5) == state.hosts["h1"].seen_at


# List columns


def test_of_many_records_of_a_kind_only_the_first_of_a_new_host_and_the_newest_are_decoded():
    decoded = []

    def decode(alias, value):
        decoded.append(alias)
        return DECODE(alias, value)

    records = [thermal("h1", (40.0 + n, 80.0), at_s=n) for n in range(5)]
    state = applied(*records, state=FleetState(decode))

    assert (["raw-redfish"] * 2, 44.0) == (decoded, state.hosts["h1"].hottest.celsius)
    assert {"raw-redfish": 5} == state.record_counts


def test_what_a_time_budget_leaves_is_done_by_the_next_update():
    state = FleetState(DECODE)
    for n in range(3):
        state.apply(*encoded(*thermal(f"h{n}", (40.0, 80.0))))
    done = [state.update_lists(0.0) for _ in range(3)]

    assert [False, False, True] == done
    assert [40.0] * 3 == [host.hottest.celsius for host in state.hosts.values()]


def test_a_host_that_was_removed_before_its_columns_were_updated_is_passed_over():
    state = FleetState(DECODE)
    for record in (thermal("h1", (40.0, 80.0)), removed(at_s=20)):
        state.apply(*encoded(*record))

    assert state.update_lists()
    assert {} == state.hosts


def test_a_record_whose_body_cannot_be_decoded_is_counted_and_leaves_the_columns_as_they_are():
    state = applied(thermal("h1", (40.0, 80.0)))
    alias, key, value = encoded(*thermal("h1", (50.0, 80.0), at_s=1))
    state.apply(alias, key, value[:-1])

    assert state.update_lists()
    assert (1, 40.0) == (state.undecodable, state.hosts["h1"].hottest.celsius)


# Dead letters


def letter(n, stage="processors", reason="truncated"):
    return make_record("DeadLetter", topic="t", offset=n, stage=stage, reason=reason, value=b"x")


def key(n, *about):
    return TOPICS["dead-letter"].key_of(letter(n, *about))


def test_a_dead_letter_is_open_from_its_record_to_its_tombstone():
    state = applied(("dead-letter", letter(1)), ("dead-letter", letter(2, "sink-files", "refused")))
    assert [("processors", "truncated"), ("sink-files", "refused")] == list(state.dead_letters.values())
    state.apply("dead-letter", key(1), None)
    state.apply("dead-letter", key(9), None)

    assert [key(2, "sink-files")] == list(state.dead_letters)


def test_a_dead_letter_that_is_written_again_is_one_and_as_it_is_now():
    records = (letter(1), letter(2), letter(1, reason="step-failed"))
    state = applied(*(("dead-letter", record) for record in records))

    assert [(key(2), "truncated"), (key(1), "step-failed")] == [
        (name, head.reason) for name, head in state.dead_letters.items()
    ]


def test_the_oldest_dead_letters_beyond_a_limit_are_not_held(monkeypatch):
    monkeypatch.setattr(state_module, "MAX_DEAD_LETTERS", 2)
    state = applied(*(("dead-letter", letter(n)) for n in (1, 2, 1, 3)))

    assert [key(1), key(3)] == list(state.dead_letters)


# Events


def test_a_host_is_announced_when_it_appears_and_when_its_last_source_is_removed():
    state = applied(target(), target(source="libvirt"), removed(at_s=20), state=live())
    assert ("host", {"host": "h1", "known": True}) == events(state)[0]
    assert 1 == [kind for kind, _ in events(state)].count("host")
    applied(removed(at_s=20, alias="raw-libvirt"), state=state)

    assert ("host", {"host": "h1", "known": False}) == events(state)[-1]


def test_only_a_change_of_status_or_health_is_an_event():
    state = live(target(), health("ok"))
    for record in (target(at_s=1), target(status="slow", at_s=2), health("ok"), health("critical")):
        applied(record, state=state)

    assert [
        ("status", {"host": "h1", "source": "redfish", "status": "slow", "before": "up"}),
        ("health", {"host": "h1", "health": "critical", "before": "ok"}),
    ] == events(state)


def test_a_producer_is_an_event_when_it_falls_silent_when_it_is_back_and_when_it_is_forgotten():
    state = live()
    applied(presence("silent"), presence("silent"), presence("alive"), presence("silent"), state=state)
    state.apply("state-presence", b"redfish-p", None)

    assert [True, False, True, False] == [data["silent"] for _, data in events(state)]
    assert frozenset() == state.silent_producers


@pytest.mark.parametrize(
    ("last", "numbers", "missed"),
    [
        pytest.param(None, [], False, id="the newest number alone"),
        pytest.param(5, [], False, id="nothing new"),
        pytest.param(3, [4, 5], False, id="some"),
        pytest.param(2, [3, 4, 5], False, id="all that are held"),
        pytest.param(1, [3, 4, 5], True, id="more than are held"),
        pytest.param(9, [], True, id="a number of an earlier process"),
    ],
)
def test_events_after(last, numbers, missed, monkeypatch):
    monkeypatch.setattr(state_module, "MAX_EVENTS", 3)
    state = applied(*(alert(f"a{n}") for n in range(5)), state=live())
    found = state.events_after(last)

    assert (numbers, 5, missed) == ([event.number for event in found[0]], *found[1:])


def test_decoding_raises_for_the_caller_and_not_for_the_state():
    state = FleetState(DECODE)

    assert None is state.decode("raw-redfish", b"no record")
    assert 1 == state.undecodable
    with pytest.raises(codec.DecodeError):
        DECODE("raw-redfish", b"no record")
