"""Dead letters of a sink."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import structlog

from runtime.deadletter import letter
from runtime.errors import Retry
from runtime.kafka import Publisher, Span
from runtime.observe import RECORDS_REJECTED
from schemas import catalog, codec

if TYPE_CHECKING:
    from confluent_kafka import Message

    from runtime.settings import KafkaSettings
    from schemas.records import DeadLetter
    from sinks.sink import Partition

log = structlog.get_logger()
TIMEOUT_S: Final = 10.0
"""For the broker to confirm."""


class Letters:
    """Dead letters of one sink, kept here until the broker has them."""

    def __init__(self, settings: KafkaSettings, stage: str) -> None:
        self._topic = settings.catalog["dead-letter"]
        self._schema = catalog.schema(self._topic.schema)
        self._publisher = Publisher(settings, f"rackstream-{stage}")
        self._stage = stage
        self._open: dict[bytes, bytes] = {}

    def record(self, message: Message, reason: str, detail: str) -> None:
        """A record that is none, or that the destination refused."""
        self._add(
            letter(message, stage=self._stage, reason=reason, detail=detail, failed_at=datetime.now(UTC)), count=1
        )

    def hole(self, partition: Partition, hole: Span) -> None:
        """Records that retention deleted before they were read."""
        first, end = hole
        detail = f"offsets {first} to {end - 1} ({end - first} at most) were deleted before they were read"
        log.warning("records lost to retention", topic=partition[0], partition=partition[1], first=first, last=end - 1)
        self._add(
            {
                "topic": partition[0],
                "partition": partition[1],
                "offset": first,
                "stage": self._stage,
                "reason": "retention",
                "detail": detail,
                "traceback": None,
                "key": None,
                "value": None,
                "size": 0,
                "appended_at": None,
                "failed_at": datetime.now(UTC),
            },
            count=end - first,
        )

    def _add(self, record: DeadLetter, count: int) -> None:
        plain = dict(record)
        key = self._topic.key_of(plain)
        if key not in self._open:
            RECORDS_REJECTED.labels(self._stage, record["reason"]).inc(count)
        self._open[key] = codec.encode(self._schema, plain)

    def deliver(self) -> None:
        """Returns when the broker has every letter.

        Raises:
            Retry: it has not yet; they are kept.
        """
        if not self._open:
            return
        try:
            for key, value in self._open.items():
                self._publisher.send(self._topic.name, key, value)
        except BufferError:
            pass  # those that fitted are delivered now, and all of them again at the next try: same key, same letter
        else:
            if not self._publisher.flush(TIMEOUT_S) and not self._publisher.failures:
                self._open.clear()
                return
        self._publisher.purge()
        why = next(iter(self._publisher.failures), "no answer")
        self._publisher.failures.clear()
        raise Retry(f"dead letters not confirmed by Kafka: {why}")
