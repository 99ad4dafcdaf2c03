"""Steps the records of one partition again, and picks the facts that a replay is about. Pure: no Kafka, no clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from processors.drive import Partition
from processors.packs import Packs, builtin
from processors.steps import Step
from schemas import catalog, codec
from sinks.manifest import Range

Record = dict[str, Any]


@dataclass(frozen=True)
class Ask:
    """What a replay is asked for."""

    range: Range
    aliases: tuple[str, ...]
    """Topics whose records are wanted."""


@dataclass(frozen=True)
class Fact:
    """One record that is wanted, and the record on Kafka that it comes from: itself, or the one that was stepped."""

    alias: str
    record: Record
    source: str
    """Alias of the topic of the record it comes from."""
    offset: int
    """That record's."""


class Refold:
    """The steps of one partition number, over all input topics."""

    def __init__(
        self,
        topics: catalog.Catalog,
        ask: Ask,
        steps: Sequence[Step],
        begin: Mapping[str, int],
        packs: Packs | None = None,
    ) -> None:
        """`packs`: the rules as then; default: those that come with the code."""
        self._ask, self._begin = ask, begin
        inputs = {step.input for step in steps}
        self._partitions = {
            alias: Partition(topics, [step for step in steps if step.input == alias]) for alias in inputs
        }
        for each in self._partitions.values():
            each.packs = packs or builtin()
        outputs = {alias for step in steps for alias in step.outputs}
        self._decoders = {alias: codec.Decoder(catalog.schema(topics[alias].schema)) for alias in outputs}
        self.failures: list[str] = []
        """What a step said of records that it failed on."""

    def take(self, alias: str, offset: int, record: Record, appended_at: datetime | None = None) -> Iterator[Fact]:
        """The facts that one record is or leads to. One before its topic's `begin` is only remembered by the steps.

        `appended_at`: when it reached Kafka; default: as soon as it was observed.
        """
        counts = offset >= self._begin[alias]
        if counts and alias in self._ask.aliases and self._ask.range.holds(record):
            yield Fact(alias, record, alias, offset)
        if (partition := self._partitions.get(alias)) is None:
            return
        applied = partition.apply(record, appended_at=appended_at)
        if not counts or not self._ask.range.holds(record):
            return
        self.failures += [f"{name}: {error!r}" for name, error in applied.failures]
        for output in applied.outputs:
            if not output.is_memory and output.alias in self._ask.aliases:
                # As a reader of its topic gets it: with defaults filled in, and times cut to microseconds.
                fact = self._decoders[output.alias].decode(output.value)
                if self._ask.range.holds(fact):
                    yield Fact(output.alias, fact, alias, offset)
