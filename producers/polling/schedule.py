"""When which poll starts: cadence, back-off, and who may use how many workers. Pure: it is told the time.

A target that does not answer, or that takes more time than one worker has, is *patient*: one poll at once, in a share
of the workers of its own. So a thousand targets keep their cadence while some of them hang.
"""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import deque
from collections.abc import Container, Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Generic, TypeVar
from zlib import crc32

BACKOFF_S: Final = 60.0
"""What fails is asked again after its interval, doubled at each failure up to this."""
LONG_S: Final = 5.0
"""A poll that takes longer counts in the patient share, whoever's it is: nobody knows yet when it ends."""
AT_ONCE: Final = 2
"""Polls of one target at once: a long one of many members does not hold up the short ones."""
SILENT: Final = 2
"""A target of which this many polls in a row got nothing is down: it is asked by one poll at a time."""
STEP_S: Final = 0.06
"""The first polls are spread over this per target, so that a thousand are not asked in the same second."""
FEWEST: Final = 16
MOST: Final = 384
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class Limits:
    """Polls at once."""

    usual: int
    """Of targets that keep up."""
    patient: int
    """Of those that do not, and of polls that take long."""

    @property
    def all(self) -> int:
        """Of all: as many again as are usual may turn out to hang before one is known to."""
        return 2 * self.usual + self.patient


def limits(targets: int) -> Limits:
    """For a number of targets: at 60 s, seven categories and 1 s a poll, a ninth as many polls are under way."""
    usual = max(FEWEST, min(MOST, targets // 3))
    return Limits(usual, usual // 2)


@dataclass(eq=False)
class Task(Generic[Key]):
    """One category of one target."""

    target: Target[Key]
    category: str
    interval_s: float
    due_s: float = 0.0
    began_s: float = -math.inf
    failures: int = 0
    load: float = 0.0
    """The share of a worker that its last poll stands for."""
    on_grid: bool = False
    """Whether its polls have been spread over the interval."""
    slot_s: float | None = None
    """A time of its grid; None: any will do."""

    @property
    def delay_s(self) -> float:
        """Seconds from one poll to the next; more after failures."""
        return _delay_s(self.interval_s, self.failures)


@dataclass(eq=False)
class Target(Generic[Key]):
    """What is polled, and how it has answered."""

    key: Key
    tasks: list[Task[Key]] = field(default_factory=list)
    ready: deque[Task[Key]] = field(default_factory=deque)
    running: set[Task[Key]] = field(default_factory=set)
    silent: int = 0
    """Polls in a row that got nothing."""
    rests_until_s: float = -math.inf
    queued: bool = False
    gone: bool = False

    @property
    def down(self) -> bool:
        """It does not answer."""
        return self.silent >= min(SILENT, len(self.tasks))

    @property
    def patient(self) -> bool:
        """It waits in the patient share."""
        return self.down or sum(task.load for task in self.tasks) > 1.0

    @property
    def full(self) -> bool:
        """No further poll of it may start."""
        return len(self.running) >= (1 if self.patient else AT_ONCE)

    @property
    def rest_s(self) -> float:
        """Seconds to the next probe of one that is down."""
        return _delay_s(min(task.interval_s for task in self.tasks), self.silent)


@dataclass(eq=False)
class Poll(Generic[Key]):
    """A poll that is to be made."""

    task: Task[Key]
    began_s: float
    late_s: float
    """It begins this long after it was due; 0 where the target was left alone on purpose."""
    crowded: bool
    """If it is late, then because of other polls of its target, not because workers are missing."""
    patient: bool
    """Which share of the workers it counts in."""

    @property
    def key(self) -> Key:
        """Whose it is."""
        return self.task.target.key

    @property
    def late(self) -> bool:
        """Whether it begins more than half an interval late."""
        return self.late_s > self.task.interval_s / 2


class Schedule(Generic[Key]):
    """The polls of many targets. Not thread-safe."""

    def __init__(self, chance: random.Random) -> None:
        self.limits = limits(0)
        self._chance = chance
        self._count = itertools.count()
        self._due: list[tuple[float, int, Target[Key], Task[Key] | None]] = []
        self._targets: dict[Key, Target[Key]] = {}
        self._waiting: dict[bool, deque[Target[Key]]] = {False: deque(), True: deque()}
        """Patient or not → targets that have a poll ready, in turn."""
        self._running = {False: 0, True: 0}
        self._fresh: dict[Poll[Key], None] = {}
        """Polls of usual targets that run for less than LONG_S, oldest first."""

    def add(
        self,
        targets: Mapping[Key, Mapping[str, float]],
        now_s: float,
        *,
        slots: Mapping[Key, Mapping[str, float]] = MappingProxyType({}),
        going_on: Container[Key] = frozenset(),
    ) -> None:
        """Targets with their intervals in seconds, by category.

        Args:
            targets: intervals.
            now_s: now.
            slots: by category one of the times at which polls are to be due, an interval apart; for some targets.
            going_on: those of them that others have polled until now: the first poll waits for its time.
        """
        new = {key: Target(key) for key in targets}
        self._targets |= new
        self.limits = limits(len(self._targets))
        for key, intervals in targets.items():
            slot_s = slots.get(key, {})
            for category, interval_s in intervals.items():
                task = Task(new[key], category, interval_s, slot_s=slot_s.get(category))
                new[key].tasks.append(task)
                if task.slot_s is None or key not in going_on:
                    self._soon(task, now_s)
                else:
                    task.due_s, task.on_grid = _next_slot_s(task.slot_s, interval_s, now_s), True
                    self._push(task.due_s, task.target, task)

    def remove(self, key: Key) -> None:
        """No more polls of this target; those under way have to be told ended all the same."""
        self._targets.pop(key).gone = True
        self.limits = limits(len(self._targets))

    def next_s(self) -> float:
        """When the next poll is due; infinite if none is."""
        return self._due[0][0] if self._due else math.inf

    def start(self, now_s: float) -> list[Poll[Key]]:
        """The polls that are to begin now."""
        while self._due and self._due[0][0] <= now_s:
            due_s, _, target, task = heapq.heappop(self._due)
            if task is not None and task.due_s == due_s:  # else it was planned anew
                target.ready.append(task)
            self._queue(target, now_s)
        self._age(now_s)
        return [*self._fill(True, now_s), *self._fill(False, now_s)]

    def ended(self, poll: Poll[Key], now_s: float, *, answered: bool, failed: bool) -> int:
        """Plans the next one; returns how many were due meanwhile and are left out.

        `answered`: the target said something; `failed`: there is no sample, whyever.
        """
        task, target = poll.task, poll.task.target
        self._fresh.pop(poll, None)
        self._running[poll.patient] -= 1
        target.running.remove(task)
        if target.gone:
            return 0
        was_down = target.down
        task.load = (now_s - poll.began_s) / task.interval_s
        task.failures = task.failures + 1 if failed else 0
        target.silent = 0 if answered else target.silent + 1
        missed = self._plan_next(task, now_s)
        if target.down:
            target.rests_until_s = now_s + target.rest_s
            self._push(target.rests_until_s, target, None)
        elif was_down:
            self._revive(target, now_s)
        self._queue(target, now_s)
        return 0 if failed or was_down else missed

    def _plan_next(self, task: Task[Key], now_s: float) -> int:
        """On the grid of due times, so that the cadence does not drift. Returns how many are skipped."""
        interval_s = task.interval_s
        if not task.on_grid:
            # First polls come at once; from the second on, those of all targets are spread over the interval.
            if task.slot_s is None:
                task.due_s += interval_s * self._chance.uniform(-0.75, 0.25)
            else:
                task.due_s = _next_slot_s(task.slot_s, interval_s, task.due_s - 0.75 * interval_s)
            task.on_grid = True
        behind = max(0, math.floor((now_s - task.due_s) / interval_s))
        task.due_s += interval_s * max(behind + 1, math.ceil(task.delay_s / interval_s - 1e-9))
        self._push(task.due_s, task.target, task)
        return behind

    def _revive(self, target: Target[Key], now_s: float) -> None:
        """It answers again: what failed or was held back meanwhile is asked now, not an interval later."""
        target.rests_until_s = -math.inf
        for task in target.tasks:
            if task in target.ready:
                task.due_s, task.on_grid = now_s, False
            elif task.failures and task not in target.running:
                task.load = 0.0
                self._soon(task, now_s)

    def _soon(self, task: Task[Key], now_s: float) -> None:
        task.due_s = now_s + self._chance.uniform(0, min(task.interval_s, STEP_S * len(self._targets)))
        task.on_grid = False
        self._push(task.due_s, task.target, task)

    def _push(self, due_s: float, target: Target[Key], task: Task[Key] | None) -> None:
        heapq.heappush(self._due, (due_s, next(self._count), target, task))

    def _queue(self, target: Target[Key], now_s: float) -> None:
        """Lets a target wait for a worker, if it has something to ask and may."""
        if not (target.queued or target.gone or target.full) and target.ready and target.rests_until_s <= now_s:
            target.queued = True
            self._waiting[target.patient].append(target)

    def _age(self, now_s: float) -> None:
        """Polls that run long leave the usual share."""
        for poll in list(itertools.takewhile(lambda each: now_s - each.began_s > LONG_S, self._fresh)):
            del self._fresh[poll]
            poll.patient = True
            self._running[False] -= 1
            self._running[True] += 1

    def _fill(self, patient: bool, now_s: float) -> Iterator[Poll[Key]]:  # noqa: FBT001  the key of its tables
        waiting, most = self._waiting[patient], self.limits.patient if patient else self.limits.usual
        while waiting and self._running[patient] < most and sum(self._running.values()) < self.limits.all:
            target = waiting.popleft()
            target.queued = False
            if target.patient is patient and not target.gone and target.rests_until_s <= now_s:
                yield self._begin(target, now_s)
            self._queue(target, now_s)  # one poll a turn; or it has changed sides meanwhile

    def _begin(self, target: Target[Key], now_s: float) -> Poll[Key]:
        # One that is down is asked for one thing after the other: it may be just one that hangs.
        task = min(target.ready, key=lambda each: each.began_s) if target.down else target.ready[0]
        target.ready.remove(task)
        late_s = 0.0 if target.down or task.failures else now_s - task.due_s
        poll = Poll(task, now_s, late_s, target.patient or bool(target.running), target.patient)
        task.began_s = now_s
        target.running.add(task)
        self._running[poll.patient] += 1
        if not poll.patient:
            self._fresh[poll] = None
        return poll


def slot_s(name: str, interval_s: float, ahead_s: float) -> float:
    """A time at which something of this name is due, the same for all who ask: so it keeps its cadence when it moves.

    Args:
        name: what is polled.
        interval_s: seconds between two polls.
        ahead_s: how far the wall clock is ahead of the schedule's.
    """
    return interval_s * crc32(name.encode()) / 2**32 - ahead_s % interval_s


def _next_slot_s(slot_s: float, interval_s: float, after_s: float) -> float:
    return slot_s + interval_s * math.ceil((after_s - slot_s) / interval_s)


def _delay_s(interval_s: float, failures: int) -> float:
    """Seconds to the next try; the interval where nothing failed."""
    if not failures:
        return interval_s
    return max(interval_s, min(BACKOFF_S, interval_s * 2.0 ** min(failures - 1, 16)))
