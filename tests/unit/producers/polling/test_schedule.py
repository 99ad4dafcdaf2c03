"""Cadence, back-off and shares of the workers, on a clock moved by hand: nothing is polled and nobody waits."""

import heapq
import itertools
import random
from dataclasses import dataclass, field

import pytest

from producers.polling import schedule
from producers.polling.schedule import Schedule

CATEGORIES = ("system", "thermal", "power", "processor", "memory", "network", "storage")


@dataclass
class Kind:
    """How a target behaves."""

    poll_s: float
    answers: bool = True
    hangs_at: str = ""
    """A category that gives nothing."""


@dataclass
class Run:
    """Polls made, driven from one event to the next."""

    targets: dict[str, Kind]
    interval_s: float | dict[str, float] = 60.0
    began: dict[str, list[tuple[str, float]]] = field(default_factory=dict)
    late: dict[str, int] = field(default_factory=dict)
    at_once: dict[str, int] = field(default_factory=dict)
    most_at_once: dict[str, int] = field(default_factory=dict)
    now_s: float = 0.0

    def __post_init__(self):
        self.schedule = Schedule(random.Random(7))
        self.ends, self.count = [], itertools.count()
        every = self.interval_s
        self.intervals = every if isinstance(every, dict) else dict.fromkeys(CATEGORIES, every)
        self.schedule.add(dict.fromkeys(self.targets, self.intervals), 0.0)

    def until(self, end_s):
        while self.now_s < end_s:
            for poll in self.schedule.start_due(self.now_s):
                self._begin(poll)
            first_end_s = self.ends[0][0] if self.ends else end_s
            self.now_s = max(self.now_s, min(self.schedule.next_due_s(), first_end_s, self.now_s + 0.25))
            while self.ends and self.ends[0][0] <= self.now_s:
                self._end(heapq.heappop(self.ends)[2])
        return self

    def _begin(self, poll):
        key, kind = poll.key, self.targets[poll.key]
        self.began.setdefault(key, []).append((poll.task.category, self.now_s))
        self.late[key] = self.late.get(key, 0) + poll.is_late
        self.at_once[key] = self.at_once.get(key, 0) + 1
        self.most_at_once[key] = max(self.most_at_once.get(key, 0), self.at_once[key])
        heapq.heappush(self.ends, (self.now_s + kind.poll_s, next(self.count), poll))

    def _end(self, poll):
        key, kind = poll.key, self.targets[poll.key]
        self.at_once[key] -= 1
        got = kind.answers and poll.task.category != kind.hangs_at
        self.late[key] += self.schedule.finish(poll, self.now_s, answered=got, failed=not got)

    def times(self, key, category):
        return [at_s for each, at_s in self.began[key] if each == category]


def fleet(healthy, **others):
    """Names tell kinds apart: ok-0, dead-0, …."""
    kinds = {f"ok-{n}": Kind(1.0) for n in range(healthy)}
    for name, (count, kind) in others.items():
        kinds |= {f"{name}-{n}": kind for n in range(count)}
    return kinds


def late(run, kind):
    return sum(count for key, count in run.late.items() if key.startswith(kind))


def test_the_healthy_keep_their_cadence_while_a_tenth_is_dead_and_a_tenth_twenty_times_slower():
    run = Run(fleet(800, dead=(100, Kind(10.0, answers=False)), slow=(100, Kind(20.0)))).until(300)

    assert 0 == late(run, "ok")
    assert late(run, "slow") > 0
    polls = sum(len(run.began[f"ok-{n}"]) for n in range(800))
    assert 800 * 7 * 4 <= polls <= 800 * 7 * 6


def test_the_healthy_keep_their_cadence_when_a_third_hangs_at_once():
    run = Run(fleet(700, hang=(300, Kind(60.0, answers=False)))).until(240)

    assert 0 == late(run, "ok")


def test_a_dead_target_is_asked_by_one_poll_at_a_time_with_growing_pauses():
    run = Run({"dead": Kind(0.5, answers=False)}, interval_s=1.0).until(300)
    times = [at_s for _, at_s in run.began["dead"]]
    pauses = [after - before for before, after in itertools.pairwise(times[2:])]

    assert {7} == {
        len({category for category, _ in run.began["dead"][at : at + 7]}) for at in (2, 3)
    }  # one after another
    assert pauses[:4] == sorted(pauses[:4])
    assert schedule.MAX_BACKOFF_S == pytest.approx(pauses[-1], abs=1.5)


def test_what_was_held_back_is_asked_as_soon_as_a_dead_target_answers():
    run = Run({"bmc": Kind(0.5, answers=False)}, interval_s=dict.fromkeys(CATEGORIES[:3], 10.0) | {"memory": 1800.0})
    run.until(200)
    run.targets["bmc"].answers = True
    run.until(300)
    back_s = min(at_s for _, at_s in run.began["bmc"] if at_s > 200)

    assert 0 == run.late["bmc"]
    for category in run.intervals:
        assert any(back_s <= at_s < back_s + 15 for at_s in run.times("bmc", category))


def test_one_category_that_gives_nothing_holds_up_no_other():
    run = Run({"bmc": Kind(0.5, hangs_at="storage")}, interval_s=10.0).until(200)

    assert 0 == run.late["bmc"]
    assert 19 <= len(run.times("bmc", "thermal")) <= 21
    assert 4 <= len(run.times("bmc", "storage")) <= 8


def test_polls_stay_on_their_grid_for_ever():
    run = Run({"bmc": Kind(0.37)}, interval_s={"thermal": 10.0}).until(10_000)
    times = run.times("bmc", "thermal")[1:]

    assert {0.0} == {round((at_s - times[0]) % 10.0, 6) % 10.0 for at_s in times}


def test_polls_of_one_interval_are_spread_over_it():
    run = Run(fleet(1000), interval_s={"memory": 600.0}).until(1800)
    per_minute = [0] * 10
    for n in range(1000):
        per_minute[int(run.times(f"ok-{n}", "memory")[-1] % 600 / 60)] += 1

    assert min(per_minute) > 60
    assert max(run.times(f"ok-{n}", "memory")[0] for n in range(1000)) < 70  # but all have been asked soon


def test_no_target_has_more_than_its_share_of_the_workers():
    run = Run(fleet(50, slow=(10, Kind(20.0)))).until(400)

    assert schedule.MAX_POLLS_PER_TARGET == max(run.most_at_once[f"ok-{n}"] for n in range(50))
    run.most_at_once.clear()
    run.until(1000)
    assert {1} == {run.most_at_once[f"slow-{n}"] for n in range(10)}


def test_a_target_that_was_removed_is_polled_no_more_and_its_last_poll_ends_well():
    run = Run({"bmc": Kind(5.0), "other": Kind(1.0)}, interval_s=10.0).until(22)
    run.schedule.remove("bmc")
    before = len(run.began["bmc"])
    run.until(100)

    assert before == len(run.began["bmc"])
    assert {0} == set(run.at_once.values())


def test_more_targets_may_have_more_workers_up_to_a_limit():
    sizes = [schedule.poll_limits(count).total for count in (1, 100, 1000, 100_000)]

    assert sorted(sizes) == sizes
    assert sizes[-1] == schedule.poll_limits(10**6).total < 1000


def due_times(intervals, *, from_s, to_s, going_on, ahead_s=0.0):
    """When each category begins, of one that answers at once; by a clock that is `ahead_s` behind the wall clock."""
    found = Schedule(random.Random(3))
    slots = {name: schedule.slot_s(f"h:{name}", every_s, ahead_s) for name, every_s in intervals.items()}
    found.add({"h": intervals}, from_s - ahead_s, slots={"h": slots}, already_polled={"h"} if going_on else set())
    began, now_s = [], from_s
    while now_s < to_s:
        for poll in found.start_due(now_s - ahead_s):
            began.append((poll.task.category, now_s))
            found.finish(poll, now_s - ahead_s, answered=True, failed=False)
        now_s += 0.01
    return began


def test_a_target_that_moves_is_polled_on_at_its_own_times():
    intervals = {"thermal": 10.0, "memory": 300.0}
    stays = due_times(intervals, from_s=10_000.0, to_s=10_650.0, going_on=True)
    moved = due_times(intervals, from_s=10_000.0, to_s=10_314.0, going_on=True)
    moved += due_times(intervals, from_s=10_314.0, to_s=10_650.0, going_on=True, ahead_s=1234.5)

    assert [name for name, _ in stays] == [name for name, _ in moved]
    assert max(abs(one - other) for (_, one), (_, other) in zip(stays, moved, strict=True)) < 0.02


def test_a_target_that_nobody_polled_is_polled_at_once_and_then_at_its_own_times():
    found = due_times({"thermal": 10.0}, from_s=1000.0, to_s=1100.0, going_on=False)
    slot = schedule.slot_s("h:thermal", 10.0, 0.0)
    first, *rest = [at_s for _, at_s in found]

    assert first < 1001
    assert 2.5 <= rest[0] - first <= 12.6
    assert all((each - slot) % 10 < 0.05 or (each - slot) % 10 > 9.98 for each in rest)


def test_a_target_that_comes_back_is_on_its_times_again():
    found = Schedule(random.Random(3))
    slot = schedule.slot_s("h:thermal", 10.0, 0.0)
    found.add({"h": {"thermal": 10.0}}, 0.0, slots={"h": {"thermal": slot}}, already_polled={"h"})
    began, now_s = [], 0.0
    while now_s < 600:
        for poll in found.start_due(now_s):
            answers = not 100 < now_s < 300
            began.append(now_s)
            found.finish(poll, now_s, answered=answers, failed=not answers)
        now_s += 0.01

    last = [each for each in began if each > 400]
    assert all((each - slot) % 10 < 0.05 or (each - slot) % 10 > 9.98 for each in last)
    assert len(last) >= 19
