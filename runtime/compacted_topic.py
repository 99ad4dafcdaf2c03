"""A compacted topic as a table: the newest record of each key."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from typing import Any

from confluent_kafka import Message, TopicPartition

from runtime import kafka
from runtime.settings import KafkaSettings
from runtime.topics import decoder
from schemas import codec

Key = bytes | str
"""As Kafka hands it out."""


def newest(
    settings: KafkaSettings, alias: str, *, partitions: Collection[int] | None = None
) -> dict[Key, dict[str, Any]]:
    """Key → its newest record, read to the ends the topic (or some partitions of it) has now.

    A key whose newest record is a tombstone is not there; one whose newest bytes are no record keeps the one before,
    for whoever steps that topic puts such bytes on the dead letter.

    Raises:
        KafkaException: the broker did not answer.
    """
    name = settings.catalog[alias].name
    spans = kafka.watermarks(settings, name)
    decode = decoder(settings, alias).decode
    values: dict[Key, dict[str, Any]] = {}
    wanted = spans if partitions is None else {number: spans[number] for number in partitions}
    for message in kafka.read(settings, name, wanted):
        key = message.key()
        if not message.value():
            values.pop(key, None)
            continue
        try:
            values[key] = decode(message.value())
        except codec.Undecodable:
            continue
    return values


class Followed:
    """Compacted topics as tables that are kept up to date: read whole at first, then followed. Not thread-safe."""

    def __init__(self, settings: KafkaSettings, *aliases: str) -> None:
        """Reads all of them to the ends they have now.

        Raises:
            KafkaException: the broker did not answer.
        """
        self.tables: dict[str, dict[Key, dict[str, Any]]] = {alias: {} for alias in aliases}
        """By alias: key → its newest record."""
        self.offsets: dict[str, dict[int, int]] = {}
        """By alias: partition → the last offset that the table knows of; −1: the partition was empty."""
        self._aliases = {settings.catalog[alias].name: alias for alias in aliases}
        self._decoders = {alias: decoder(settings, alias) for alias in aliases}
        starts = []
        for name in self._aliases:
            spans = kafka.watermarks(settings, name)
            self.offsets[self._aliases[name]] = {number: end - 1 for number, (_, end) in spans.items()}
            for message in kafka.read(settings, name, spans):
                self._take(message)
            starts += [TopicPartition(name, number, end) for number, (_, end) in spans.items()]
        self._reader = kafka.consumer(settings, kafka.READER, **{"fetch.wait.max.ms": 100})
        self._reader.assign(starts)

    def refresh(self) -> bool:
        """Takes in what has come since, without waiting for more; whether anything has. Kafka away: nothing comes."""
        changed = False
        while messages := self._reader.consume(1000, timeout=0):
            for message in messages:
                if message.error() is None:
                    self._take(message)
                    changed = True
        return changed

    def _take(self, message: Message) -> None:
        alias = self._aliases[message.topic()]
        known = self.offsets[alias]
        known[message.partition()] = max(known[message.partition()], message.offset())
        if not message.value():
            self.tables[alias].pop(message.key(), None)
            return
        with suppress(codec.Undecodable):
            self.tables[alias][message.key()] = self._decoders[alias].decode(message.value())

    def close(self) -> None:
        """Lets go of Kafka."""
        self._reader.close()
