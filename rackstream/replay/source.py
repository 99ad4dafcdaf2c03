"""Where a replay's records come from: Kafka, or an archive of it. Both answer the same questions."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import NamedTuple, Protocol

from processors.alerting import rule_topic
from processors.alerting.rule_pack import Packs, builtin
from rackstream.replay.live_boundary import Noted
from runtime import kafka
from runtime.kafka import Span
from runtime.settings import KafkaSettings
from runtime.topics import decoder
from schemas import catalog, codec
from sinks.consuming.assignment import wire_of
from sinks.files.archive_reader import Archive
from sinks.files.archive_sink import aliases
from sinks.sink import Wire


class Read(NamedTuple):
    """One record."""

    offset: int
    wire: Wire


class Source(Protocol):
    """Records by topic (alias), partition and offset, up to the ends noted when it was made."""

    spans: Mapping[str, Mapping[int, Span]]
    gaps: list[str]
    """What is known to lack, for people."""

    def at(self, alias: str, number: int, moment: datetime) -> int:
        """The first offset appended at or after a time; the end if there is none."""
        ...

    def read(self, alias: str, number: int, span: Span) -> Iterator[Read]:
        """The records in [first, end), in their order."""
        ...

    def whole(self, alias: str, number: int) -> bool:
        """Whether every record from the topic's first on is here."""
        ...

    def decoder(self, alias: str) -> codec.Decoder:
        """A decoder of a topic's records."""
        ...

    def packs(self) -> Packs:
        """The packs of rules, each with the time from which it judges.

        Raises:
            KafkaException: the broker did not answer.
        """
        ...


class KafkaSource:
    """Kafka, as a member of no group."""

    def __init__(self, settings: KafkaSettings, spans: Mapping[str, Mapping[int, Span]]) -> None:
        self._settings, self.spans = settings, spans
        self.gaps: list[str] = []
        self._known: dict[tuple[str, int, int], int] = {}

    def at(self, alias: str, number: int, moment: datetime) -> int:
        """The first offset appended at or after a time; the end noted if there is none."""
        asked = (alias, number, max(0, int(moment.timestamp() * 1000)))
        if asked not in self._known:  # several steps ask the same
            self._known[asked] = kafka.offsets_at(self._settings, self._settings.catalog[alias].name, *asked[1:])
        return min(self._known[asked], self.spans[alias][number][1])

    def read(self, alias: str, number: int, span: Span) -> Iterator[Read]:
        """The records in [first, end)."""
        name = self._settings.catalog[alias].name
        for message in kafka.read(self._settings, name, {number: span}):
            yield Read(message.offset(), wire_of(message))

    def whole(self, alias: str, number: int) -> bool:
        """Whether retention has deleted nothing."""
        return self.spans[alias][number][0] == 0

    def decoder(self, alias: str) -> codec.Decoder:
        """A decoder that looks unknown schemas up on Kafka."""
        return decoder(self._settings, alias)

    def packs(self) -> Packs:
        """The packs on Kafka."""
        return rule_topic.read(self._settings)


class ArchiveSource:
    """An archive.

    Args:
        topics: the catalogue.
        root: its directory.
        current: topic (its name) → its id on Kafka now; None: Kafka is gone.

    Raises:
        Misconfigured: there is no archive.
    """

    def __init__(self, topics: catalog.Catalog, root: Path, current: Mapping[str, str] | None) -> None:
        self._topics = topics
        self._archive = Archive(root, current)
        self._schemas = self._archive.schemas()
        names = {topic.name: alias for alias, topic in topics.topics.items()}
        found = {names[name]: spans for name, spans in self._archive.spans.items() if name in names}
        # A partition that has nothing in the archive had nothing on Kafka.
        numbers = {topics[alias].group: max(spans) + 1 for alias, spans in found.items()}
        for alias, spans in found.items():
            numbers[topics[alias].group] = max(numbers[topics[alias].group], max(spans) + 1)
        self.spans: Mapping[str, Mapping[int, Span]] = {
            alias: {at: found.get(alias, {}).get(at, (0, 0)) for at in range(numbers.get(topics[alias].group, 0))}
            for alias in aliases()
        }
        missing = self._archive.missing
        self.gaps = [f"{len(missing)} files of the archive are gone, the first: {missing[0]}"] if missing else []

    def noted(self) -> Noted:
        """Where everything stood as far as the archive knows, without Kafka: topics that are not in it are empty."""
        numbers: dict[str, set[int]] = {}
        for alias, spans in self.spans.items():
            numbers.setdefault(self._topics[alias].group, set()).update(spans)
        found: dict[str, Mapping[int, Span]] = {
            alias: dict.fromkeys(numbers.get(topic.group, ()), (0, 0)) for alias, topic in self._topics.topics.items()
        }
        ids = {alias: self._archive.ids.get(self._topics[alias].name, "") for alias in self.spans}
        return Noted(found | dict(self.spans), ids=ids)

    def at(self, alias: str, number: int, moment: datetime) -> int:
        """The first offset appended at or after a time."""
        if self.spans[alias][number] == (0, 0):
            return 0
        return self._archive.at((self._topics[alias].name, number), int(moment.timestamp() * 1000))

    def read(self, alias: str, number: int, span: Span) -> Iterator[Read]:
        """The records in [first, end)."""
        if span[0] < span[1] and self.spans[alias][number] != (0, 0):
            for each in self._archive.read((self._topics[alias].name, number), span):
                yield Read(*each)

    def whole(self, alias: str, number: int) -> bool:
        """Whether it has every record from the topic's first on."""
        return self.spans[alias][number] == (0, 0) or self._archive.whole((self._topics[alias].name, number))

    def decoder(self, alias: str) -> codec.Decoder:
        """A decoder that looks unknown schemas up in the archive."""
        return codec.Decoder(catalog.schema(self._topics[alias].schema), self._schemas.get)

    def packs(self) -> Packs:
        """The packs in the archive."""
        found, decode = builtin(), self.decoder("rules").decode
        for number, span in self.spans.get("rules", {}).items():
            for each in self.read("rules", number, span):
                if each.wire.value:
                    found = rule_topic.added(found, decode, each.wire.value, each.wire.appended_at)
        return found
