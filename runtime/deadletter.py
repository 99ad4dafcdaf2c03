"""The dead letter: records that a stage could not take, with reason and original bytes. Building one is pure."""

from __future__ import annotations

import traceback
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from schemas import catalog, codec

if TYPE_CHECKING:
    from confluent_kafka import Message

    from runtime.kafka import Publisher
    from runtime.settings import KafkaSettings
    from schemas.records import DeadLetter

MAX_BYTES: Final = 900_000
"""Larger values are kept by reference (topic, partition, offset), so that a letter always fits."""


def letter(
    message: Message, *, stage: str, reason: str, detail: str, failed_at: datetime, error: BaseException | None = None
) -> DeadLetter:
    """The dead letter of one Kafka record."""
    value = message.value() or b""
    kind, appended_ms = message.timestamp()
    return {
        "topic": message.topic(),
        "partition": message.partition(),
        "offset": message.offset(),
        "stage": stage,
        "reason": reason,
        "detail": detail[:10_000],
        "traceback": "".join(traceback.format_exception(error))[-20_000:] if error else None,
        "key": message.key(),
        "value": value if len(value) <= MAX_BYTES else None,
        "size": len(value),
        "appended_at": datetime.fromtimestamp(appended_ms / 1000, UTC) if kind else None,
        "failed_at": failed_at,
    }


class DeadLetters:
    """Sends dead letters of one stage. They count as kept only once delivered: see `Publisher.flush`."""

    def __init__(self, settings: KafkaSettings, publisher: Publisher, stage: str) -> None:
        self._topic = settings.catalog["dead-letter"]
        self._schema = catalog.schema(self._topic.schema)
        self._publisher = publisher
        self.stage = stage

    def send(self, message: Message, *, reason: str, detail: str, error: BaseException | None = None) -> None:
        """Queues one letter."""
        record = letter(
            message, stage=self.stage, reason=reason, detail=detail, failed_at=datetime.now(UTC), error=error
        )
        plain = dict(record)
        value = codec.encode(self._schema, plain)
        self._publisher.send(self._topic.name, self._topic.key_of(plain), value, wait_s=30)
