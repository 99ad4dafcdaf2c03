"""Dead letters: records that a stage could not process, with the reason and the original bytes. No I/O."""

from __future__ import annotations

import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from schemas import catalog, codec

if TYPE_CHECKING:
    from confluent_kafka import Message

    from runtime.settings import KafkaSettings
    from schemas.records import DeadLetter

MAX_VALUE_BYTES: Final = 900_000
"""Larger values are referred to by topic, partition and offset only, so that every dead letter fits into a record."""


def build_dead_letter(
    message: Message, *, stage: str, reason: str, detail: str, failed_at: datetime, error: BaseException | None = None
) -> DeadLetter:
    """Builds the dead letter of one Kafka record."""
    value, key = message.value() or b"", message.key()
    timestamp_type, appended_ms = message.timestamp()
    return {
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": message.offset(),
        "stage": stage,
        "reason": reason,
        "detail": detail[:10_000],
        "traceback": "".join(traceback.format_exception(error))[-20_000:] if error else None,
        "key": key if len(key or b"") <= MAX_VALUE_BYTES else None,
        "value": value if len(value) <= MAX_VALUE_BYTES else None,
        "size": len(value),
        "appended_at": datetime.fromtimestamp(appended_ms / 1000, UTC) if timestamp_type else None,
        "failed_at": failed_at,
    }


def build_retention_dead_letter(
    topic: str, partition: int, first: int, end: int, *, stage: str, failed_at: datetime
) -> DeadLetter:
    """Builds the dead letter of records [first, end) that retention deleted before the stage read them."""
    return {
        "topic": topic,
        "partition": partition,
        "offset": first,
        "stage": stage,
        "reason": "retention",
        "detail": f"offsets {first} to {end - 1} (at most {end - first} records) were deleted before they were read",
        "traceback": None,
        "key": None,
        "value": None,
        "size": 0,
        "appended_at": None,
        "failed_at": failed_at,
    }


class EncodedDeadLetter(NamedTuple):
    """A dead letter ready for Kafka. The same failure has the same key, so that sending it twice is harmless."""

    topic: str
    key: bytes
    value: bytes


class DeadLetterEncoder:
    """Encodes the dead letters of one stage; the caller sends them and waits for their delivery."""

    def __init__(self, settings: KafkaSettings, stage: str) -> None:
        self._topic = settings.catalog["dead-letter"]
        self._schema = catalog.schema(self._topic.schema)
        self.stage = stage

    def encode_message(
        self, message: Message, *, reason: str, detail: str, error: BaseException | None = None
    ) -> EncodedDeadLetter:
        """Encodes the dead letter of one record."""
        return self._encode(
            build_dead_letter(
                message, stage=self.stage, reason=reason, detail=detail, failed_at=datetime.now(UTC), error=error
            )
        )

    def encode_retention_gap(self, topic: str, partition: int, first: int, end: int) -> EncodedDeadLetter:
        """Encodes the dead letter of records [first, end) that retention deleted before they were read."""
        return self._encode(
            build_retention_dead_letter(topic, partition, first, end, stage=self.stage, failed_at=datetime.now(UTC))
        )

    def _encode(self, record: DeadLetter) -> EncodedDeadLetter:
        return EncodedDeadLetter(self._topic.name, self._topic.key_of(record), codec.encode(self._schema, record))
