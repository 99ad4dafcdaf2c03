"""Topics in memory, for tests of what is read back from Kafka: real bytes under offsets, with append times."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from schemas import catalog, codec

LOG_APPEND_TIME = 2
"""librdkafka's kind of a timestamp that the broker gave."""


@dataclass(frozen=True)
class Message:
    """A message, with the methods that librdkafka's have."""

    at: int
    key: bytes
    bytes_: bytes | None
    appended_ms: int

    def offset(self) -> int:
        return self.at

    def value(self) -> bytes | None:
        return self.bytes_

    def timestamp(self) -> tuple[int, int]:
        return LOG_APPEND_TIME, self.appended_ms


class MemoryTopics:
    """A `TopicReader` of topics that a test fills."""

    def __init__(self) -> None:
        self.catalog = catalog.load()
        self.partitions: defaultdict[tuple[str, int], list[Message]] = defaultdict(list)
        self.deleted: Counter[tuple[str, int]] = Counter()
        """(alias, partition) → records that retention has deleted."""
        self.committed: dict[tuple[str, str, int], int] = {}
        """(group, alias, partition) → offset."""
        self.reads: list[tuple[str, int, tuple[int, int]]] = []
        """Ranges that were read."""

    def append(self, alias: str, record: Mapping[str, Any], appended_ms: int, number: int = 0) -> int:
        """Appends a record and returns its offset."""
        topic = self.catalog[alias]
        value = codec.encode(catalog.schema(topic.schema), record)
        return self.append_bytes(alias, topic.key_of(record), value, appended_ms, number)

    def append_bytes(self, alias: str, key: bytes, value: bytes | None, appended_ms: int, number: int = 0) -> int:
        messages = self.partitions[alias, number]
        messages.append(Message(len(messages), key, value, appended_ms))
        return len(messages) - 1

    def records(self, alias: str, number: int = 0) -> list[dict[str, Any]]:
        """All records of a partition."""
        decode = self.decoder(alias)
        return [decode(message.bytes_) for message in self.partitions[alias, number] if message.bytes_]

    def span(self, alias: str, number: int) -> tuple[int, int]:
        return self.deleted[alias, number], len(self.partitions[alias, number])

    def offset_at(self, alias: str, number: int, timestamp_ms: int) -> int:
        first, end = self.span(alias, number)
        later = (message.at for message in self._kept(alias, number) if message.appended_ms >= timestamp_ms)
        return next(later, max(first, end))

    def read(self, alias: str, number: int, span: tuple[int, int]) -> Iterable[Message]:
        self.reads.append((alias, number, span))
        return [message for message in self._kept(alias, number) if span[0] <= message.at < span[1]]

    def read_latest(self, alias: str, number: int) -> Iterable[dict[str, Any]]:
        latest = {message.key: message.bytes_ for message in self._kept(alias, number)}
        decode = self.decoder(alias)
        return [decode(value) for value in latest.values() if value]

    def decoder(self, alias: str) -> Callable[[bytes], dict[str, Any]]:
        return codec.Decoder(catalog.schema(self.catalog[alias].schema)).decode

    def committed_offset(self, group: str, alias: str, number: int) -> int | None:
        return self.committed.get((group, alias, number))

    def _kept(self, alias: str, number: int) -> list[Message]:
        return self.partitions[alias, number][self.deleted[alias, number] :]
