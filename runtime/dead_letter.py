"""The dead letter: records that a stage could not take, with reason and original bytes. Building one is pure."""

from __future__ import annotations

import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from schemas import catalog, codec

if TYPE_CHECKING:
    from confluent_kafka import Message

    from runtime.settings import KafkaSettings
    from schemas.records import DeadLetter

MAX_BYTES: Final = 900_000
"""Larger values are kept by reference (topic, partition, offset), so that a letter always fits."""


def letter(
    message: Message, *, stage: str, reason: str, detail: str, failed_at: datetime, error: BaseException | None = None
) -> DeadLetter:
    """The dead letter of one Kafka record."""
    value, key = message.value() or b"", message.key()
    kind, appended_ms = message.timestamp()
    return {
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": message.offset(),
        "stage": stage,
        "reason": reason,
        "detail": detail[:10_000],
        "traceback": "".join(traceback.format_exception(error))[-20_000:] if error else None,
        "key": key if len(key or b"") <= MAX_BYTES else None,
        "value": value if len(value) <= MAX_BYTES else None,
        "size": len(value),
        "appended_at": datetime.fromtimestamp(appended_ms / 1000, UTC) if kind else None,
        "failed_at": failed_at,
    }


def retention_letter(
    topic: str, partition: int, first: int, end: int, *, stage: str, failed_at: datetime
) -> DeadLetter:
    """The dead letter of the records [first, end), which retention deleted before a stage had read them."""
    return {
        "topic": topic,
        "partition": partition,
        "offset": first,
        "stage": stage,
        "reason": "retention",
        "detail": f"offsets {first} to {end - 1} ({end - first} at most) were deleted before they were read",
        "traceback": None,
        "key": None,
        "value": None,
        "size": 0,
        "appended_at": None,
        "failed_at": failed_at,
    }


class Encoded(NamedTuple):
    """A letter as it goes to Kafka. The same failure has the same key, so that sending it again does no harm."""

    topic: str
    key: bytes
    value: bytes


class DeadLetters:
    """Writes the dead letters of one stage. Whoever sends them sees to it that they arrive."""

    def __init__(self, settings: KafkaSettings, stage: str) -> None:
        self._topic = settings.catalog["dead-letter"]
        self._schema = catalog.schema(self._topic.schema)
        self.stage = stage

    def of(self, message: Message, *, reason: str, detail: str, error: BaseException | None = None) -> Encoded:
        """The letter of one record."""
        return self._encoded(
            letter(message, stage=self.stage, reason=reason, detail=detail, failed_at=datetime.now(UTC), error=error)
        )

    def of_hole(self, topic: str, partition: int, first: int, end: int) -> Encoded:
        """The letter of records that retention deleted before they were read."""
        return self._encoded(
            retention_letter(topic, partition, first, end, stage=self.stage, failed_at=datetime.now(UTC))
        )

    def _encoded(self, record: DeadLetter) -> Encoded:
        plain = dict(record)
        return Encoded(self._topic.name, self._topic.key_of(plain), codec.encode(self._schema, plain))
