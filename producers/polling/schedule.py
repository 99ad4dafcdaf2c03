"""Poll schedule: cadence, back-off, and shares of the workers.

Pure: the caller passes the time.

A target that does not answer, or that needs more time than one worker has, is *slow*: it is polled by one worker at a
time, out of a share of the workers of its own. So a thousand targets keep their cadence while some of them hang.
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

MAX_BACKOFF_S: Final = 60.0
"""A failed poll is repeated after its interval, doubled at each failure up to this."""
LONG_POLL_S: Final = 5.0
"""A poll that takes longer moves to the slow share, since its end is unknown."""
MAX_POLLS_PER_TARGET: Final = 2
"""Concurrent polls of one target: a long one of many resources does not delay the short ones."""
DOWN_AFTER: Final = 2
"""A target is down after this many polls in a row without an answer; it is then polled by one poll at a time."""
SPREAD_S: Final = 0.06
"""The first polls are spread over this per target, so that a thousand do not start in the same second."""
MIN_WORKERS: Final = 16
MAX_WORKERS: Final = 384
Key = TypeVar("Key", bound=Hashable)


@dataclass(frozen=True)
class PollLimits:
    """Limits of concurrent polls."""

    regular: int
    """Polls of targets that keep up."""
    slow: int
    """Polls of slow targets, and polls that take long."""

    @property
    def total(self) -> int:
        """All polls.

        It leaves room for as many regular polls again, which may hang before they count as slow.
        """
        return 2 * self.regular + self.slow


def poll_limits(targets: int) -> PollLimits:
    """Returns the limits for a number of targets.

    At an interval of 60 s, seven categories and 1 s per poll, a ninth as many polls as targets run concurrently.
    """
    regular = max(MIN_WORKERS, min(MAX_WORKERS, targets // 3))
    return PollLimits(regular, regular // 2)


@dataclass(eq=False)
class PollTask(Generic[Key]):
    """Repeated poll of one category of one target."""

    target: ScheduledTarget[Key]
    category: str
    interval_s: float
    due_s: float = 0.0
    began_s: float = -math.inf
    failures: int = 0
    """Failed polls in a row."""
    load: float = 0.0
    """Share of a worker that the last poll used."""
    on_grid: bool = False
    """True once its due times are fixed: whole intervals apart, so that the cadence does not drift."""
    slot_s: float | None = None
    """One of the times at which it is to be due, if these are given; the others are whole intervals apart."""

    @property
    def delay_s(self) -> float:
        """Seconds to the next poll; more after failures."""
        return _delay_s(self.interval_s, self.failures)


@dataclass(eq=False)
class ScheduledTarget(Generic[Key]):
    """Tasks of one target, and how it has answered."""

    key: Key
    tasks: list[PollTask[Key]] = field(default_factory=list)
    ready: deque[PollTask[Key]] = field(default_factory=deque)
    """Tasks that are due."""
    running: set[PollTask[Key]] = field(default_factory=set)
    unanswered_polls: int = 0
    """Polls in a row without an answer."""
    backoff_until_s: float = -math.inf
    queued: bool = False
    removed: bool = False

    @property
    def is_down(self) -> bool:
        """True if it does not answer."""
        return self.unanswered_polls >= min(DOWN_AFTER, len(self.tasks))

    @property
    def is_slow(self) -> bool:
        """True if it is polled from the slow share."""
        return self.is_down or sum(task.load for task in self.tasks) > 1.0

    @property
    def is_full(self) -> bool:
        """True if no further poll of it may start."""
        return len(self.running) >= (1 if self.is_slow else MAX_POLLS_PER_TARGET)

    @property
    def backoff_s(self) -> float:
        """Seconds to the next probe while it is down."""
        return _delay_s(min(task.interval_s for task in self.tasks), self.unanswered_polls)


@dataclass(eq=False)
class Poll(Generic[Key]):
    """A started poll."""

    task: PollTask[Key]
    began_s: float
    late_s: float
    """Seconds after its due time; 0 if it was postponed on purpose."""
    delayed_by_target: bool
    """True if a delay is due to other polls of its target, not to missing workers."""
    is_slow: bool
    """True if it counts in the slow share."""

    @property
    def key(self) -> Key:
        """Key of its target."""
        return self.task.target.key

    @property
    def is_late(self) -> bool:
        """True if it starts more than half an interval late."""
        return self.late_s > self.task.interval_s / 2


class Schedule(Generic[Key]):
    """Polls of many targets. Not thread-safe."""

    def __init__(self, rng: random.Random) -> None:
        """Starts empty; `rng` spreads polls over time."""
        self.limits = poll_limits(0)
        self._rng = rng
        self._tiebreaker = itertools.count()
        self._due: list[tuple[float, int, ScheduledTarget[Key], PollTask[Key] | None]] = []
        """Heap of due times of tasks, and (without a task) of ends of back-offs."""
        self._targets: dict[Key, ScheduledTarget[Key]] = {}
        self._waiting: dict[bool, deque[ScheduledTarget[Key]]] = {False: deque(), True: deque()}
        """Slow or not → targets with a due task, in turn."""
        self._running = {False: 0, True: 0}
        """Slow or not → running polls."""
        self._short_polls: dict[Poll[Key], None] = {}
        """Regular polls that have run for less than LONG_POLL_S, oldest first."""

    def add(
        self,
        targets: Mapping[Key, Mapping[str, float]],
        now_s: float,
        *,
        slots: Mapping[Key, Mapping[str, float]] = MappingProxyType({}),
        already_polled: Container[Key] = frozenset(),
    ) -> None:
        """Adds targets.

        Args:
            targets: Intervals in seconds, by category.
            now_s: The current time.
            slots: By category, one of the times at which its polls are to be due; only for targets that have them.
            already_polled: Targets that other producers polled until now: their first poll waits for its slot.
        """
        new_targets = {key: ScheduledTarget(key) for key in targets}
        self._targets |= new_targets
        self.limits = poll_limits(len(self._targets))
        for key, intervals in targets.items():
            slots_s = slots.get(key, {})
            for category, interval_s in intervals.items():
                task = PollTask(new_targets[key], category, interval_s, slot_s=slots_s.get(category))
                new_targets[key].tasks.append(task)
                if task.slot_s is None or key not in already_polled:
                    self._schedule_soon(task, now_s)
                else:
                    task.due_s, task.on_grid = _next_slot_s(task.slot_s, interval_s, now_s), True
                    self._push(task.due_s, task.target, task)

    def remove(self, key: Key) -> None:
        """Removes a target. `finish` must still be called for its running polls."""
        self._targets.pop(key).removed = True
        self.limits = poll_limits(len(self._targets))

    def next_due_s(self) -> float:
        """Returns when the next poll is due; infinite if there is none."""
        return self._due[0][0] if self._due else math.inf

    def start_due(self, now_s: float) -> list[Poll[Key]]:
        """Starts the polls that are due, as far as the limits allow, and returns them."""
        while self._due and self._due[0][0] <= now_s:
            due_s, _, target, task = heapq.heappop(self._due)
            if task is not None and task.due_s == due_s:  # otherwise it was rescheduled
                target.ready.append(task)
            self._queue(target, now_s)
        self._reclassify_long_polls(now_s)
        return [*self._start_waiting(True, now_s), *self._start_waiting(False, now_s)]

    def finish(self, poll: Poll[Key], now_s: float, *, answered: bool, failed: bool) -> int:
        """Handles the end of a poll and schedules the next one.

        Args:
            poll: The poll.
            now_s: The current time.
            answered: True if the target responded at all.
            failed: True if there is no sample, for whatever reason.

        Returns:
            Number of polls of the task that were due meanwhile and are skipped.
        """
        task, target = poll.task, poll.task.target
        self._short_polls.pop(poll, None)
        self._running[poll.is_slow] -= 1
        target.running.remove(task)
        if target.removed:
            return 0
        was_down = target.is_down
        task.load = (now_s - poll.began_s) / task.interval_s
        task.failures = task.failures + 1 if failed else 0
        target.unanswered_polls = 0 if answered else target.unanswered_polls + 1
        skipped = self._schedule_next(task, now_s)
        if target.is_down:
            target.backoff_until_s = now_s + target.backoff_s
            self._push(target.backoff_until_s, target, None)
        elif was_down:
            self._recover(target, now_s)
        self._queue(target, now_s)
        return 0 if failed or was_down else skipped

    def _schedule_next(self, task: PollTask[Key], now_s: float) -> int:
        """Schedules on the grid of due times, so that the cadence does not drift.

        Returns how many are skipped.
        """
        interval_s = task.interval_s
        if not task.on_grid:
            # First polls start at once; from the second on, those of all targets are spread over the interval.
            if task.slot_s is None:
                task.due_s += interval_s * self._rng.uniform(-0.75, 0.25)
            else:
                task.due_s = _next_slot_s(task.slot_s, interval_s, task.due_s - 0.75 * interval_s)
            task.on_grid = True
        behind = max(0, math.floor((now_s - task.due_s) / interval_s))
        task.due_s += interval_s * max(behind + 1, math.ceil(task.delay_s / interval_s - 1e-9))
        self._push(task.due_s, task.target, task)
        return behind

    def _recover(self, target: ScheduledTarget[Key], now_s: float) -> None:
        """Schedules failed and postponed tasks of a recovered target now, not an interval later."""
        target.backoff_until_s = -math.inf
        for task in target.tasks:
            if task in target.ready:
                task.due_s, task.on_grid = now_s, False
            elif task.failures and task not in target.running:
                task.load = 0.0
                self._schedule_soon(task, now_s)

    def _schedule_soon(self, task: PollTask[Key], now_s: float) -> None:
        task.due_s = now_s + self._rng.uniform(0, min(task.interval_s, SPREAD_S * len(self._targets)))
        task.on_grid = False
        self._push(task.due_s, task.target, task)

    def _push(self, due_s: float, target: ScheduledTarget[Key], task: PollTask[Key] | None) -> None:
        heapq.heappush(self._due, (due_s, next(self._tiebreaker), target, task))

    def _queue(self, target: ScheduledTarget[Key], now_s: float) -> None:
        """Queues a target for a worker, if a task is due and may start."""
        if target.queued or target.removed or target.is_full:
            return
        if target.ready and target.backoff_until_s <= now_s:
            target.queued = True
            self._waiting[target.is_slow].append(target)

    def _reclassify_long_polls(self, now_s: float) -> None:
        """Moves polls that take long to the slow share."""
        for poll in list(itertools.takewhile(lambda poll: now_s - poll.began_s > LONG_POLL_S, self._short_polls)):
            del self._short_polls[poll]
            poll.is_slow = True
            self._running[False] -= 1
            self._running[True] += 1

    def _start_waiting(self, slow: bool, now_s: float) -> Iterator[Poll[Key]]:  # noqa: FBT001  key of the tables
        waiting, limit = self._waiting[slow], self.limits.slow if slow else self.limits.regular
        while waiting and self._running[slow] < limit and sum(self._running.values()) < self.limits.total:
            target = waiting.popleft()
            target.queued = False
            if target.is_slow is slow and not target.removed and target.backoff_until_s <= now_s:
                yield self._start(target, now_s)
            self._queue(target, now_s)  # one poll per turn; it may also have changed shares meanwhile

    def _start(self, target: ScheduledTarget[Key], now_s: float) -> Poll[Key]:
        # While it is down, categories take turns: perhaps only one of them hangs.
        task = min(target.ready, key=lambda task: task.began_s) if target.is_down else target.ready[0]
        target.ready.remove(task)
        late_s = 0.0 if target.is_down or task.failures else now_s - task.due_s
        poll = Poll(task, now_s, late_s, target.is_slow or bool(target.running), target.is_slow)
        task.began_s = now_s
        target.running.add(task)
        self._running[poll.is_slow] += 1
        if not poll.is_slow:
            self._short_polls[poll] = None
        return poll


def slot_s(name: str, interval_s: float, ahead_s: float) -> float:
    """Returns a due time derived from a name.

    So a target keeps its cadence when it moves to another producer.

    Args:
        name: Target and category.
        interval_s: Seconds between two polls.
        ahead_s: How far the wall clock is ahead of the schedule's clock.
    """
    return interval_s * crc32(name.encode()) / 2**32 - ahead_s % interval_s


def _next_slot_s(slot_s: float, interval_s: float, after_s: float) -> float:
    return slot_s + interval_s * math.ceil((after_s - slot_s) / interval_s)


def _delay_s(interval_s: float, failures: int) -> float:
    """Returns the seconds to the next attempt; the interval if nothing failed."""
    if not failures:
        return interval_s
    return max(interval_s, min(MAX_BACKOFF_S, interval_s * 2.0 ** min(failures - 1, 16)))
