"""`rackstream replay`: stores the records of a past period again, from Kafka or an archive.

Raw records are processed by the steps again, warmed up with earlier records, so that derived records are recomputed. A
derived topic is copied instead where raw records that a step needs are gone. A replay reads up to the ends recorded at
its start, joins no group, and writes to no live topic.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Final

from confluent_kafka import KafkaException

from rackstream.replay.live_boundary import LiveBoundary, StartOffsets
from rackstream.replay.plan import ReplayPlan, ReplayPlanner
from rackstream.replay.progress import ReplayProgress
from rackstream.replay.recompute import Recomputation, ReplayRecord, ReplayRequest
from rackstream.replay.source import RecordSource, SourceRecord
from runtime.errors import Retry
from runtime.settings import KafkaSettings
from schemas import codec
from sinks.replay.destination import ReplayDestination
from sinks.sink import AnyRecord, Item

EXAMPLES: Final = 5


@dataclass
class ReplaySummary:
    """Result of a replay."""

    since: str
    until: str
    read: int = 0
    """Records read, including those that only warmed up steps."""
    rows: dict[str, int] = field(default_factory=dict)
    """New rows by dataset; in a dry run, those that would be stored."""
    there: dict[str, int] = field(default_factory=dict)
    """Rows skipped because they are already stored."""
    later: int = 0
    """Records left to the live sink, which has not stored them yet."""
    undecodable: int = 0
    failed: int = 0
    """Number of records on which a step failed."""
    refused: int = 0
    """Records that the destination rejected."""
    not_recomputed: list[str] = field(default_factory=list)
    """Derived topics that were copied, at least on some partitions."""
    left_out: list[str] = field(default_factory=list)
    """Requested topics of which the archive has neither the records nor the inputs."""
    examples: list[str] = field(default_factory=list)
    """Reasons of failures and rejections, and gaps of the source."""

    def as_text(self, *, dry_run: bool) -> str:
        """Returns the summary as a table."""
        names = sorted({*self.rows, *self.there})
        lines = [f"{self.since} to {self.until}: {self.read:,} records read", f"{'dataset':34}     new  already stored"]
        lines += [f"{name:34} {self.rows.get(name, 0):>7,} {self.there.get(name, 0):>14,}" for name in names]
        counts = {"undecodable": self.undecodable, "failed in a step": self.failed, "refused": self.refused}
        lines += [f"{count:,} records {reason}" for reason, count in counts.items() if count]
        if self.later:
            lines.append(f"{self.later:,} records left to the live sink, which has not stored them yet")
        if self.not_recomputed:
            lines.append(f"not recomputed, because older raw records are gone: {', '.join(self.not_recomputed)}")
        if self.left_out:
            lines.append(f"left out, because the archive lacks records they derive from: {', '.join(self.left_out)}")
        lines += [f"  {example}" for example in self.examples]
        return "\n".join([*lines, "dry run: nothing was stored"] if dry_run else lines)


class Replay:
    """Runs one replay.

    Args:
        settings: Connection to Kafka.
        request: The replay's parameters.
        start: Positions of the live pipeline when the replay began.
        source: Source of the records.
        destination: Where to store them.
        progress: Shows the progress.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        request: ReplayRequest,
        start: StartOffsets,
        source: RecordSource,
        destination: ReplayDestination,
        progress: ReplayProgress,
    ) -> None:
        self._settings, self._request, self._start, self._source = settings, request, start, source
        self._destination, self._progress = destination, progress
        self._decoders = {alias: source.decoder(alias) for alias in source.spans}
        self._summary = ReplaySummary(request.range.since.isoformat(), request.range.until.isoformat())

    def run(self) -> ReplaySummary:
        """Reads, processes and stores, one partition number after the other.

        Raises:
            Retry: Kafka or the destination does not answer; the same replay can be run again.
        """
        summary = self._summary
        try:
            self._request = replace(self._request, packs=self._request.packs or self._source.packs())
            plans = ReplayPlanner(self._settings, self._request, self._start, self._source).plans()
            summary.not_recomputed = sorted({alias for plan in plans for alias in plan.not_recomputed})
            summary.left_out = sorted({alias for plan in plans for alias in plan.left_out})
            with self._progress.track(sum(plan.records for plan in plans)):
                for plan in plans:
                    self._partition(plan)
        except KafkaException as error:
            raise Retry(f"no answer from Kafka at {self._settings.bootstrap}: {error.args[0].str()}") from error
        counts = self._destination.counts
        summary.rows = {name: count for name, count in sorted(counts.new.items()) if count}
        summary.there = {name: count for name, count in sorted(counts.already_stored.items()) if count}
        summary.refused = counts.refused
        summary.examples += [*counts.examples, *self._source.gaps]
        return summary

    def _partition(self, plan: ReplayPlan) -> None:
        boundary = LiveBoundary(self._settings, self._start, plan.partition, plan.recomputed)
        recomputation = Recomputation(
            self._settings.catalog,
            self._request,
            plan.steps,
            plan.first_offsets,
            joins=plan.joins,
            memories=plan.memories,
        )
        self._destination.open(plan.partition, plan.covered)
        for alias, read in self._merged(plan):
            self._summary.read += 1
            self._progress.advance()
            if (record := self._decode(alias, read.wire.value)) is not None:
                for output in recomputation.process(alias, read.offset, record, read.wire.appended_at):
                    self._store(output, plan.partition, boundary, read)
        for output in recomputation.finish():
            self._store(output, plan.partition, boundary)
        self._summary.failed += len(recomputation.failures)
        self._summary.examples += recomputation.failures[: EXAMPLES - len(self._summary.examples)]
        self._destination.commit(plan.partition, plan.covered)

    def _store(
        self, record: ReplayRecord, number: int, boundary: LiveBoundary, source: SourceRecord | None = None
    ) -> None:
        wire = source.wire if source is not None and record.is_original else None
        item = Item(
            record.alias, (self._settings.catalog[record.alias].name, number), record.offset, record.record, wire
        )
        if boundary.includes(record):
            self._destination.put(item)
        else:
            self._summary.later += 1
            self._destination.skip(item)

    def _merged(self, plan: ReplayPlan) -> Iterator[tuple[str, SourceRecord]]:
        """Yields the records of all topics on one partition number, in order of arrival."""

        def read(alias: str) -> Iterator[tuple[str, SourceRecord]]:
            for record in self._source.read(alias, plan.partition, plan.spans[alias]):
                yield alias, record

        yield from heapq.merge(*map(read, plan.spans), key=lambda tagged: tagged[1].wire.appended_at)

    def _decode(self, alias: str, value: bytes | None) -> AnyRecord | None:
        try:
            return self._decoders[alias].decode(value) if value else None
        except codec.DecodeError:
            self._summary.undecodable += 1
            return None
