"""The states of the partitions assigned to a worker: restored from Kafka on first use, dropped when lost."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ParamSpec, TypeVar

import structlog

from processors.engine import restore
from processors.engine.join import JoinPartition
from processors.engine.partition import Partition
from processors.engine.step import AnyJoin, AnyStep
from processors.engine.topic_reader import TopicReader
from runtime import metrics

log = structlog.get_logger()
P = ParamSpec("P")
ResultT = TypeVar("ResultT")
RetentionGapCallback = Callable[[str, int, int, int], None]
"""(topic, partition, first, end): called for records that retention deleted before they were read."""


class StateStore:
    """States of steps and joins, by partition."""

    def __init__(
        self,
        reader: TopicReader,
        group: str,
        steps: Sequence[AnyStep],
        joins: Sequence[AnyJoin],
        on_retention_gap: RetentionGapCallback,
    ) -> None:
        """Creates a store without states.

        Args:
            reader: Reads the topics that states are restored from.
            group: Consumer group of the worker.
            steps: The steps to run.
            joins: The joins to run.
            on_retention_gap: Called for records that were deleted before they were read.
        """
        self._reader, self._group, self._on_retention_gap = reader, group, on_retention_gap
        self._steps: dict[str, list[AnyStep]] = {}
        for step in steps:
            self._steps.setdefault(step.input, []).append(_timed_step(step))
        self._joins = tuple(_timed_join(join) for join in joins)
        self._partitions: dict[tuple[str, int], Partition] = {}
        self._join_partitions: dict[tuple[str, int], JoinPartition] = {}
        self._locks: dict[tuple[str, int], asyncio.Lock] = {}
        self._generation = -1

    @property
    def inputs(self) -> list[str]:
        """Aliases of the topics to read."""
        return list(dict.fromkeys([*self._steps, *(alias for join in self._joins for alias in join.inputs)]))

    def retain(self, assigned: set[tuple[str, int]], generation: int) -> None:
        """Drops the states this worker may have lost: another worker may have processed records since.

        Args:
            assigned: (topic, number) of the partitions assigned in the consumer group's new generation.
            generation: Its number. If a generation was skipped, another worker had any of the partitions meanwhile.
        """
        if generation != self._generation + 1:
            self._partitions.clear()
            self._join_partitions.clear()
        self._generation = generation
        names = {alias: self._reader.catalog[alias].name for alias in self.inputs}
        self._partitions = {
            (alias, number): partition
            for (alias, number), partition in self._partitions.items()
            if (names[alias], number) in assigned
        }
        self._join_partitions = {
            (name, number): partition
            for (name, number), partition in self._join_partitions.items()
            if all((names[alias], number) in assigned for alias in partition.join.inputs)
        }
        for join in self._joins:
            numbers = [{number for topic, number in assigned if topic == names[alias]} for alias in join.inputs]
            if any(input_numbers != numbers[0] for input_numbers in numbers):
                log.error("inputs of a join are assigned to different workers: its results are missing", join=join.name)

    def next_offsets(self) -> dict[tuple[str, int], int]:
        """Returns (input alias, partition number) → the offset below which every record has been applied."""
        return {
            key: partition.next_offset
            for key, partition in list(self._partitions.items())
            if partition.next_offset is not None
        }

    async def partition(self, alias: str, topic: str, number: int, offset: int, appended_ms: int) -> Partition:
        """Returns the steps' states before a record; restores them if records were skipped."""
        key = (alias, number)
        partition = self._partitions.get(key)
        if partition is not None and partition.next_offset is not None and offset <= partition.next_offset:
            return partition
        committed = await _in_thread(self._reader.committed_offset, self._group, alias, number)
        if committed is not None and committed < offset:
            log.error("records lost to retention", topic=topic, partition=number, first=committed, last=offset - 1)
            self._on_retention_gap(topic, number, committed, offset)
        steps = self._steps.get(alias, [])
        partition = await _in_thread(restore.restore_partition, self._reader, alias, steps, number, offset, appended_ms)
        self._partitions[key] = partition
        return partition

    async def joins(self, alias: str, number: int, offset: int, appended_ms: int) -> list[JoinPartition]:
        """Returns the joins that read a topic; restores them at the first record of any of their inputs."""
        return [
            await self._join_partition(join, alias, number, offset, appended_ms)
            for join in self._joins
            if alias in join.inputs
        ]

    async def _join_partition(
        self, join: AnyJoin, alias: str, number: int, offset: int, appended_ms: int
    ) -> JoinPartition:
        key = (join.name, number)
        async with self._locks.setdefault(key, asyncio.Lock()):
            partition = self._join_partitions.get(key)
            if partition is None or offset > partition.next_offsets[alias]:
                offsets = {name: await self._next_offset(name, number) for name in join.inputs} | {alias: offset}
                partition = await _in_thread(restore.restore_join, self._reader, join, number, offsets, appended_ms)
                self._join_partitions[key] = partition
            return partition

    async def _next_offset(self, alias: str, number: int) -> int:
        partition = self._partitions.get((alias, number))
        if partition is not None and partition.next_offset is not None:
            return partition.next_offset
        return await _in_thread(restore.resume_offset, self._reader, self._group, alias, number)

    async def idle_inputs(self, number: int) -> list[tuple[JoinPartition, str]]:
        """Returns (join, input alias) of inputs read to their end that hold back results of the join."""
        idle = []
        for partition in [partition for (_, at), partition in self._join_partitions.items() if at == number]:
            for alias in partition.join.inputs:
                if partition.is_waiting(alias):
                    _, end = await _in_thread(self._reader.span, alias, number)
                    if partition.next_offsets[alias] >= end:
                        idle.append((partition, alias))
        return idle


async def _in_thread(function: Callable[P, ResultT], *args: P.args, **kwargs: P.kwargs) -> ResultT:
    """Runs a blocking function in the event loop's thread pool."""
    return await asyncio.get_running_loop().run_in_executor(None, lambda: function(*args, **kwargs))


def _timed_step(step: AnyStep) -> AnyStep:
    """Returns the step with its run time measured on /metrics."""
    if step.run_with_context is not None:
        return replace(step, run_with_context=_timed(step.name, step.run_with_context))
    assert step.run is not None
    return replace(step, run=_timed(step.name, step.run))


def _timed_join(join: AnyJoin) -> AnyJoin:
    """Returns the join with the run time of its records measured on /metrics."""
    return replace(join, apply={alias: _timed(join.name, function) for alias, function in join.apply.items()})


def _timed(name: str, function: Callable[P, ResultT]) -> Callable[P, ResultT]:
    """Wraps a step function so that its time and its records are counted."""
    seconds, records = metrics.STEP_SECONDS.labels(name), metrics.STEPPED_RECORDS.labels(name)

    def run(*args: P.args, **kwargs: P.kwargs) -> ResultT:
        started_s = time.perf_counter()
        result = function(*args, **kwargs)
        seconds.inc(time.perf_counter() - started_s)
        records.inc()
        return result

    return run
