"""Dead letters of a sink."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import structlog

from runtime.dead_letter import DeadLetters, Encoded
from runtime.errors import Retry
from runtime.kafka import Publisher, Span
from runtime.metrics import RECORDS_REJECTED

if TYPE_CHECKING:
    from confluent_kafka import Message

    from runtime.settings import KafkaSettings
    from sinks.sink import Partition

log = structlog.get_logger()
TIMEOUT_S: Final = 10.0
"""For the broker to confirm."""


class Letters:
    """Dead letters of one sink, kept here until the broker has them."""

    def __init__(self, settings: KafkaSettings, stage: str) -> None:
        self._letters = DeadLetters(settings, stage)
        self._publisher = Publisher(settings, f"rackstream-{stage}")
        self._open: dict[bytes, Encoded] = {}

    def record(self, message: Message, reason: str, detail: str) -> None:
        """A record that is none, or that the destination refused."""
        self._add(self._letters.of(message, reason=reason, detail=detail), reason, count=1)

    def hole(self, partition: Partition, hole: Span) -> None:
        """Records that retention deleted before they were read."""
        first, end = hole
        log.warning("records lost to retention", topic=partition[0], partition=partition[1], first=first, last=end - 1)
        self._add(self._letters.of_hole(*partition, first, end), "retention", count=end - first)

    def _add(self, letter: Encoded, reason: str, count: int) -> None:
        if letter.key not in self._open:
            RECORDS_REJECTED.labels(reason).inc(count)
        self._open[letter.key] = letter

    def deliver(self) -> None:
        """Returns when the broker has every letter.

        Raises:
            Retry: it has not yet; they are kept.
            Misconfigured: we may not write there.
        """
        if not self._open:
            return
        try:
            for letter in self._open.values():
                self._publisher.send(*letter)
        except BufferError:
            pass  # those that fitted are delivered now, and all of them again at the next try: same key, same letter
        else:
            if not self._publisher.flush(TIMEOUT_S) and not self._publisher.failures:
                self._open.clear()
                return
        self._publisher.purge()
        if self._publisher.denied is not None:
            raise self._publisher.denied
        why = next(iter(self._publisher.failures), "no answer")
        self._publisher.failures.clear()
        raise Retry(f"dead letters not confirmed by Kafka: {why}")
