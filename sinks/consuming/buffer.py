"""Reads records until there is enough to write: how much is asked for, what is held, and when it is due."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaError

from runtime.metrics import RECORDS_IN
from sinks.consuming.assignment import Held

if TYPE_CHECKING:
    from confluent_kafka import Consumer, Message

    from sinks.consuming.assignment import Assignment
    from sinks.consuming.problem_log import Trouble
    from sinks.settings import Limits
    from sinks.sink import Partition

AT_ONCE: Final = 500
"""Messages asked for at most."""


class Reader:
    """Holds what is read of the partitions that are ours."""

    def __init__(
        self, consumer: Consumer, assignment: Assignment, limits: Limits, trouble: Trouble, aliases: Mapping[str, str]
    ) -> None:
        """`aliases`: of each topic by its name on Kafka."""
        self._consumer, self._assignment, self._limits, self._trouble = consumer, assignment, limits, trouble
        self._counters = {name: RECORDS_IN.labels(alias) for name, alias in aliases.items()}
        self.held: list[Held] = []
        self.displaced: set[Partition] = set()
        """Partitions whose position the broker does not have."""
        self._bytes = 0
        self._largest = 1
        self._since = 0.0

    def read(self, timeout_s: float, most: int = AT_ONCE) -> None:
        """Holds what comes within this time; a callback of the consumer may run meanwhile.

        Raises:
            Misconfigured: nothing will ever come.
        """
        for message in self._consumer.consume(min(most, self._room()), timeout_s):
            key, error = (message.topic(), message.partition()), message.error()
            if error is not None:
                self._heed(error, key)
            elif key in self._assignment.owned:  # else fetched before the partition was taken from us
                self._hold(message, key)

    def _room(self) -> int:
        """How many messages to ask for, so that what is held stays near its limit of bytes."""
        left = self._limits.max_bytes - self._bytes
        return max(1, min(self._limits.max_records - len(self.held), left // self._largest))

    def _hold(self, message: Message, key: Partition) -> None:
        self._assignment.owned[key] = message.offset() + 1
        self._since = self._since if self.held else time.monotonic()
        self.held.append(Held(message, key, message.offset()))
        size = len(message.value() or b"")
        self._bytes += size
        self._largest = max(size, self._largest // 2, 1)
        self._counters[key[0]].inc()
        self._trouble.passed()

    def _heed(self, error: KafkaError, key: Partition) -> None:
        """An event instead of a record. A broker that is away is no reason to end: it comes back."""
        if error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001  librdkafka's name of it
            self.displaced.add(key)
            return
        self._trouble.give_up_on(error, key)
        self._trouble.say("reading interrupted", error.str())

    def due(self) -> bool:
        """Whether what is held is to be written now."""
        return bool(self.held) and (
            len(self.held) >= self._limits.max_records
            or self._bytes >= self._limits.max_bytes
            or time.monotonic() - self._since >= self._limits.max_age_s
        )

    def forget(self) -> None:
        """What is held has been handed out."""
        self.held, self._bytes = [], 0

    def drop(self) -> None:
        """Forgets records of partitions that are no longer ours: they are not committed, the new owner reads them."""
        self.held = [each for each in self.held if each.partition in self._assignment.owned]
