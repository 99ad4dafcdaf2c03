"""Sources of a replay: Kafka, or an archive."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol

from processors.alerting import rule_topic
from processors.alerting.rule_pack import RulePackHistory, builtin
from rackstream.replay.live_boundary import StartOffsets
from runtime import kafka
from runtime.kafka import OffsetRange
from runtime.settings import KafkaSettings
from runtime.topics import decoder
from schemas import catalog, codec
from sinks.consuming.decoding import kafka_record
from sinks.files.archive_reader import Archive
from sinks.files.archive_sink import archived_topics
from sinks.sink import KafkaRecord


class SourceRecord(NamedTuple):
    """A record as it was on Kafka."""

    offset: int
    wire: KafkaRecord


class RecordSource(Protocol):
    """Records by topic, partition and offset, up to the ends when it was created."""

    spans: Mapping[str, Mapping[int, OffsetRange]]
    gaps: list[str]
    """Descriptions of missing data."""

    def offset_at(self, alias: str, number: int, moment: datetime) -> int:
        """Returns the first offset appended at or after a time, or the end."""
        ...

    def read(self, alias: str, number: int, span: OffsetRange) -> Iterator[SourceRecord]:
        """Yields the records in [first, end), in order."""
        ...

    def is_complete(self, alias: str, number: int) -> bool:
        """True if the source has every record from the topic's first on."""
        ...

    def decoder(self, alias: str) -> codec.Decoder:
        """Returns a decoder of a topic's records."""
        ...

    def packs(self) -> RulePackHistory:
        """Returns the rule packs, each with the time from which it applies.

        Raises:
            KafkaException: The broker did not answer.
        """
        ...


class KafkaSource:
    """Reads from Kafka without joining a group."""

    def __init__(self, settings: KafkaSettings, spans: Mapping[str, Mapping[int, OffsetRange]]) -> None:
        self._settings, self.spans = settings, spans
        self.gaps: list[str] = []
        self._offset_cache: dict[tuple[str, int, int], int] = {}

    def offset_at(self, alias: str, number: int, moment: datetime) -> int:
        """Returns the first offset appended at or after a time, or the recorded end."""
        key = (alias, number, max(0, int(moment.timestamp() * 1000)))
        if key not in self._offset_cache:  # several steps need the same offset
            self._offset_cache[key] = kafka.offset_at_time(self._settings, self._settings.catalog[alias].name, *key[1:])
        return min(self._offset_cache[key], self.spans[alias][number][1])

    def read(self, alias: str, number: int, span: OffsetRange) -> Iterator[SourceRecord]:
        """Yields the records in [first, end)."""
        name = self._settings.catalog[alias].name
        for message in kafka.read_ranges(self._settings, name, {number: span}):
            yield SourceRecord(message.offset(), kafka_record(message))

    def is_complete(self, alias: str, number: int) -> bool:
        """True if retention has deleted nothing."""
        return self.spans[alias][number][0] == 0

    def decoder(self, alias: str) -> codec.Decoder:
        """Returns a decoder that looks up unknown schemas on Kafka."""
        return decoder(self._settings, alias)

    def packs(self) -> RulePackHistory:
        """Returns the packs on Kafka."""
        return rule_topic.read_packs(self._settings)


class ArchiveSource:
    """Reads from an archive.

    Args:
        topics: The catalogue.
        root: Directory of the archive.
        current: Current topic id by topic name; None if Kafka is unavailable.

    Raises:
        Misconfigured: There is no archive.
    """

    def __init__(self, topics: catalog.Catalog, root: Path, current: Mapping[str, str] | None) -> None:
        self._topics = topics
        self._archive = Archive(root, current)
        self._schemas = self._archive.schemas()
        names = {topic.name: alias for alias, topic in topics.topics.items()}
        spans_by_alias = {names[name]: spans for name, spans in self._archive.spans.items() if name in names}
        # A partition without records in the archive had none on Kafka.
        numbers = {topics[alias].group: max(spans) + 1 for alias, spans in spans_by_alias.items()}
        for alias, spans in spans_by_alias.items():
            numbers[topics[alias].group] = max(numbers[topics[alias].group], max(spans) + 1)
        self.spans: Mapping[str, Mapping[int, OffsetRange]] = {
            alias: {
                at: spans_by_alias.get(alias, {}).get(at, (0, 0)) for at in range(numbers.get(topics[alias].group, 0))
            }
            for alias in archived_topics()
        }
        missing = self._archive.missing_files
        self.gaps = [f"{len(missing)} files of the archive are missing, the first: {missing[0]}"] if missing else []

    def start_offsets(self) -> StartOffsets:
        """Returns the positions known without Kafka: topics outside the archive count as empty."""
        numbers: dict[str, set[int]] = {}
        for alias, spans in self.spans.items():
            numbers.setdefault(self._topics[alias].group, set()).update(spans)
        spans_by_alias: dict[str, Mapping[int, OffsetRange]] = {
            alias: dict.fromkeys(numbers.get(topic.group, ()), (0, 0)) for alias, topic in self._topics.topics.items()
        }
        ids = {alias: self._archive.topic_ids.get(self._topics[alias].name, "") for alias in self.spans}
        return StartOffsets(spans_by_alias | dict(self.spans), ids=ids)

    def offset_at(self, alias: str, number: int, moment: datetime) -> int:
        """Returns the first offset appended at or after a time."""
        if self.spans[alias][number] == (0, 0):
            return 0
        return self._archive.offset_at((self._topics[alias].name, number), int(moment.timestamp() * 1000))

    def read(self, alias: str, number: int, span: OffsetRange) -> Iterator[SourceRecord]:
        """Yields the records in [first, end)."""
        if span[0] < span[1] and self.spans[alias][number] != (0, 0):
            for entry in self._archive.read((self._topics[alias].name, number), span):
                yield SourceRecord(*entry)

    def is_complete(self, alias: str, number: int) -> bool:
        """True if the archive has every record from the topic's first on."""
        return self.spans[alias][number] == (0, 0) or self._archive.is_complete((self._topics[alias].name, number))

    def decoder(self, alias: str) -> codec.Decoder:
        """Returns a decoder that looks up unknown schemas in the archive."""
        return codec.Decoder(catalog.schema(self._topics[alias].schema), self._schemas.get)

    def packs(self) -> RulePackHistory:
        """Returns the packs in the archive."""
        packs, decode = builtin(), self.decoder("rules").decode
        for number, span in self.spans.get("rules", {}).items():
            for record in self.read("rules", number, span):
                if record.wire.value:
                    packs = rule_topic.add_record(packs, decode, record.wire.value, record.wire.appended_at)
        return packs
