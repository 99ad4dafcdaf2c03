"""Polls messages from Kafka and buffers them until a batch is due."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaError

from runtime.metrics import RECORDS_IN

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message

    from runtime.kafka import OffsetRange
    from sinks.consuming.assignment import PartitionAssignment
    from sinks.consuming.problem_log import ProblemLog
    from sinks.settings import BatchLimits
    from sinks.sink import Item, Partition

MAX_POLL_MESSAGES: Final = 500


@dataclass
class BufferedMessage:
    """A message that is not written yet."""

    message: Message
    partition: Partition
    offset: int
    item: Item | None = None
    """The decoded record; stays None if the message became a dead letter instead."""
    is_decoded: bool = False


def covered_spans(messages: Iterable[BufferedMessage]) -> dict[Partition, OffsetRange]:
    """Returns the offsets that messages cover, undecodable ones included."""
    spans: dict[Partition, OffsetRange] = {}
    for message in messages:
        first, _ = spans.get(message.partition, (message.offset, 0))
        spans[message.partition] = (first, message.offset + 1)
    return spans


class MessageBuffer:
    """Buffers messages of the assigned partitions, near the limits of a batch."""

    def __init__(
        self,
        consumer: Consumer,
        assignment: PartitionAssignment,
        limits: BatchLimits,
        problems: ProblemLog,
        aliases: Mapping[str, str],
    ) -> None:
        """`aliases`: topic name → alias."""
        self._consumer, self._assignment, self._limits, self._problems = consumer, assignment, limits, problems
        self._counters = {topic: RECORDS_IN.labels(alias) for topic, alias in aliases.items()}
        self.messages: list[BufferedMessage] = []
        self.out_of_range: set[Partition] = set()
        """Partitions whose position does not exist on the broker any more."""
        self._bytes = 0
        self._typical_bytes = 1
        """Size of recent large messages: a maximum that halves with each message."""
        self._oldest_s = 0.0

    def poll(self, timeout_s: float, max_messages: int = MAX_POLL_MESSAGES) -> None:
        """Buffers the messages that arrive within `timeout_s`. Callbacks of the consumer may run meanwhile.

        Raises:
            Misconfigured: An ACL is missing, or the consumer has failed for good.
        """
        for message in self._consumer.consume(min(max_messages, self._capacity()), timeout_s):
            partition, error = (message.topic(), message.partition()), message.error()
            if error is not None:
                self._handle_error(error, partition)
            elif partition in self._assignment.owned:  # otherwise fetched before the partition was revoked
                self._append(message, partition)

    def _capacity(self) -> int:
        """Number of messages to poll so that the buffer stays near its limit in bytes."""
        free_bytes = self._limits.max_bytes - self._bytes
        return max(1, min(self._limits.max_records - len(self.messages), free_bytes // self._typical_bytes))

    def _append(self, message: Message, partition: Partition) -> None:
        self._assignment.owned[partition] = message.offset() + 1
        if not self.messages:
            self._oldest_s = time.monotonic()
        self.messages.append(BufferedMessage(message, partition, message.offset()))
        size = len(message.value() or b"")
        self._bytes += size
        self._typical_bytes = max(size, self._typical_bytes // 2, 1)
        self._counters[partition[0]].inc()
        self._problems.clear()

    def _handle_error(self, error: KafkaError, partition: Partition) -> None:
        """Handles an error that was consumed in place of a record. An unreachable broker is only reported."""
        if error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001  public in librdkafka
            self.out_of_range.add(partition)
            return
        self._problems.raise_if_permanent(error, partition)
        self._problems.warn("reading interrupted", error.str())

    def is_due(self) -> bool:
        """True if a limit of the batch is reached."""
        return bool(self.messages) and (
            len(self.messages) >= self._limits.max_records
            or self._bytes >= self._limits.max_bytes
            or time.monotonic() - self._oldest_s >= self._limits.max_age_s
        )

    def clear(self) -> None:
        """Empties the buffer, after its messages were added to a batch."""
        self.messages, self._bytes = [], 0

    def drop_revoked(self) -> None:
        """Drops messages of revoked partitions: they are not committed, so the new owner reads them again."""
        self.messages = [message for message in self.messages if message.partition in self._assignment.owned]
