"""The memories of the partitions that a worker has: found, rebuilt from Kafka, and forgotten when it loses them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import structlog

from processors.engine import restore
from processors.engine.join import Joint
from processors.engine.partition import Partition
from processors.engine.step import Join, Step
from runtime import metrics
from runtime.settings import KafkaSettings

log = structlog.get_logger()
Hole = Callable[[str, int, int, int], None]
"""(topic, partition, first, end): told of records that retention deleted before they were read."""


class Assigned:
    """What a worker remembers, by partition."""

    def __init__(
        self, settings: KafkaSettings, group: str, steps: Sequence[Step], joins: Sequence[Join], on_hole: Hole
    ) -> None:
        self._settings, self._group, self._on_hole = settings, group, on_hole
        self._steps = {step.input: [_timed(s) for s in steps if s.input == step.input] for step in steps}
        self._joins = tuple(_timed_join(each) for each in joins)
        self._partitions: dict[tuple[str, int], Partition] = {}
        self._joints: dict[tuple[str, int], Joint] = {}
        self._locks: dict[tuple[str, int], asyncio.Lock] = {}
        self._generation = -1

    @property
    def inputs(self) -> list[str]:
        """Aliases of the topics to read."""
        return list(dict.fromkeys([*self._steps, *(alias for join in self._joins for alias in join.inputs)]))

    def keep(self, partitions: set[tuple[str, int]], generation: int) -> None:
        """Forgets what this worker may have lost meanwhile: another may have stepped on from there.

        Args:
            partitions: (topic, number) that it has in the consumer group's new generation.
            generation: its number. Only if it is the next one was there none in between without this worker.
        """
        if generation != self._generation + 1:
            self._partitions.clear()
            self._joints.clear()
        self._generation = generation
        names = {alias: self._settings.catalog[alias].name for alias in self.inputs}
        self._partitions = {
            key: each for key, each in self._partitions.items() if (names[key[0]], key[1]) in partitions
        }
        for (name, number), joint in list(self._joints.items()):
            if not all((names[alias], number) in partitions for alias in joint.join.inputs):
                del self._joints[name, number]
        for join in self._joins:
            held = [{number for topic, number in partitions if topic == names[alias]} for alias in join.inputs]
            if any(each != held[0] for each in held):
                log.error("inputs of a join are on different workers: it lacks a side", join=join.name)

    def positions(self) -> dict[tuple[str, int], int]:
        """(alias of a topic, number) → the offset up to which its records have been stepped."""
        return {
            (alias, number): each.next_offset
            for (alias, number), each in list(self._partitions.items())
            if each.next_offset is not None
        }

    async def partition(self, alias: str, topic: str, number: int, offset: int, appended_ms: int) -> Partition:
        """The memory of the steps before a record; rebuilt if the record is beyond the next one."""
        key = (alias, number)
        known = self._partitions.get(key)
        if known is not None and known.next_offset is not None and offset <= known.next_offset:
            return known
        reached = await _in_thread(restore.committed, self._settings, self._group, topic, number)
        if reached is not None and reached < offset:
            log.error("records lost to retention", topic=topic, partition=number, first=reached, last=offset - 1)
            self._on_hole(topic, number, reached, offset)
        steps = self._steps.get(alias, [])
        found: Partition = await _in_thread(
            restore.partition, self._settings, alias, steps, number, offset, appended_ms
        )
        self._partitions[key] = found
        return found

    async def joints(self, alias: str, number: int, offset: int, appended_ms: int) -> list[Joint]:
        """The joins that a record is for; rebuilt at the first record of any of their inputs."""
        return [
            await self._joint(join, alias, number, offset, appended_ms) for join in self._joins if alias in join.inputs
        ]

    async def _joint(self, join: Join, alias: str, number: int, offset: int, appended_ms: int) -> Joint:
        key = (join.name, number)
        async with self._locks.setdefault(key, asyncio.Lock()):
            known = self._joints.get(key)
            if known is None or offset > known.next[alias]:
                offsets = {each: await self._position(each, number) for each in join.inputs} | {alias: offset}
                known = await _in_thread(restore.joint, self._settings, join, number, offsets, appended_ms)
                self._joints[key] = known
            return known

    async def _position(self, alias: str, number: int) -> int:
        known = self._partitions.get((alias, number))
        if known is not None and known.next_offset is not None:
            return known.next_offset
        topic = self._settings.catalog[alias].name
        reached: int = await _in_thread(restore.resumes_at, self._settings, self._group, topic, number)
        return reached

    async def quiet(self, number: int) -> list[tuple[Joint, str]]:
        """(join, alias) whose input is read to its end, where to know that settles something."""
        found = []
        for joint in [each for (_, at), each in self._joints.items() if at == number]:
            for alias in joint.join.inputs:
                if joint.waiting(alias):
                    topic = self._settings.catalog[alias].name
                    end = await _in_thread(restore.end, self._settings, topic, number)
                    if joint.next[alias] >= end:
                        found.append((joint, alias))
        return found


async def _in_thread(work: Callable[..., Any], *arguments: Any) -> Any:
    return await asyncio.get_running_loop().run_in_executor(None, work, *arguments)


def _timed(step: Step) -> Step:
    """The step, its time told to /metrics."""
    return replace(step, run=_told(step.name, step.run))


def _timed_join(join: Join) -> Join:
    """The join, the time that it takes for records told to /metrics."""
    return replace(join, take=_told(join.name, join.take))


def _told(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
    spent, count = metrics.STEP_SECONDS.labels(name), metrics.STEPPED.labels(name)

    def run(*given: Any) -> Any:
        began_s = time.perf_counter()
        found = work(*given)
        spent.inc(time.perf_counter() - began_s)
        count.inc()
        return found

    return run
