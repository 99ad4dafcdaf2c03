"""A sink as a member of its group: its consumer, its offsets on their way to the broker, its leaving.

librdkafka asks for the group's coordinator until one answers: a synchronous commit waits without a limit, and so does
closing a consumer whose commit is unanswered (https://github.com/confluentinc/librdkafka/issues/3740). Here each has a
thread of its own, and nobody waits longer for it than they want to.
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
LEAVE_S: Final = 6.0
"""How long leaving may take. Without an unanswered commit librdkafka itself gives up after 5 s."""


class Commit:
    """Offsets to go on from, on their way."""

    def __init__(self, consumer: Consumer, ends: Mapping[Partition, int]) -> None:
        self._consumer = consumer
        self._offsets = [TopicPartition(*key, end) for key, end in ends.items()]
        self._answered = threading.Event()
        self.refused: tuple[KafkaError, Partition] | None = None
        """Why they were not taken, and of which partition; of none in particular: `("", 0)`."""
        threading.Thread(target=self._send, daemon=True, name="commit").start()

    def _send(self) -> None:
        try:
            answer = self._consumer.commit(offsets=self._offsets, asynchronous=False)
            wrong = [(each.error, (each.topic, each.partition)) for each in answer if each.error is not None]
            self.refused = wrong[0] if wrong else None
        except KafkaException as error:
            self.refused = error.args[0], ("", 0)
        finally:
            self._answered.set()

    def answered(self, within_s: float) -> bool:
        """Whether the broker has answered, at once or within some seconds."""
        return self._answered.wait(within_s)


class Member:
    """One member of a group."""

    def __init__(self, settings: KafkaSettings, group: str, *, alone: bool = False) -> None:
        """`alone`: the group has one member: a second one ends the first, and one that died is replaced at once."""
        self.group = group
        self.consumer = kafka.consumer(settings, group, **({"group.instance.id": group} if alone else {}))

    def commit(self, ends: Mapping[Partition, int]) -> Commit:
        """Sends the offsets to go on from."""
        return Commit(self.consumer, ends)

    def leave(self) -> None:
        """Leaves the group; after LEAVE_S seconds goes on as if it had: the group misses a member soon enough."""
        leaving = threading.Thread(target=self._close, daemon=True, name="leaving")
        leaving.start()
        leaving.join(LEAVE_S)
        if leaving.is_alive():
            log.warning("left the group without a word", why=f"no answer from Kafka for {LEAVE_S:.0f} s")

    def _close(self) -> None:
        try:
            self.consumer.close()
        except KafkaException as error:
            log.warning("left the group without a word", why=error.args[0].str())
