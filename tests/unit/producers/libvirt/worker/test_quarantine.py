"""Who hangs, judged by looks at what keeps each domain busy; and how long it is left out."""

from __future__ import annotations

import pytest

from producers.libvirt.worker.quarantine import InspectionHistory, MonitorState, Quarantine


def occupied(since_ms: int) -> MonitorState:
    return MonitorState("vm", 2, 0, since_ms)


def job(since_ms: int) -> MonitorState:
    return MonitorState("vm", 1, 0, since_ms)


INTERNAL, BROKEN = MonitorState("vm", 3, 3, 1795240880404), MonitorState("vm", 3, 2, 0)


@pytest.mark.parametrize(
    ("looks", "round_ms", "out", "expected"),
    [
        pytest.param([occupied(480), occupied(730)], 1000, [], True, id="in the same command at two looks"),
        pytest.param([occupied(730)], 1000, [], False, id="one look is not enough"),
        pytest.param([occupied(200), occupied(450)], 1000, [], False, id="not for long enough"),
        pytest.param([occupied(480), occupied(5)], 1000, [], False, id="in another command: it answers"),
        pytest.param([occupied(480), None, occupied(730)], 1000, [], False, id="free in between"),
        pytest.param([occupied(9480), occupied(9730)], 1000, ["vm"], False, id="since before the round"),
        pytest.param([job(300000), job(300250)], 1000, [], False, id="a migration looked at twice"),
        pytest.param([job(300000 + n) for n in range(4)], 1000, [], True, id="a migration that stands still"),
        pytest.param([job(300000 + n) for n in range(4)], 1000, ["vm"], False, id="one that was left out"),
        pytest.param([INTERNAL] * 4, 1000, [], True, id="libvirt itself waits, for a disk perhaps"),
        pytest.param([INTERNAL] * 3, 1000, [], False, id="libvirt itself is at work"),
        pytest.param([BROKEN] * 4, 1000, [], False, id="a broken monitor: nobody waits for it"),
    ],
)
def test_who_hangs(looks, round_ms, out, expected):
    found = InspectionHistory()
    for look in looks:
        found.add({"vm": look} if look else {}, None)

    assert expected == bool(found.find_hung(round_ms, out))


@pytest.mark.parametrize(
    ("busy", "round_ms", "expected"),
    [
        pytest.param(occupied(230), 500, True, id="in one command for long"),
        pytest.param(occupied(20), 500, False, id="in a command"),
        pytest.param(occupied(9230), 500, False, id="since before the round, which does not wait for it"),
        pytest.param(job(300), 500, False, id="at work for somebody"),
    ],
)
def test_who_is_suspected_before_it_counts_as_hung(busy, round_ms, expected):
    found = InspectionHistory()
    found.add({"vm": busy}, None)

    assert expected == found.has_suspect(round_ms)
    assert set() == found.find_hung(round_ms, [])


@pytest.mark.parametrize(("since_ms", "expected"), [(1999, set()), (2000, {"vm"})])
def test_single_calls_that_take_seconds_hang(since_ms, expected):
    found = InspectionHistory()
    found.add({}, ("vm", since_ms))

    assert expected == found.find_hung(5000, [])


def test_one_that_hangs_is_out_until_it_answers():
    cases = Quarantine()
    cases.add("a", 0.0)
    out = (cases.quarantined, cases.held(0.0))
    cases.update(["a"], 1.0)
    still = cases.quarantined
    cases.update([], 2.0)

    assert ((["a"], []), ["a"], []) == (out, still, cases.quarantined)


def test_one_that_a_round_found_is_out_too():
    cases = Quarantine()
    cases.update(["a"], 0.0)

    assert ["a"] == cases.quarantined


def test_one_that_hangs_again_and_again_is_held_longer_each_time():
    cases, holds, now_s = Quarantine(), [], 0.0
    for _ in range(7):
        cases.add("a", now_s)
        hold_s = next(n for n in range(100) if not cases.held(now_s + n))
        holds.append(hold_s)
        cases.update(["a"], now_s)
        now_s += hold_s + 1
        cases.update([], now_s)

    assert [0, 5, 10, 20, 40, 60, 60] == holds


def test_an_old_case_is_forgotten():
    cases = Quarantine()
    cases.add("a", 0.0)
    cases.update([], 1.0)
    cases.update([], 302.0)
    cases.add("a", 303.0)

    assert [] == cases.held(303.0)
