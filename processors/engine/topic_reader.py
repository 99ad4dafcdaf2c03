"""Reads topics back, to restore states from them: the only module of the restore that uses Kafka."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Protocol

from confluent_kafka import Message, TopicPartition

from processors.engine.step import AnyRecord
from runtime import compacted_topic, kafka
from runtime.kafka import OffsetRange
from runtime.settings import KafkaSettings
from runtime.topics import decoder
from schemas.catalog import Catalog


class StoredMessage(Protocol):
    """A message on Kafka, as far as a restore reads it."""

    def offset(self) -> int:
        """Returns its offset."""

    def value(self) -> bytes | None:
        """Returns its bytes; None for a tombstone."""

    def timestamp(self) -> tuple[int, int]:
        """Returns (kind, ms since 1970)."""


class TopicReader(Protocol):
    """Reads partitions of topics, each named by its alias."""

    @property
    def catalog(self) -> Catalog:
        """The catalogue of the topics."""

    def span(self, alias: str, number: int) -> OffsetRange:
        """Returns the offsets that a partition holds now."""

    def offset_at(self, alias: str, number: int, timestamp_ms: int) -> int:
        """Returns the first offset appended at or after a time; the partition's end if there is none."""

    def read(self, alias: str, number: int, span: OffsetRange) -> Iterable[StoredMessage]:
        """Returns the messages of a range of offsets, in order."""

    def read_latest(self, alias: str, number: int) -> Iterable[AnyRecord]:
        """Returns the latest record of each key on a partition of a compacted topic."""

    def decoder(self, alias: str) -> Callable[[bytes], AnyRecord]:
        """Returns a function that decodes the values of a topic; it raises `codec.DecodeError`."""

    def committed_offset(self, group: str, alias: str, number: int) -> int | None:
        """Returns the offset that a group has committed on a partition, or None."""


class KafkaTopicReader:
    """Reads topics on Kafka. Methods raise KafkaException if the broker does not answer."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    @property
    def catalog(self) -> Catalog:
        """The catalogue of the topics."""
        return self._settings.catalog

    def span(self, alias: str, number: int) -> OffsetRange:
        """Returns the offsets that a partition holds now."""
        return kafka.watermarks(self._settings, self._name(alias))[number]

    def offset_at(self, alias: str, number: int, timestamp_ms: int) -> int:
        """Returns the first offset appended at or after a time; the partition's end if there is none."""
        return kafka.offset_at_time(self._settings, self._name(alias), number, timestamp_ms)

    def read(self, alias: str, number: int, span: OffsetRange) -> Iterator[Message]:
        """Returns the messages of a range of offsets, in order."""
        return kafka.read_ranges(self._settings, self._name(alias), {number: span})

    def read_latest(self, alias: str, number: int) -> Iterable[AnyRecord]:
        """Returns the latest record of each key on a partition of a compacted topic."""
        return compacted_topic.read_latest(self._settings, alias, partitions=[number]).values()

    def decoder(self, alias: str) -> Callable[[bytes], AnyRecord]:
        """Returns a function that decodes the values of a topic; it raises `codec.DecodeError`."""
        return decoder(self._settings, alias).decode

    def committed_offset(self, group: str, alias: str, number: int) -> int | None:
        """Returns the offset that a group has committed on a partition, or None. Does not join the group."""
        consumer = kafka.create_consumer(self._settings, group)
        try:
            offset: int = consumer.committed([TopicPartition(self._name(alias), number)], timeout=15)[0].offset
        finally:
            consumer.close()
        return offset if offset >= 0 else None

    def _name(self, alias: str) -> str:
        return self.catalog[alias].name
