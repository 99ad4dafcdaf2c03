"""Recomputes derived records of one partition number. Pure: no Kafka, no clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime

from processors.alerting.rule_pack import RulePackHistory, builtin
from processors.engine.join import JoinPartition
from processors.engine.partition import EncodedOutput, Partition
from processors.engine.step import AnyJoin, AnyStep
from schemas import catalog, codec
from sinks.files.manifest import ReplayRange
from sinks.sink import AnyRecord


@dataclass(frozen=True)
class ReplayRequest:
    """Parameters of a replay."""

    range: ReplayRange
    aliases: tuple[str, ...]
    """Topics to replay."""
    packs: RulePackHistory | None = None
    """Rules to apply; None for those in effect at the time."""
    raw: bool = False
    """True to copy each topic's records, without recomputing any."""


@dataclass(frozen=True)
class ReplayRecord:
    """A record to store, and the Kafka record it comes from: itself, or the step's input."""

    alias: str
    record: AnyRecord
    source: str
    """Topic alias of the original record."""
    offset: int
    """Offset of the original record."""
    appended_ms: int = 0
    """When the original record reached Kafka."""
    is_original: bool = False
    """True if it is the original record itself."""


class Recomputation:
    """Steps and joins of one partition number, over all input topics."""

    def __init__(
        self,
        topics: catalog.Catalog,
        request: ReplayRequest,
        steps: Sequence[AnyStep],
        first_offsets: Mapping[str, int],
        *,
        joins: Sequence[AnyJoin] = (),
        memories: AbstractSet[str] = frozenset(),
    ) -> None:
        """Starts with empty state.

        Args:
            topics: The catalogue.
            request: The replay's parameters; if it names no rules, the built-in ones apply.
            steps: Steps to run.
            first_offsets: First offset to replay, by topic alias.
            joins: Joins to run.
            memories: Memory topics of steps whose records are replayed.
        """
        self._request, self._first_offsets, self._memories = request, first_offsets, memories
        inputs = {step.input for step in steps}
        self._partitions = {
            alias: Partition(topics, [step for step in steps if step.input == alias]) for alias in inputs
        }
        for partition in self._partitions.values():
            partition.packs = request.packs or builtin()
        self._join_partitions = [JoinPartition(topics, join) for join in joins]
        outputs = {alias for step in steps for alias in step.outputs} | {
            alias for join in joins for alias in join.outputs
        }
        self._decoders = {alias: codec.Decoder(catalog.schema(topics[alias].schema)) for alias in outputs | memories}
        self.failures: list[str] = []
        """Errors of steps that failed on a record."""

    def process(
        self, alias: str, offset: int, record: AnyRecord, appended_at: datetime | None = None
    ) -> Iterator[ReplayRecord]:
        """Yields the records that one input record is or leads to.

        Records before their topic's first offset only warm up the steps.

        Args:
            alias: Topic of the record.
            offset: Its offset.
            record: The record.
            appended_at: When it reached Kafka; by default, when it was observed.
        """
        at_ms = round((appended_at or record["observed_at"]).timestamp() * 1000)
        is_replayed = offset >= self._first_offsets[alias]
        if is_replayed and alias in self._request.aliases and self._request.range.contains(record):
            yield ReplayRecord(alias, record, alias, offset, at_ms, is_original=True)
        if (partition := self._partitions.get(alias)) is not None:
            applied = partition.apply(record, appended_at=appended_at)
            if is_replayed and self._request.range.contains(record):
                self.failures += [f"{name}: {error!r}" for name, error in applied.failures]
                yield from self._replay_records(applied.outputs, alias, offset, at_ms)
        for join_partition in self._join_partitions:
            if alias in join_partition.join.inputs:
                outputs = [
                    output
                    for source in join_partition.join.inputs
                    for output in join_partition.advance_watermark(source, at_ms - 1)
                ]
                outputs += join_partition.apply(alias, offset, record, at_ms)
                if is_replayed:
                    self.failures += [f"{join_partition.join.name}: {error!r}" for error in join_partition.failures]
                    yield from self._replay_records(outputs, alias, offset, at_ms)
                join_partition.failures.clear()

    def finish(self) -> Iterator[ReplayRecord]:
        """Yields the outputs of joins that are final once no more input follows."""
        for join_partition in self._join_partitions:
            for source in join_partition.join.inputs:
                outputs = join_partition.advance_watermark(source, join_partition.appended_ms)
                yield from self._replay_records(
                    outputs, source, join_partition.next_offsets.get(source, 0), join_partition.appended_ms
                )

    def _replay_records(
        self, outputs: Iterable[EncodedOutput], source: str, offset: int, at_ms: int
    ) -> Iterator[ReplayRecord]:
        for output in outputs:
            if (not output.is_memory or output.alias in self._memories) and output.alias in self._request.aliases:
                # As a reader decodes it: defaults filled in, times cut to microseconds.
                record = self._decoders[output.alias].decode(output.value)
                if self._request.range.contains(record):
                    yield ReplayRecord(output.alias, record, source, offset, at_ms)
