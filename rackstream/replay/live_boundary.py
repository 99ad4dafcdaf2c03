"""Decides which records a replay stores and which are left to the live sink.

Each row must be stored by one of the two. The live sink will store what is on a topic from a known offset on. A
recomputed record has no offset, so its identity is looked up in the tail of its topic. Outputs of records that the
processors have committed are on their topic; those of later records may still arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from processors.engine.worker import ProcessorSettings
from processors.registry import JOINS, STEPS
from rackstream.replay.recompute import ReplayRecord
from rackstream.topics.lag import committed, committed_with_ranges
from runtime import kafka
from runtime.kafka import OffsetRange
from runtime.settings import KafkaSettings
from runtime.topics import decoder, topic_id
from schemas import codec
from sinks.consuming.assignment import starting_offset
from sinks.files.manifest import read_manifest
from sinks.registry import SINKS
from sinks.sink import AnyRecord

OffsetMap = dict[tuple[str, int], int]
"""(alias, partition) → offset."""


@dataclass(frozen=True)
class StartOffsets:
    """Positions of the pipeline when a replay began."""

    spans: Mapping[str, Mapping[int, OffsetRange]]
    """First and end offset by alias and partition."""
    processed: OffsetMap = field(default_factory=dict)
    """Committed offsets of the processors: outputs of earlier records are on their topics."""
    stored: OffsetMap | None = None
    """Offsets from which the live sink will store; None if storing a record twice is harmless."""
    ids: Mapping[str, str] = field(default_factory=dict)
    """Kafka's topic ids by alias."""

    def end_offset(self, alias: str, number: int) -> int:
        """Returns the offset below which a replay stores the records of a topic."""
        _, end = self.spans[alias].get(number, (0, 0))
        return end if self.stored is None else min(end, self.stored.get((alias, number), end))


def record_start(
    settings: KafkaSettings,
    aliases: Iterable[str],
    sink: str | None = None,
    *,
    files: Path | None = None,
    inspect_stored: Callable[[], None] | None = None,
) -> StartOffsets:
    """Records the positions in the order of the data flow, so that no record is missed.

    Args:
        settings: Connection to Kafka.
        aliases: The topics.
        sink: The live sink that stores in the same place (`files`, `influx`). None: storing a record twice is harmless.
        files: Directory of the files sink, if it is that one.
        inspect_stored: Called between reading the sink's positions and the topics' ends.
    """
    topics = tuple(dict.fromkeys(aliases))
    if sink is None:
        return StartOffsets({alias: kafka.watermarks(settings, settings.catalog[alias].name) for alias in topics})
    processors = ProcessorSettings.read().group
    inputs = ({step.input for step in STEPS} | {alias for join in JOINS for alias in join.inputs}) & set(topics)
    processed = {
        (alias, number): offset
        for alias in inputs
        for number, offset in committed(settings, processors, settings.catalog[alias].name).items()
    }
    ids = {alias: topic_id(settings, settings.catalog[alias].name) for alias in topics}
    resume = _resume_offsets(files) if files is not None else {}
    stored = {
        (alias, number): starting_offset(offset, resume.get((settings.catalog[alias].name, ids[alias], number)), span)[
            0
        ]
        for alias in topics
        for number, (offset, span) in committed_with_ranges(
            settings, SINKS[sink].group(), settings.catalog[alias].name
        ).items()
        # Without an InfluxDB sink, all stored rows come from replays.
        if files is not None or offset is not None
    }
    if inspect_stored is not None:
        inspect_stored()
    spans = {alias: kafka.watermarks(settings, settings.catalog[alias].name) for alias in topics}
    return StartOffsets(spans, processed, stored, ids)


def _resume_offsets(files: Path) -> dict[tuple[str, str, int], int]:
    """Returns where the files sink resumes by its manifests, by topic, topic id and partition."""
    return {
        (entry.topic, entry.topic_id, entry.partition): entry.last + 1
        for entry in read_manifest(files)
        if entry.replayed is None
    }


class LiveBoundary:
    """Separates a replay's records of one partition number from those left to the live sink."""

    def __init__(
        self, settings: KafkaSettings, start: StartOffsets, number: int, recomputed: Mapping[str, set[str]]
    ) -> None:
        """Reads the tails of the recomputed topics.

        Args:
            settings: Connection to Kafka.
            start: Positions when the replay began.
            number: The partition number.
            recomputed: Output alias → input aliases.
        """
        self._settings, self._start, self._number, self._recomputed = settings, start, number, recomputed
        self._to_be_stored: dict[str, set[Hashable]] = {}
        """Identities on a topic that the live sink will store."""
        self._already_stored: dict[str, set[Hashable]] = {}
        """Identities it has stored, made from records that the processors may process again."""
        self._first_unprocessed_ms: dict[str, int | None] = {}
        """Arrival time of the first record not committed by the processors; None if there is none."""
        if start.stored is not None:
            for alias, sources in recomputed.items():
                for source in sources:
                    self._scan(alias, source)

    def includes(self, record: ReplayRecord) -> bool:
        """True if the replay stores this record."""
        if self._start.stored is None:
            return True
        if record.is_original:
            return record.offset < self._start.end_offset(record.alias, self._number)
        identity = self._identity(record.alias, record.record)
        if self._is_processed(record):
            return identity not in self._to_be_stored[record.alias]
        # The processors may process it again after a restart, but do not send again what they have sent.
        return identity in self._already_stored[record.alias]

    def _is_processed(self, record: ReplayRecord) -> bool:
        if any(record.alias in join.outputs for join in JOINS):
            # Which input completes a join depends on the order of arrival.
            ends = (self._first_unprocessed_ms[source] for source in self._recomputed[record.alias])
            return all(end is None or record.appended_ms < end for end in ends)
        return record.offset < self._processed(record.source)

    def _identity(self, alias: str, record: AnyRecord) -> Hashable:
        # The identity on a compacted topic names the subject of the state, not its version.
        return (*self._settings.catalog[alias].identity_of(record), record["observed_at"])

    def _processed(self, source: str) -> int:
        return self._start.processed.get((source, self._number), 0)

    def _scan(self, alias: str, source: str) -> None:
        _, end = self._start.spans[alias].get(self._number, (0, 0))
        stored = self._start.end_offset(alias, self._number)
        to_be_stored, already_stored = (
            self._to_be_stored.setdefault(alias, set()),
            self._already_stored.setdefault(alias, set()),
        )
        for offset, record in self._records(alias, (min(self._tail_start(alias, source), stored), end)):
            (already_stored if offset < stored else to_be_stored).add(self._identity(alias, record))

    def _tail_start(self, alias: str, source: str) -> int:
        """Returns the offset of the first output that may come from an uncommitted record."""
        if source not in self._first_unprocessed_ms:
            self._first_unprocessed_ms[source] = self._find_first_unprocessed_ms(source)
        appended_ms = self._first_unprocessed_ms[source]
        if appended_ms is None or self._number not in self._start.spans[alias]:
            return self._start.end_offset(alias, self._number)
        return kafka.offset_at_time(self._settings, self._settings.catalog[alias].name, self._number, appended_ms)

    def _find_first_unprocessed_ms(self, source: str) -> int | None:
        low, end = self._start.spans[source].get(self._number, (0, 0))
        first = max(low, self._processed(source))
        name = self._settings.catalog[source].name
        message = next(kafka.read_ranges(self._settings, name, {self._number: (first, min(first + 1, end))}), None)
        return None if message is None else int(message.timestamp()[1])

    def _records(self, alias: str, span: OffsetRange) -> Iterator[tuple[int, AnyRecord]]:
        decode = decoder(self._settings, alias).decode
        for message in kafka.read_ranges(self._settings, self._settings.catalog[alias].name, {self._number: span}):
            try:
                if message.value():
                    yield message.offset(), decode(message.value())
            except codec.DecodeError:
                continue
