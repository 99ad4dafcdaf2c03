"""Plans a replay: which offsets to read per partition, and which steps to run over them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from processors.engine.restore import RESTORE_MARGIN
from processors.engine.step import AnyJoin, AnyStep
from processors.registry import JOINS, STEPS
from rackstream.replay.live_boundary import StartOffsets
from rackstream.replay.recompute import ReplayRequest
from rackstream.replay.source import RecordSource
from runtime import kafka
from runtime.kafka import OffsetRange
from runtime.settings import KafkaSettings

MAX_CLOCK_SKEW: Final = timedelta(hours=1)
"""Records are searched by arrival time; those of hosts whose clock is ahead by less than this are found too."""


@dataclass
class ReplayPlan:
    """Reads and steps for one partition number."""

    partition: int
    spans: dict[str, OffsetRange] = field(default_factory=dict)
    """Offsets to read, by topic alias."""
    first_offsets: dict[str, int] = field(default_factory=dict)
    """First offset to replay, by topic alias; records before it only warm up the steps."""
    steps: list[AnyStep] = field(default_factory=list)
    joins: list[AnyJoin] = field(default_factory=list)
    recomputed: dict[str, set[str]] = field(default_factory=dict)
    """Output alias → input aliases."""
    memories: set[str] = field(default_factory=set)
    """Recomputed aliases that are memory topics of steps."""
    covered: dict[str, OffsetRange] = field(default_factory=dict)
    """Offsets on Kafka that the replay accounts for, by requested alias."""
    not_recomputed: set[str] = field(default_factory=set)
    """Derived topics whose records are copied, because their inputs are incomplete."""
    left_out: set[str] = field(default_factory=set)
    """Requested topics of which the source has neither the records nor the inputs."""

    @property
    def records(self) -> int:
        """Upper bound of the number of records to read."""
        return sum(end - first for first, end in self.spans.values())


def topics_needed(aliases: Sequence[str]) -> tuple[str, ...]:
    """Returns the requested topics and the inputs of the steps and joins that produce them."""
    requested = set(aliases)
    inputs = [step.input for step in STEPS if requested.intersection(_outputs(step))]
    inputs += [alias for join in JOINS if requested.intersection(join.outputs) for alias in join.inputs]
    return tuple(dict.fromkeys([*aliases, *inputs]))


def _outputs(step: AnyStep) -> set[str]:
    return {*step.outputs, *([step.memory] if isinstance(step.memory, str) else [])}


class ReplayPlanner:
    """Plans one replay."""

    def __init__(
        self, settings: KafkaSettings, request: ReplayRequest, start: StartOffsets, source: RecordSource
    ) -> None:
        self._settings, self._request, self._start, self._source = settings, request, start, source

    def plans(self) -> list[ReplayPlan]:
        """Returns a plan per partition number."""
        numbers = {number for spans in self._source.spans.values() for number in spans}
        return [self._plan(number) for number in sorted(numbers)]

    def _plan(self, number: int) -> ReplayPlan:
        """Chooses the start offset of each topic, and the steps to run."""
        plan, since = ReplayPlan(number), self._request.range.since
        available = {alias for alias, spans in self._source.spans.items() if number in spans}
        for alias in available:
            plan.first_offsets[alias] = self._source.offset_at(alias, number, since - MAX_CLOCK_SKEW)
        requested = {alias for alias in self._request.aliases if alias in available or alias not in self._source.spans}
        starts = {alias: plan.first_offsets[alias] for alias in requested & available}
        if not self._request.raw:
            for alias, start in self._recompute(plan, requested, available).items():
                starts[alias] = min(start, starts.get(alias, start))
        for alias, start in starts.items():
            if alias not in plan.recomputed:
                plan.spans[alias] = (start, self._source.spans[alias][number][1])
        plan.left_out = {
            alias for alias in requested - available - plan.recomputed.keys() if self._has_partition(alias, number)
        }
        plan.covered = {alias: self._covered(plan, alias, available) for alias in requested - plan.left_out}
        return plan

    def _recompute(self, plan: ReplayPlan, requested: set[str], available: set[str]) -> dict[str, int]:
        """Adds the steps and joins to the plan; returns the start offsets of their inputs."""
        step_outputs = {step: self._outputs_to_recompute(step) & requested for step in STEPS if step.input in available}
        step_starts = {step: self._warm_up([step.input], step.memory, plan.partition) for step in step_outputs}
        join_outputs = {
            join: requested.intersection(join.outputs) for join in JOINS if available.issuperset(join.inputs)
        }
        join_starts = {join: self._warm_up(join.inputs, join.memory, plan.partition) for join in join_outputs}
        # A topic with several producing steps is either recomputed by all of them or copied.
        incomplete = {alias for step, start in step_starts.items() if start is None for alias in step_outputs[step]}
        incomplete |= {alias for join, start in join_starts.items() if start is None for alias in join_outputs[join]}
        plan.not_recomputed = incomplete & available
        starts: dict[str, int] = {}
        needed = {step.derived_from for step in step_outputs if step_outputs[step] - incomplete and step.derived_from}
        for step, start in step_starts.items():
            if start is not None and (step_outputs[step] - incomplete or needed.intersection(step.outputs)):
                plan.steps.append(step)
                self._add_outputs(plan, step_outputs[step] - incomplete, start, starts)
                plan.memories |= step_outputs[step] - incomplete - set(step.outputs)
        for join, start in join_starts.items():
            if start is not None and join_outputs[join] - incomplete:
                plan.joins.append(join)
                self._add_outputs(plan, join_outputs[join] - incomplete, start, starts)
        return starts

    def _add_outputs(
        self, plan: ReplayPlan, outputs: Iterable[str], start: dict[str, int], starts: dict[str, int]
    ) -> None:
        for alias in outputs:
            plan.recomputed.setdefault(alias, set()).update(start)
        for alias, offset in start.items():
            starts[alias] = min(offset, starts.get(alias, offset))

    def _outputs_to_recompute(self, step: AnyStep) -> set[str]:
        """Returns a step's outputs, with its memory topic only if the source lacks that topic."""
        return {alias for alias in _outputs(step) if alias in step.outputs or alias not in self._source.spans}

    def _warm_up(self, inputs: Iterable[str], memory: timedelta | str, number: int) -> dict[str, int] | None:
        """Returns the input offsets from which a step's live state can be rebuilt, or None.

        None means that records it needs are gone.
        """
        starts: dict[str, int] = {}
        for alias in inputs:
            low, _ = self._source.spans[alias][number]
            is_complete = self._source.is_complete(alias, number)
            # A memory topic keeps only the newest state; a past state follows only from the first record on.
            start = low if isinstance(memory, str) else self._before(alias, number, memory)
            if not is_complete and (isinstance(memory, str) or start <= low):
                return None
            starts[alias] = start
        return starts

    def _before(self, alias: str, number: int, memory: timedelta) -> int:
        return self._source.offset_at(
            alias, number, self._request.range.since - MAX_CLOCK_SKEW - memory - RESTORE_MARGIN
        )

    def _has_partition(self, alias: str, number: int) -> bool:
        """True if a topic has this partition."""
        return number in self._start.spans.get(alias, ())

    def _covered(self, plan: ReplayPlan, alias: str, available: set[str]) -> OffsetRange:
        """Returns the offsets on Kafka that the replay accounts for; empty without records."""
        number = plan.partition
        if not self._has_partition(alias, number) or self._start.spans[alias][number] == (0, 0):
            return 0, 0
        end = self._start.end_offset(alias, number)
        if alias in available:
            first = max(0, plan.first_offsets[alias])
            return first, max(first, min(end, self._source.spans[alias][number][1]))
        first = self._offset(alias, number, self._request.range.since - MAX_CLOCK_SKEW)
        for source in plan.recomputed.get(alias, ()):
            # Outputs of records after the last one in the source are unknown.
            source_end, kafka_end = (
                self._source.spans[source][number][1],
                self._start.spans[source].get(number, (0, 0))[1],
            )
            last = next(reversed(list(self._source.read(source, number, (source_end - 1, source_end)))), None)
            if source_end < kafka_end:
                end = min(end, self._offset(alias, number, last.wire.appended_at) if last else first)
        return first, max(first, end)

    def _offset(self, alias: str, number: int, at: datetime) -> int:
        name = self._settings.catalog[alias].name
        offset = kafka.offset_at_time(self._settings, name, number, max(0, int(at.timestamp() * 1000)))
        return min(offset, self._start.spans[alias][number][1])
