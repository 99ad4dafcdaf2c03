"""Presence: who is silent and what cannot be read, from recorded heartbeats alone."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors import presence
from processors.engine.partition import Partition
from processors.testing import run_step
from schemas import catalog, codec
from schemas.testing import START_TIME, make_record


def beat(at_s, producer="p1", *, failing=(), failing_count=None, status="unreachable", **fields):
    names = [make_record("FailingTarget", host=each, status=status, labels={"rack": "r1"}) for each in failing]
    defaults = {
        "producer": producer, "epoch": "0-a", "sequence": int(at_s), "interval_s": 10.0, "source": "redfish",
        "targets": 1000, "observed_at": START_TIME + timedelta(seconds=at_s), "failing": names,
        "failing_count": len(names) if failing_count is None else failing_count,
    }  # fmt: skip
    return make_record("Heartbeat", **(defaults | fields))


def told(beats):
    found = run_step(presence.STEP, beats)
    return [each for outputs in found for each in outputs.get("alerts", ())]


def said(beats):
    return [(each["transition"], each["rule"], each["host"], each["cause"]) for each in told(beats)]


def both(begin_s, end_s, **fields):
    """Beats of p1, with these fields, and of p2."""
    return [each for n in range(begin_s, end_s, 10) for each in (beat(n, **fields), beat(n + 5, "p2"))]


def alone(begin_s, end_s):
    return [beat(n + 5, "p2") for n in range(begin_s, end_s, 10)]


SILENT = ("raised", "producer-silent", "p1", None)
HEARD = ("cleared", "producer-silent", "p1", "recovered")


def test_a_producer_three_beats_late_is_silent_and_heard_again_when_it_beats():
    found = told([*both(0, 50), *alone(50, 120), *both(120, 150)])

    assert [SILENT, HEARD] == [(e["transition"], e["rule"], e["host"], e["cause"]) for e in found]
    assert (
        timedelta(seconds=30) < found[0]["started_at"] - (START_TIME + timedelta(seconds=40)) <= timedelta(seconds=45)
    )
    assert "its 1000 targets are unknown" in found[0]["text"]
    assert 1000.0 == found[0]["value"]


def test_time_in_which_nobody_beats_makes_nobody_silent():
    assert [] == said([*both(0, 50), *both(3600, 3650)]), "Kafka was away, not one of them"


def test_nobody_is_judged_by_its_own_beats():
    assert [] == said([beat(n) for n in (0, 10, 500, 510, 9000)])


def test_a_producer_that_says_it_stops_is_not_silent():
    assert [] == said([*both(0, 50), beat(50, stopping=True), *alone(50, 500)])


def test_a_restarted_producer_is_heard():
    assert [] == said([*both(0, 50), *both(70, 120, epoch="1-b")])


# --- targets ----------------------------------------------------------------------------------------------------------


def test_a_target_that_fails_for_two_beats_is_an_alert_and_clears_when_it_is_read():
    found = told([beat(0, failing=["n1"]), beat(10, failing=["n1"]), beat(20, failing=["n1"]), beat(30)])

    assert [("raised", "target-unreachable", "n1", 10), ("cleared", "target-unreachable", "n1", 30)] == [
        (each["transition"], each["rule"], each["host"], each["sequence"]) for each in found
    ]
    assert {"rack": "r1"} == found[0]["labels"]


def test_a_target_stopped_while_it_fails_has_not_recovered_and_raises_nothing_more():
    failing, stopped = [beat(n, failing=["n1"]) for n in (0, 10)], [beat(n, stopped=["n1"]) for n in range(20, 90, 10)]
    group = [beat(n, failing=MANY[:20]) for n in (0, 10)], [beat(20, failing=MANY[:5], stopped=MANY[5:20]), beat(30)]

    assert [
        ("raised", "target-unreachable", "n1", None),
        ("cleared", "target-unreachable", "n1", "unknown"),
    ] == said([*failing, *stopped])
    assert ["raised", "cleared"] == [each["transition"] for each in told([*group[0], *group[1]])]
    all_stopped = told([*group[0], beat(20, stopped=MANY[:20])])
    assert [None, "unknown"] == [each["cause"] for each in all_stopped]


def test_a_target_that_fails_for_one_beat_is_none():
    assert [] == said([beat(0, failing=["n1"]), beat(10), beat(20, failing=["n1"]), beat(30)])


def test_another_reason_is_another_alert():
    beats = [beat(n, failing=["n1"]) for n in (0, 10)] + [
        beat(n, failing=["n1"], status="auth_failed") for n in (20, 30)
    ]

    assert [
        ("raised", "target-unreachable", "n1", None),
        ("cleared", "target-unreachable", "n1", "recovered"),
        ("raised", "target-auth-failed", "n1", None),
    ] == said(beats)


MANY = [f"n{n}" for n in range(100)]


def test_a_mass_outage_is_one_alert():
    beats = [beat(n, failing=MANY, failing_count=10_000, targets=20_000) for n in range(0, 60, 10)]

    assert [("raised", "targets-failing", "p1", None)] == said(beats)
    assert "10000 of 20000" in told(beats)[0]["text"]


def test_a_mass_outage_ends_when_all_are_read():
    beats = [*[beat(n, failing=MANY[:50]) for n in (0, 10)], beat(20, failing=MANY[:5]), beat(30)]

    assert ["raised", "cleared"] == [each["transition"] for each in told(beats)]


def test_one_that_grows_is_updated():
    beats = [*[beat(n, failing=MANY[:20]) for n in (0, 10)], *[beat(n, failing=MANY[:60]) for n in range(20, 120, 10)]]
    found = told(beats)

    assert [("raised", 20.0), ("updated", 60.0)] == [(each["transition"], each["value"]) for each in found]


def test_nine_that_fail_are_nine_alerts_and_the_tenth_within_the_time_begins_a_group():
    nine = [*[beat(n, failing=MANY[:9]) for n in (0, 10)]]
    ten = [beat(n, failing=MANY[:10]) for n in (20, 30)]
    late = [beat(n, failing=MANY[:10]) for n in (600, 610)]

    assert {"target-unreachable": 9} == counted(nine)
    assert {"target-unreachable": 9, "targets-failing": 1} == counted([*nine, *ten])
    assert {"target-unreachable": 10} == counted([*nine, *late])


def counted(beats):
    rules = [each["rule"] for each in told(beats)]
    return {rule: rules.count(rule) for rule in rules}


def test_what_a_silent_producer_had_told_is_unknown_under_its_one_alert():
    found = said([*both(0, 50, failing=["n1", "n2"]), *alone(50, 120), *both(120, 150)])

    assert [
        ("raised", "target-unreachable", "n1", None),
        ("raised", "target-unreachable", "n2", None),
        ("cleared", "target-unreachable", "n1", "unknown"),
        ("cleared", "target-unreachable", "n2", "unknown"),
        SILENT,
        HEARD,
    ] == found


def test_a_producer_unheard_of_for_a_week_is_no_longer_expected():
    week = 7 * 24 * 3600
    found = said([*both(0, 50), *alone(50, 120), *alone(week, week + 100)])

    assert [SILENT, ("cleared", "producer-silent", "p1", "gone")] == found


# --- memory -----------------------------------------------------------------------------------------------------------

EVENTS = st.lists(
    st.tuples(st.sampled_from(["p1", "p2", "p3"]), st.sampled_from([1, 5, 10, 40]), st.integers(0, 14)), max_size=30
)


def history(events):
    beats, now = [], 0
    for producer, after_s, failing in events:
        now += after_s
        beats.append(beat(now, producer, failing=MANY[:failing]))
    return beats


@given(EVENTS, st.integers(0, 30))
def test_a_worker_restarted_from_its_memory_goes_on_as_if_it_had_not(events, cut):
    beats = history(events)
    whole = run_step(presence.STEP, beats)
    schema = catalog.schema("PresenceState")
    restarted = Partition(catalog.load(), [presence.STEP])
    for outputs in whole[:cut]:
        for memory in outputs["state-presence"]:
            restarted.restore_state(presence.STEP, codec.Decoder(schema).decode(codec.encode(schema, memory)))
    again = [restarted.apply(each).outputs for each in beats]

    assert [[]] * min(cut, len(beats)) == again[:cut], "what is at or before its memory is skipped"
    assert [out.get("alerts", []) for out in whole[cut:]] == [
        [output.record for output in outputs if not output.is_memory] for outputs in again[cut:]
    ]


@given(EVENTS)
def test_an_alert_is_raised_once_until_it_is_cleared(events):
    active = set()
    for each in told(history(events)):
        identity = (each["rule"], each["host"], each["component"])
        if each["transition"] == "raised":
            assert identity not in active
            active.add(identity)
        elif each["transition"] == "cleared":
            active.remove(identity)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, 0.0, 1e308])
def test_an_absurd_interval_is_bounded(value):
    assert [] == said(both(0, 100, interval_s=value))


# --- shared targets ---------------------------------------------------------------------------------------------------


def test_a_target_that_moves_while_it_fails_has_not_recovered():
    beats = [beat(n, failing=["h"]) for n in range(0, 40, 10)]
    beats += [beat(n, released=["h"]) for n in range(40, 60, 10)]

    assert [("raised", "target-unreachable", "h", None), ("cleared", "target-unreachable", "h", "unknown")] == said(
        beats
    )


def test_targets_of_a_silent_producer_that_shares_them_are_left_to_the_others():
    [found] = told([*both(0, 50, shared=True), *alone(50, 120)])

    assert "its 1000 targets are left to others of its group" in found["text"]
