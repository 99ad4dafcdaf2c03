"""A producer's membership in the group that divides fleet.targets, on a thread of its own.

What the group says goes to `taking`, in its order. While Kafka as a whole is away nobody can take a target over: then
what is ours is polled on, into the spool, until the group says otherwise.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from producers.shared_targets.assignment import Taking
from producers.shared_targets.poll_gate import Gate
from producers.shared_targets.record import GROUP
from runtime import kafka, kafka_auth
from runtime.errors import Retry
from runtime.settings import KafkaSettings
from runtime.topics import decoder
from schemas import codec

log = structlog.get_logger()
ALIAS: Final = "targets"
POLL_S: Final = 0.2
RELEASE_S: Final = 3.0
"""What is handed over has this long to end its polls and delete its sessions."""
ANSWER_S: Final = 1.0
HOLD_S: Final = 15.0
"""Once Kafka answers again, the group is given this long to say what is ours."""
END_S: Final = 30.0
"""The loop's end is waited for this long."""
OPTIONS: Final = {
    "auto.offset.reset": "earliest",
    "enable.partition.eof": True,
    "fetch.wait.max.ms": 100,
    "max.poll.interval.ms": 15000,  # if this thread hangs, others take over
}


def members(settings: KafkaSettings, source: str) -> int:
    """How many producers share the targets of a source now.

    Raises:
        Retry: the broker did not answer.
    """
    name = GROUP + source
    client = kafka.admin(settings)  # kept until the result is there: its end would cancel it
    try:
        described = client.describe_consumer_groups([name], request_timeout=2 * ANSWER_S)[name].result(3 * ANSWER_S)
    except (KafkaException, TimeoutError) as error:
        raise Retry(f"Kafka at {settings.bootstrap} does not tell of the group {name}: {error}") from error
    return len(described.members)


class Sharing:
    """One member."""

    def __init__(self, settings: KafkaSettings, source: str, gate: Gate, taking: Taking) -> None:
        self._settings, self._source = settings, source
        self._gate, self._taking = gate, taking
        self._decoder = decoder(settings, ALIAS)
        self._held: set[int] = set()
        """Partitions that we go on with, though the group may have given them away: Kafka is away."""
        self._answers_since_s: float | None = None
        self._look_s = 0.0
        self._alone = False
        self.failure: Exception | None = None
        """Why the membership ended by itself."""

    def run(self, stop: threading.Event, end: Callable[[], None], ended: threading.Event) -> None:
        """Takes part until `stop` is set; then has the loop `end`, after others have been given what is ours.

        `ended`: set when the loop has ended.
        """
        consumer: Consumer | None = None
        try:
            consumer = kafka.consumer(self._settings, GROUP + self._source, **OPTIONS)
            topic = self._settings.catalog[ALIAS].name
            consumer.subscribe([topic], on_assign=self._assigned, on_revoke=self._revoked, on_lost=self._lost)
            while not stop.is_set():
                message = consumer.poll(POLL_S)
                self._gate.seen(time.monotonic())
                if message is not None:
                    self._take(message)
                elif self._held:
                    self._look(consumer)
            self._alone = self._is_alone()
            if not self._alone:
                consumer.close()  # which hands over
            end()
            ended.wait(END_S)
        except Exception as error:  # noqa: BLE001  raised by who runs the producer
            self.failure = error
            end()
        finally:
            if consumer is not None:
                self._alone = True
                consumer.close()

    def _take(self, message: Message) -> None:
        error, number = message.error(), message.partition()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  librdkafka's name of it
                self._taking.whole(number)
            elif denied := kafka_auth.denied(self._settings, error, "Read", message.topic() or GROUP + self._source):
                raise denied
            else:
                log.warning("targets not read", why=error.str())
            return
        try:
            self._taking.record(number, self._decoder.decode(message.value()) if message.value() else None)
        except codec.Undecodable as undecodable:
            log.error("target not understood", key=str(message.key()), why=str(undecodable))  # noqa: TRY400  says all

    def _assigned(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        numbers = {partition.partition for partition in partitions}
        consumer.incremental_assign(
            [TopicPartition(partition.topic, partition.partition, OFFSET_BEGINNING) for partition in partitions]
        )
        self._hand_over(self._held - numbers)
        self._held.clear()
        self._taking.assigned(numbers)
        self._gate.confirmed()
        if numbers:
            log.info("targets assigned", source=self._source, partitions=sorted(numbers))

    def _revoked(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if not self._alone:
            self._hand_over({partition.partition for partition in partitions})
        consumer.incremental_unassign(partitions)

    def _lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """The group has given them away, or it has not been heard for so long that it may have."""
        numbers = {partition.partition for partition in partitions}
        consumer.incremental_unassign(partitions)
        if self._alone:
            return
        if self._gate.seen(time.monotonic()) and not self._answers(consumer):
            log.warning("Kafka does not answer: targets are polled on", source=self._source, partitions=sorted(numbers))
            self._held |= numbers
            self._answers_since_s = None
            return
        log.warning("targets lost to others of the group", source=self._source, partitions=sorted(numbers))
        self._taking.released(numbers)

    def _hand_over(self, numbers: set[int]) -> None:
        """Returns when nothing of these is polled any more, or after RELEASE_S."""
        if not numbers:
            return
        began_s = time.monotonic()
        in_time = self._taking.released(numbers).wait(RELEASE_S)
        told = {"partitions": sorted(numbers), "seconds": round(time.monotonic() - began_s, 2)}
        log.info("targets handed over", source=self._source, in_time=in_time, **told)

    def _look(self, consumer: Consumer) -> None:
        """What is held is given up when Kafka has answered for a while and the group has not said that it is ours."""
        now_s = time.monotonic()
        if now_s < self._look_s:
            return
        self._look_s = now_s + ANSWER_S
        if not self._answers(consumer):
            self._answers_since_s = None
        elif self._answers_since_s is None:
            self._answers_since_s = now_s
        elif now_s - self._answers_since_s > HOLD_S:
            self._hand_over(self._held)
            self._held.clear()

    def _answers(self, consumer: Consumer) -> bool:
        try:
            consumer.list_topics(self._settings.catalog[ALIAS].name, timeout=ANSWER_S)
        except KafkaException:
            return False
        return True

    def _is_alone(self) -> bool:
        """Nobody is there to hand over to. Where Kafka does not say, somebody may be."""
        try:
            return members(self._settings, self._source) <= 1
        except Retry as error:
            log.warning("handing over, to whoever is there", why=str(error))
            return False
