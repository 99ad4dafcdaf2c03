"""What a replay reads of one partition number, and which steps it runs to make the facts that are asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from processors.engine.restore import SLACK
from processors.engine.step import Join, Step
from processors.registry import joined, mounted
from rackstream.replay.live_boundary import Noted
from rackstream.replay.recompute import Ask
from rackstream.replay.source import Source
from runtime import kafka
from runtime.kafka import Span
from runtime.settings import KafkaSettings

AHEAD: Final = timedelta(hours=1)
"""Records are found by time of arrival: those of a host whose clock is ahead by less than this are found too."""


@dataclass
class Plan:
    """What is read of one partition number, and what is made of it."""

    number: int
    spans: dict[str, Span] = field(default_factory=dict)
    """What is read of each topic (alias)."""
    begin: dict[str, int] = field(default_factory=dict)
    """From where on the records of a topic count: before, they only warm the steps up."""
    steps: list[Step] = field(default_factory=list)
    joins: list[Join] = field(default_factory=list)
    recomputed: dict[str, set[str]] = field(default_factory=dict)
    """Output alias → input aliases."""
    memories: set[str] = field(default_factory=set)
    """Those of the recomputed that are topics of steps' memories."""
    covered: dict[str, Span] = field(default_factory=dict)
    """Offsets on Kafka of each topic asked for whose records, if they are in the range, it brings."""
    not_recomputed: set[str] = field(default_factory=set)
    """Derived topics whose records are taken as they are, for what they were made of is not whole."""
    left_out: set[str] = field(default_factory=set)
    """Topics asked for of which the source has neither the records nor what they were made of."""

    @property
    def records(self) -> int:
        """How many are read, at most."""
        return sum(end - first for first, end in self.spans.values())


def topics_needed(aliases: Sequence[str]) -> tuple[str, ...]:
    """Those asked for, and the inputs of the steps and joins whose outputs are."""
    wanted = set(aliases)
    inputs = [step.input for step in mounted() if wanted.intersection(_makes(step))]
    inputs += [alias for join in joined() if wanted.intersection(join.outputs) for alias in join.inputs]
    return tuple(dict.fromkeys([*aliases, *inputs]))


def _makes(step: Step) -> set[str]:
    return {*step.outputs, *([step.memory] if isinstance(step.memory, str) else [])}


class Planner:
    """Plans for one replay."""

    def __init__(self, settings: KafkaSettings, ask: Ask, noted: Noted, source: Source) -> None:
        self._settings, self._ask, self._noted, self._source = settings, ask, noted, source

    def plans(self) -> list[Plan]:
        """One per partition number."""
        return [self._plan(number) for number in sorted({at for spans in self._source.spans.values() for at in spans})]

    def _plan(self, number: int) -> Plan:
        """From where each topic is read, and which steps run."""
        plan, since = Plan(number), self._ask.range.since
        there = {alias for alias, spans in self._source.spans.items() if number in spans}
        for alias in there:
            plan.begin[alias] = self._source.at(alias, number, since - AHEAD)
        wanted = {alias for alias in self._ask.aliases if alias in there or alias not in self._source.spans}
        starts = {alias: plan.begin[alias] for alias in wanted & there}
        if not self._ask.raw:
            for alias, start in self._recompute(plan, wanted, there).items():
                starts[alias] = min(start, starts.get(alias, start))
        for alias, start in starts.items():
            if alias not in plan.recomputed:
                plan.spans[alias] = (start, self._source.spans[alias][number][1])
        plan.left_out = {alias for alias in wanted - there - plan.recomputed.keys() if self._has(alias, number)}
        plan.covered = {alias: self._covered(plan, alias, there) for alias in wanted - plan.left_out}
        return plan

    def _recompute(self, plan: Plan, wanted: set[str], there: set[str]) -> dict[str, int]:
        """Chooses the steps; returns from where they read their inputs."""
        made = {step: self._made(step) & wanted for step in mounted() if step.input in there}
        warm = {step: self._warm_up([step.input], step.memory, plan.number) for step in made}
        joints = {join: wanted.intersection(join.outputs) for join in joined() if there.issuperset(join.inputs)}
        warm_joins = {join: self._warm_up(join.inputs, join.memory, plan.number) for join in joints}
        # What several steps make is recomputed by all of them or taken as it is.
        gone = {alias for step, start in warm.items() if start is None for alias in made[step]}
        gone |= {alias for join, start in warm_joins.items() if start is None for alias in joints[join]}
        plan.not_recomputed = gone & there
        starts: dict[str, int] = {}
        needed = {step.via for step in made if made[step] - gone and step.via}
        for step, start in warm.items():
            if start is not None and (made[step] - gone or needed.intersection(step.outputs)):
                plan.steps.append(step)
                self._note(plan, made[step] - gone, start, starts)
                plan.memories |= made[step] - gone - set(step.outputs)
        for join, start in warm_joins.items():
            if start is not None and joints[join] - gone:
                plan.joins.append(join)
                self._note(plan, joints[join] - gone, start, starts)
        return starts

    def _note(self, plan: Plan, outputs: Iterable[str], start: dict[str, int], starts: dict[str, int]) -> None:
        for alias in outputs:
            plan.recomputed.setdefault(alias, set()).update(start)
        for alias, offset in start.items():
            starts[alias] = min(offset, starts.get(alias, offset))

    def _made(self, step: Step) -> set[str]:
        """Topics that a step makes facts for: its memory's too, where the source has none of that topic."""
        return {alias for alias in _makes(step) if alias in step.outputs or alias not in self._source.spans}

    def _warm_up(self, inputs: Iterable[str], memory: timedelta | str, number: int) -> dict[str, int] | None:
        """The offsets from which to read to know at the beginning what was known live; None: it is gone."""
        starts: dict[str, int] = {}
        for alias in inputs:
            low, _ = self._source.spans[alias][number]
            whole = self._source.whole(alias, number)
            # A memory's topic has the newest state only: the state of then follows from the first record on.
            start = low if isinstance(memory, str) else self._before(alias, number, memory)
            if not whole and (isinstance(memory, str) or start <= low):
                return None
            starts[alias] = start
        return starts

    def _before(self, alias: str, number: int, memory: timedelta) -> int:
        return self._source.at(alias, number, self._ask.range.since - AHEAD - memory - SLACK)

    def _has(self, alias: str, number: int) -> bool:
        """Whether a topic has this partition."""
        return number in self._noted.spans.get(alias, ())

    def _covered(self, plan: Plan, alias: str, there: set[str]) -> Span:
        """The offsets on Kafka that a replay speaks for; none where the topic has no such partition or no record."""
        number = plan.number
        if not self._has(alias, number) or self._noted.spans[alias][number] == (0, 0):
            return 0, 0
        end = self._noted.end(alias, number)
        if alias in there:
            first = max(0, plan.begin[alias])
            return first, max(first, min(end, self._source.spans[alias][number][1]))
        first = self._offset(alias, number, self._ask.range.since - AHEAD)
        for source in plan.recomputed.get(alias, ()):
            # Of what came after the last record that is here, nothing can be said.
            mine, known = self._source.spans[source][number][1], self._noted.spans[source].get(number, (0, 0))[1]
            last = next(reversed(list(self._source.read(source, number, (mine - 1, mine)))), None)
            if mine < known:
                end = min(end, self._offset(alias, number, last.wire.appended_at) if last else first)
        return first, max(first, end)

    def _offset(self, alias: str, number: int, moment: datetime) -> int:
        name = self._settings.catalog[alias].name
        found = kafka.offsets_at(self._settings, name, number, max(0, int(moment.timestamp() * 1000)))
        return min(found, self._noted.spans[alias][number][1])
