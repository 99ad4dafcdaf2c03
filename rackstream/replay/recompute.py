"""Steps the records of one partition number again, and picks what a replay is about. Pure: no Kafka, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from processors.alerting.rule_pack import Packs, builtin
from processors.engine.join import Joint
from processors.engine.partition import Encoded, Partition
from processors.engine.step import Join, Step
from schemas import catalog, codec
from sinks.files.manifest import Range

Record = dict[str, Any]


@dataclass(frozen=True)
class Ask:
    """What a replay is asked for."""

    range: Range
    aliases: tuple[str, ...]
    """Topics whose records are wanted."""
    packs: Packs | None = None
    """The rules to judge by; None: those of then."""
    raw: bool = False
    """Nothing is recomputed: each topic's records are taken as they are."""


@dataclass(frozen=True)
class Fact:
    """One record that is wanted, and the record on Kafka that it comes from: itself, or the one that was stepped."""

    alias: str
    record: Record
    source: str
    """Alias of the topic of the record it comes from."""
    offset: int
    """That record's."""
    appended_ms: int = 0
    """When that record reached Kafka."""
    is_record: bool = False
    """It is that record itself."""


class Refold:
    """The steps and joins of one partition number, over all input topics."""

    def __init__(
        self,
        topics: catalog.Catalog,
        ask: Ask,
        steps: Sequence[Step],
        begin: Mapping[str, int],
        *,
        joins: Sequence[Join] = (),
        memories: AbstractSet[str] = frozenset(),
    ) -> None:
        """Begins with no memory.

        Args:
            topics: the catalogue.
            ask: what is wanted, and by which rules; None of them: those that come with the code.
            steps: those that run.
            begin: from which offset on the records of a topic (alias) count.
            joins: those that run.
            memories: topics of steps' memories whose records are facts here.
        """
        self._ask, self._begin, self._memories = ask, begin, memories
        inputs = {step.input for step in steps}
        self._partitions = {
            alias: Partition(topics, [step for step in steps if step.input == alias]) for alias in inputs
        }
        for partition in self._partitions.values():
            partition.packs = ask.packs or builtin()
        self._joints = [Joint(topics, join) for join in joins]
        outputs = {alias for step in steps for alias in step.outputs} | {
            alias for join in joins for alias in join.outputs
        }
        self._decoders = {alias: codec.Decoder(catalog.schema(topics[alias].schema)) for alias in outputs | memories}
        self.failures: list[str] = []
        """What a step said of records that it failed on."""

    def take(self, alias: str, offset: int, record: Record, appended_at: datetime | None = None) -> Iterator[Fact]:
        """The facts that one record is or leads to. One before its topic's `begin` is only remembered by the steps.

        `appended_at`: when it reached Kafka; default: as soon as it was observed.
        """
        at_ms = round((appended_at or record["observed_at"]).timestamp() * 1000)
        counts = offset >= self._begin[alias]
        if counts and alias in self._ask.aliases and self._ask.range.holds(record):
            yield Fact(alias, record, alias, offset, at_ms, is_record=True)
        if (partition := self._partitions.get(alias)) is not None:
            applied = partition.apply(record, appended_at=appended_at)
            if counts and self._ask.range.holds(record):
                self.failures += [f"{name}: {error!r}" for name, error in applied.failures]
                yield from self._facts(applied.outputs, alias, offset, at_ms)
        for joint in self._joints:
            if alias in joint.join.inputs:
                outputs = [each for side in joint.join.inputs for each in joint.quiet(side, at_ms - 1)]
                outputs += joint.take(alias, offset, record, at_ms)
                if counts:
                    self.failures += [f"{joint.join.name}: {error!r}" for error in joint.failures]
                    yield from self._facts(outputs, alias, offset, at_ms)
                joint.failures.clear()

    def finish(self) -> Iterator[Fact]:
        """The facts that joins settle when they know that there is no more."""
        for joint in self._joints:
            for side in joint.join.inputs:
                outputs = joint.quiet(side, joint.appended_ms)
                yield from self._facts(outputs, side, joint.next.get(side, 0), joint.appended_ms)

    def _facts(self, outputs: Iterable[Encoded], source: str, offset: int, at_ms: int) -> Iterator[Fact]:
        for output in outputs:
            if (not output.is_memory or output.alias in self._memories) and output.alias in self._ask.aliases:
                # As a reader of its topic gets it: with defaults filled in, and times cut to microseconds.
                fact = self._decoders[output.alias].decode(output.value)
                if self._ask.range.holds(fact):
                    yield Fact(output.alias, fact, source, offset, at_ms)
