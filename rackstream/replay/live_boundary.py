"""What of a replay the live sink will store itself: it was not there yet when the replay began. Reads only.

A row must be stored by one of the two. The sink stores what is on a topic from a known offset on. A recomputed fact has
no offset: its identity is looked for in the tail of its topic. What comes of records that the processors have committed
is on its topic for sure; of later ones it may still come.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from processors.engine.worker import ProcessorSettings
from processors.registry import joined, mounted
from rackstream.replay.recompute import Fact
from rackstream.topics.lag import committed, positions
from runtime import kafka
from runtime.kafka import Span
from runtime.settings import KafkaSettings
from runtime.topics import decoder, topic_id
from schemas import codec
from sinks.consuming.assignment import begin
from sinks.files.manifest import read_manifest
from sinks.run import group

Positions = dict[tuple[str, int], int]
"""(alias, partition) → offset."""


@dataclass(frozen=True)
class Noted:
    """Where everything stood when a replay began."""

    spans: Mapping[str, Mapping[int, Span]]
    """Of each topic and partition."""
    stepped: Positions = field(default_factory=dict)
    """Where the processors are: what comes of records before is on its topic."""
    stored: Positions | None = None
    """Where the live sink is: it will store what is there and later. None: storing a fact twice does no harm."""
    ids: Mapping[str, str] = field(default_factory=dict)
    """Kafka's ids of the topics."""

    def end(self, alias: str, number: int) -> int:
        """Below it a replay stores the records of a topic."""
        _, end = self.spans[alias].get(number, (0, 0))
        return end if self.stored is None else min(end, self.stored.get((alias, number), end))


def note(
    settings: KafkaSettings,
    aliases: Iterable[str],
    sink: str | None = None,
    *,
    files: Path | None = None,
    look: Callable[[], None] | None = None,
) -> Noted:
    """Notes it, in the order in which a record makes its way, so that none is between two notes.

    Args:
        settings: where Kafka is.
        aliases: the topics.
        sink: the live sink that stores there too (`files`, `influx`). None: storing a fact twice does no harm.
        files: where the files sink stores, if it is that one.
        look: looks at what is stored, when that sink stores it for sure and before the ends are noted.
    """
    topics = tuple(dict.fromkeys(aliases))
    if sink is None:
        return Noted({alias: kafka.watermarks(settings, settings.catalog[alias].name) for alias in topics})
    processors = ProcessorSettings.read().group
    inputs = ({step.input for step in mounted()} | {alias for join in joined() for alias in join.inputs}) & set(topics)
    stepped = {
        (alias, number): offset
        for alias in inputs
        for number, offset in committed(settings, processors, settings.catalog[alias].name).items()
    }
    ids = {alias: topic_id(settings, settings.catalog[alias].name) for alias in topics}
    resume = _manifests(files) if files is not None else {}
    stored = {
        (alias, number): begin(offset, resume.get((settings.catalog[alias].name, ids[alias], number)), span)[0]
        for alias in topics
        for number, (offset, span) in positions(settings, group(sink), settings.catalog[alias].name).items()
        # Where no InfluxDB sink ever was, all that is stored is a replay's.
        if files is not None or offset is not None
    }
    if look is not None:
        look()
    spans = {alias: kafka.watermarks(settings, settings.catalog[alias].name) for alias in topics}
    return Noted(spans, stepped, stored, ids)


def _manifests(files: Path) -> dict[tuple[str, str, int], int]:
    """Where the sink resumes by its manifests: (topic, topic id, partition) → offset."""
    return {
        (entry.topic, entry.topic_id, entry.partition): entry.last + 1
        for entry in read_manifest(files)
        if entry.replayed is None
    }


class Fence:
    """Tells a replay's facts of one partition number from those of the live parts."""

    def __init__(self, settings: KafkaSettings, noted: Noted, number: int, recomputed: Mapping[str, set[str]]) -> None:
        """`recomputed`: output alias → the inputs that it is recomputed from."""
        self._settings, self._noted, self._number, self._recomputed = settings, noted, number, recomputed
        self._later: dict[str, set[Hashable]] = {}
        """Identities on a topic that the sink will store."""
        self._there: dict[str, set[Hashable]] = {}
        """Identities that it has stored once, of records that the processors may step again."""
        self._unsure: dict[str, int | None] = {}
        """When the first record of a topic that is not stepped for sure was appended, in ms; None: there is none."""
        if noted.stored is not None:
            for alias, sources in recomputed.items():
                for source in sources:
                    self._look(alias, source)

    def takes(self, fact: Fact) -> bool:
        """Whether the replay stores it."""
        if self._noted.stored is None:
            return True
        if fact.is_record:
            return fact.offset < self._noted.end(fact.alias, self._number)
        identity = self._identity(fact.alias, fact.record)
        if self._is_stepped(fact):
            return identity not in self._later[fact.alias]
        # The processors step it again after a restart, and know what they have sent of it before.
        return identity in self._there[fact.alias]

    def _is_stepped(self, fact: Fact) -> bool:
        if any(fact.alias in join.outputs for join in joined()):
            # Which record of which side settles it depends on the interleaving.
            ends = (self._unsure[source] for source in self._recomputed[fact.alias])
            return all(end is None or fact.appended_ms < end for end in ends)
        return fact.offset < self._stepped(fact.source)

    def _identity(self, alias: str, record: dict[str, Any]) -> Hashable:
        # A compacted topic's identity says whose state it is, not which.
        return (*self._settings.catalog[alias].identity_of(record), record["observed_at"])

    def _stepped(self, source: str) -> int:
        return self._noted.stepped.get((source, self._number), 0)

    def _look(self, alias: str, source: str) -> None:
        _, end = self._noted.spans[alias].get(self._number, (0, 0))
        stored = self._noted.end(alias, self._number)
        later, there = self._later.setdefault(alias, set()), self._there.setdefault(alias, set())
        for offset, record in self._records(alias, (min(self._tail(alias, source), stored), end)):
            (there if offset < stored else later).add(self._identity(alias, record))

    def _tail(self, alias: str, source: str) -> int:
        """Where the outputs of records not surely stepped begin: appended no sooner than the first of those."""
        if source not in self._unsure:
            self._unsure[source] = self._first_unsure(source)
        appended_ms = self._unsure[source]
        if appended_ms is None or self._number not in self._noted.spans[alias]:
            return self._noted.end(alias, self._number)
        return kafka.offsets_at(self._settings, self._settings.catalog[alias].name, self._number, appended_ms)

    def _first_unsure(self, source: str) -> int | None:
        low, end = self._noted.spans[source].get(self._number, (0, 0))
        first = max(low, self._stepped(source))
        name = self._settings.catalog[source].name
        message = next(kafka.read(self._settings, name, {self._number: (first, min(first + 1, end))}), None)
        return None if message is None else int(message.timestamp()[1])

    def _records(self, alias: str, span: Span) -> Iterator[tuple[int, dict[str, Any]]]:
        decode = decoder(self._settings, alias).decode
        for message in kafka.read(self._settings, self._settings.catalog[alias].name, {self._number: span}):
            try:
                if message.value():
                    yield message.offset(), decode(message.value())
            except codec.Undecodable:
                continue
