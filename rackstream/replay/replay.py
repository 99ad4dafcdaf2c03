"""`rackstream replay`: brings the records of a stretch of time from Kafka, or an archive of it, somewhere again.

Raw records go through the mounted steps again, warmed up from before the stretch, so that what is derived is
recomputed. It is taken from its own topic instead where not all raw records are left that a step would need for the
same answer. Reads to the ends noted at the start, as a member of no group; writes to no live topic.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from confluent_kafka import KafkaException

from rackstream.replay.live_boundary import Fence, Noted
from rackstream.replay.plan import Plan, Planner
from rackstream.replay.progress import Progress
from rackstream.replay.recompute import Ask, Fact, Refold
from rackstream.replay.source import Read, Source
from runtime.errors import Retry
from runtime.settings import KafkaSettings
from schemas import codec
from sinks.replay.destination import Destination
from sinks.sink import Item

EXAMPLES: Final = 5


@dataclass
class Summary:
    """What a replay did."""

    since: str
    until: str
    read: int = 0
    """Records read, those that only warmed steps up among them."""
    rows: dict[str, int] = field(default_factory=dict)
    """Rows stored, by dataset; of a dry run those that would be."""
    there: dict[str, int] = field(default_factory=dict)
    """Rows left out because they are stored."""
    later: int = 0
    """Records left to the live pipeline, which has not stored them yet."""
    undecodable: int = 0
    failed: int = 0
    """Times a step failed on a record."""
    refused: int = 0
    """Records that the destination cannot take."""
    not_recomputed: list[str] = field(default_factory=list)
    """Derived topics whose records were taken as they are, at least on some partitions."""
    left_out: list[str] = field(default_factory=list)
    """Topics asked for that the archive has neither the records of nor what they were made of."""
    examples: list[str] = field(default_factory=list)
    """Why records failed or were refused, and what the source lacks."""

    def as_text(self, *, dry_run: bool) -> str:
        """Tables for people."""
        names = sorted({*self.rows, *self.there})
        lines = [f"{self.since} to {self.until}: {self.read:,} records read", f"{'dataset':34}    rows   there before"]
        lines += [f"{name:34} {self.rows.get(name, 0):>7,} {self.there.get(name, 0):>14,}" for name in names]
        counts = {"undecodable": self.undecodable, "failed in a step": self.failed, "refused": self.refused}
        lines += [f"{count:,} records {what}" for what, count in counts.items() if count]
        if self.later:
            lines.append(f"{self.later:,} records left to the files sink, which has not stored them yet")
        if self.not_recomputed:
            lines.append(f"not recomputed, for older raw records are gone: {', '.join(self.not_recomputed)}")
        if self.left_out:
            lines.append(f"left out, for the archive does not have all they were made of: {', '.join(self.left_out)}")
        lines += [f"  {example}" for example in self.examples]
        return "\n".join([*lines, "dry run: nothing was stored"] if dry_run else lines)


class Replay:
    """One replay.

    Args:
        settings: where Kafka is.
        ask: what is wanted.
        noted: where the live parts stood when it began.
        source: where the records come from.
        into: where they go.
        progress: told how far it is.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        ask: Ask,
        noted: Noted,
        source: Source,
        into: Destination,
        progress: Progress,
    ) -> None:
        self._settings, self._ask, self._noted, self._source = settings, ask, noted, source
        self._into, self._progress = into, progress
        self._decoders = {alias: source.decoder(alias) for alias in source.spans}
        self._summary = Summary(ask.range.since.isoformat(), ask.range.until.isoformat())

    def run(self) -> Summary:
        """Reads, steps and stores, one partition number after the other.

        Raises:
            Retry: Kafka or the destination is away; the same replay can be run again.
        """
        summary = self._summary
        try:
            self._ask = replace(self._ask, packs=self._ask.packs or self._source.packs())
            plans = Planner(self._settings, self._ask, self._noted, self._source).plans()
            summary.not_recomputed = sorted({alias for plan in plans for alias in plan.not_recomputed})
            summary.left_out = sorted({alias for plan in plans for alias in plan.left_out})
            with self._progress.over(sum(plan.records for plan in plans)):
                for plan in plans:
                    self._partition(plan)
        except KafkaException as error:
            raise Retry(f"no answer from Kafka at {self._settings.bootstrap}: {error.args[0].str()}") from error
        tally = self._into.tally
        summary.rows = {name: count for name, count in sorted(tally.new.items()) if count}
        summary.there = {name: count for name, count in sorted(tally.there.items()) if count}
        summary.refused = tally.refused
        summary.examples += [*tally.examples, *self._source.gaps]
        return summary

    def _partition(self, plan: Plan) -> None:
        fence = Fence(self._settings, self._noted, plan.number, plan.recomputed)
        refold = Refold(
            self._settings.catalog, self._ask, plan.steps, plan.begin, joins=plan.joins, memories=plan.memories
        )
        self._into.open(plan.number, plan.covered)
        for alias, read in self._merged(plan):
            self._summary.read += 1
            self._progress.one()
            if (record := self._decode(alias, read.wire.value)) is not None:
                for fact in refold.take(alias, read.offset, record, read.wire.appended_at):
                    self._put(fact, plan.number, fence, read)
        for fact in refold.finish():
            self._put(fact, plan.number, fence)
        self._summary.failed += len(refold.failures)
        self._summary.examples += refold.failures[: EXAMPLES - len(self._summary.examples)]
        self._into.commit(plan.number, plan.covered)

    def _put(self, fact: Fact, number: int, fence: Fence, read: Read | None = None) -> None:
        wire = read.wire if read is not None and fact.is_record else None
        item = Item(fact.alias, (self._settings.catalog[fact.alias].name, number), fact.offset, fact.record, wire)
        if fence.takes(fact):
            self._into.put(item)
        else:
            self._summary.later += 1
            self._into.leave(item)

    def _merged(self, plan: Plan) -> Iterator[tuple[str, Read]]:
        """The records of all topics on one partition number, in the order in which they were appended."""

        def read(alias: str) -> Iterator[tuple[str, Read]]:
            for each in self._source.read(alias, plan.number, plan.spans[alias]):
                yield alias, each

        yield from heapq.merge(*map(read, plan.spans), key=lambda each: each[1].wire.appended_at)

    def _decode(self, alias: str, value: bytes | None) -> dict[str, Any] | None:
        try:
            return self._decoders[alias].decode(value) if value else None
        except codec.Undecodable:
            self._summary.undecodable += 1
            return None
