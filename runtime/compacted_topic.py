"""Compacted topics as tables that hold the latest record of each key."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from confluent_kafka import Message, TopicPartition

from runtime import kafka
from runtime.settings import KafkaSettings
from runtime.skipped_records import skip_record
from runtime.topics import decoder
from schemas import codec

Key = bytes | str
"""Key of a record as confluent-kafka returns it."""
Table = dict[Key, dict[str, Any]]
"""Key → decoded record."""


def read_latest(settings: KafkaSettings, alias: str, *, partitions: Collection[int] | None = None) -> Table:
    """Reads a topic (or some of its partitions) to its current end and returns the latest record of each key.

    Keys deleted by a tombstone are left out. If the latest value of a key cannot be decoded, its previous record stays:
    the consumer of the topic sends such values to the dead-letter topic.

    Raises:
        KafkaException: The broker did not answer.
    """
    name = settings.catalog[alias].name
    ranges = kafka.watermarks(settings, name)
    decode = decoder(settings, alias).decode
    table: Table = {}
    selected = ranges if partitions is None else {partition: ranges[partition] for partition in partitions}
    for message in kafka.read_ranges(settings, name, selected):
        key = message.key()
        if not message.value():
            table.pop(key, None)
            continue
        try:
            table[key] = decode(message.value())
        except codec.DecodeError as error:
            skip_record(alias, message, error)
    return table


class CompactedTopics:
    """Tables of compacted topics, read completely at first and then kept up to date. Not thread-safe."""

    def __init__(self, settings: KafkaSettings, *aliases: str) -> None:
        """Reads all topics to their current end.

        Raises:
            KafkaException: The broker did not answer.
        """
        self.tables: dict[str, Table] = {alias: {} for alias in aliases}
        """Alias → table."""
        self.offsets: dict[str, dict[int, int]] = {}
        """Alias → partition → last offset that the table includes; −1 for an empty partition."""
        self._aliases = {settings.catalog[alias].name: alias for alias in aliases}
        self._decoders = {alias: decoder(settings, alias) for alias in aliases}
        positions = []
        for name in self._aliases:
            ranges = kafka.watermarks(settings, name)
            self.offsets[self._aliases[name]] = {partition: end - 1 for partition, (_, end) in ranges.items()}
            for message in kafka.read_ranges(settings, name, ranges):
                self._apply(message)
            positions += [TopicPartition(name, partition, end) for partition, (_, end) in ranges.items()]
        self._reader = kafka.create_consumer(settings, kafka.READER_GROUP, **{"fetch.wait.max.ms": 100})
        self._reader.assign(positions)

    def refresh(self) -> bool:
        """Applies records that have already arrived. Returns True if there were any."""
        changed = False
        while messages := self._reader.consume(1000, timeout=0):
            for message in messages:
                if message.error() is None:
                    self._apply(message)
                    changed = True
        return changed

    def _apply(self, message: Message) -> None:
        alias = self._aliases[message.topic()]
        offsets = self.offsets[alias]
        offsets[message.partition()] = max(offsets[message.partition()], message.offset())
        if not message.value():
            self.tables[alias].pop(message.key(), None)
            return
        try:
            self.tables[alias][message.key()] = self._decoders[alias].decode(message.value())
        except codec.DecodeError as error:
            skip_record(alias, message, error)

    def close(self) -> None:
        """Closes the consumer."""
        self._reader.close()
