"""Dead letters of a sink: records that it cannot decode or store, published before their offsets are committed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from runtime.dead_letter import DeadLetterEncoder, EncodedDeadLetter
from runtime.errors import Retry
from runtime.kafka import KafkaPublisher, OffsetRange
from runtime.metrics import RECORDS_REJECTED

if TYPE_CHECKING:
    from confluent_kafka import Message

    from runtime.settings import KafkaSettings
    from sinks.sink import Partition

log = structlog.get_logger()
TIMEOUT_S: Final = 10.0
"""Timeout for the broker's confirmation."""


class DeadLetterPublisher:
    """Publishes the dead letters of one sink; keeps them until the broker has confirmed them."""

    def __init__(self, settings: KafkaSettings, stage: str) -> None:
        self._encoder = DeadLetterEncoder(settings, stage)
        self._publisher = KafkaPublisher(settings, f"rackstream-{stage}")
        self._unconfirmed: dict[bytes, EncodedDeadLetter] = {}

    def record(self, message: Message, reason: str, detail: str) -> None:
        """Adds a message that cannot be decoded, or that the destination refused."""
        self._add(self._encoder.encode_message(message, reason=reason, detail=detail), reason, count=1)

    def record_lost(self, partition: Partition, lost: OffsetRange) -> None:
        """Adds the records that retention deleted before they were read."""
        first, end = lost
        log.warning("records lost to retention", topic=partition[0], partition=partition[1], first=first, last=end - 1)
        self._add(self._encoder.encode_retention_gap(*partition, first, end), "retention", count=end - first)

    def _add(self, dead_letter: EncodedDeadLetter, reason: str, count: int) -> None:
        if dead_letter.key not in self._unconfirmed:
            RECORDS_REJECTED.labels(reason).inc(count)
        self._unconfirmed[dead_letter.key] = dead_letter

    def flush(self) -> None:
        """Publishes all dead letters and returns when the broker has confirmed them.

        Raises:
            Retry: The broker has not confirmed them yet.
            Misconfigured: The ACL for writing them is missing.
        """
        if not self._unconfirmed:
            return
        try:
            for dead_letter in self._unconfirmed.values():
                self._publisher.send(*dead_letter)
        except BufferError:
            pass  # what fitted is delivered now, and everything again by the next attempt, under the same keys
        else:
            if not self._publisher.flush(TIMEOUT_S) and not self._publisher.delivery_failures:
                self._unconfirmed.clear()
                return
        self._publisher.purge()
        if self._publisher.authorization_error is not None:
            raise self._publisher.authorization_error
        reason = next(iter(self._publisher.delivery_failures), "no answer")
        self._publisher.delivery_failures.clear()
        raise Retry(f"dead letters not confirmed by Kafka: {reason}")
