"""Membership of a sink in its consumer group: its consumer, its commits and how it leaves.

librdkafka looks for the group's coordinator until one answers: a synchronous commit may block forever, and so may
closing a consumer with an unanswered commit (https://github.com/confluentinc/librdkafka/issues/3740). Therefore each
runs in a thread of its own, and callers wait with a timeout.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import structlog
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from runtime import kafka

if TYPE_CHECKING:
    from confluent_kafka import Consumer

    from runtime.settings import KafkaSettings
    from sinks.sink import Partition

log = structlog.get_logger()
CLOSE_TIMEOUT_S: Final = 6.0
"""Timeout for leaving the group. Without an unanswered commit, librdkafka itself gives up after 5 s."""


class PendingCommit:
    """A commit of offsets that is on its way to the broker."""

    def __init__(self, consumer: Consumer, ends: Mapping[Partition, int]) -> None:
        self._consumer = consumer
        self._offsets = [TopicPartition(*partition, end) for partition, end in ends.items()]
        self._answered = threading.Event()
        self.error: tuple[KafkaError, Partition] | None = None
        """Error and partition of a failed commit; the partition is `("", 0)` if the error is about no single one."""
        threading.Thread(target=self._send, daemon=True, name="commit").start()

    def _send(self) -> None:
        try:
            answer = self._consumer.commit(offsets=self._offsets, asynchronous=False)
            errors = [(offset.error, (offset.topic, offset.partition)) for offset in answer if offset.error is not None]
            self.error = errors[0] if errors else None
        except KafkaException as error:
            self.error = error.args[0], ("", 0)
        finally:
            self._answered.set()

    def wait(self, timeout_s: float) -> bool:
        """Waits for the broker's answer; returns False after `timeout_s` without one."""
        return self._answered.wait(timeout_s)


class ConsumerGroupMember:
    """Member of a consumer group."""

    def __init__(self, settings: KafkaSettings, group: str, *, static_member: bool = False) -> None:
        """Creates the consumer.

        Args:
            settings: Where Kafka is.
            group: Id of the group.
            static_member: The group has one, static member. A second process fences the first one off, and one that
                died is replaced at once.
        """
        self.group = group
        options = {"group.instance.id": group} if static_member else {}
        self.consumer = kafka.create_consumer(settings, group, **options)

    def commit(self, ends: Mapping[Partition, int]) -> PendingCommit:
        """Starts to commit the next offset of each partition."""
        return PendingCommit(self.consumer, ends)

    def close(self) -> None:
        """Leaves the group. Returns after `CLOSE_TIMEOUT_S` at the latest: the group will notice a missing member."""
        closing = threading.Thread(target=self._close, daemon=True, name="leaving")
        closing.start()
        closing.join(CLOSE_TIMEOUT_S)
        if closing.is_alive():
            log.warning("left the group without notice", reason=f"no answer from Kafka for {CLOSE_TIMEOUT_S:.0f} s")

    def _close(self) -> None:
        try:
            self.consumer.close()
        except KafkaException as error:
            log.warning("left the group without notice", reason=error.args[0].str())
