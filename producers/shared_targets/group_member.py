"""Consumer-group membership of a shared producer, on a thread of its own.

Assignments and revocations go to `TargetAssignment` in order. While Kafka as a whole is unavailable no other producer
can take a target over: then the producer keeps polling its targets, into the spool, until the group decides otherwise.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final, cast

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from producers.registry import SOURCE_SPECS
from producers.shared_targets.assignment import TargetAssignment
from producers.shared_targets.poll_gate import MembershipLease
from runtime import kafka, kafka_auth
from runtime.errors import Misconfigured, Retry
from runtime.settings import KafkaSettings
from runtime.topics import decoder
from schemas import codec
from schemas.records import Target

log = structlog.get_logger()
ALIAS: Final = "targets"
POLL_INTERVAL_S: Final = 0.2
MAX_KEY_LENGTH: Final = 200
"""Longer keys of records are cut in log messages."""
RELEASE_TIMEOUT_S: Final = 3.0
"""Released targets get this long to end their polls and close their sessions."""
KAFKA_TIMEOUT_S: Final = 1.0
REASSIGN_TIMEOUT_S: Final = 15.0
"""Once Kafka answers again, the group gets this long to assign the kept partitions."""
STOP_TIMEOUT_S: Final = 30.0
"""The longest wait for the end of the poll loop."""
OPTIONS: Final = {
    "auto.offset.reset": "earliest",
    "enable.partition.eof": True,
    "fetch.wait.max.ms": 100,
    "max.poll.interval.ms": 15000,  # if this thread hangs, other producers take over
}


def count_members(settings: KafkaSettings, source: str) -> int:
    """Returns the number of producers that currently share the targets of a source.

    Raises:
        Retry: The broker did not answer.
    """
    group = SOURCE_SPECS[source].consumer_group
    client = kafka.create_admin_client(settings)  # kept until the result arrives: its deletion would cancel the request
    try:
        future = client.describe_consumer_groups([group], request_timeout=2 * KAFKA_TIMEOUT_S)[group]
        description = future.result(3 * KAFKA_TIMEOUT_S)
    except (KafkaException, TimeoutError) as error:
        raise Retry(f"Kafka at {settings.bootstrap} does not describe the group {group}: {error}") from error
    return len(description.members)


class GroupMember:
    """Member of the group that divides the targets of a source."""

    def __init__(
        self, settings: KafkaSettings, source: str, lease: MembershipLease, assignment: TargetAssignment
    ) -> None:
        self._settings, self._source = settings, source
        self._group = SOURCE_SPECS[source].consumer_group
        self._lease, self._assignment = lease, assignment
        self._decoder = decoder(settings, ALIAS)
        self._kept: set[int] = set()
        """Partitions kept although the group may have reassigned them, because Kafka is unavailable."""
        self._kafka_answers_since_s: float | None = None
        self._next_check_s = 0.0
        self._skip_release = False
        """True if no other member would take over: revoked partitions need not be released first."""
        self.failure: Exception | None = None
        """Error that ended the membership."""

    def run(self, stop: threading.Event, stop_loop: Callable[[], None], loop_stopped: threading.Event) -> None:
        """Takes part in the group until `stop` is set, then hands over and stops the poll loop.

        Args:
            stop: Ends the membership.
            stop_loop: Called after other members have got the targets.
            loop_stopped: Set when the poll loop has ended.
        """
        consumer: Consumer | None = None
        try:
            consumer = kafka.create_consumer(self._settings, self._group, **OPTIONS)
            topic = self._settings.catalog[ALIAS].name
            consumer.subscribe([topic], on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost)
            while not stop.is_set():
                message = consumer.poll(POLL_INTERVAL_S)
                self._lease.renew(time.monotonic())
                if message is not None:
                    self._process(message)
                elif self._kept:
                    self._check_kept(consumer)
            self._skip_release = self._is_only_member()
            if not self._skip_release:
                consumer.close()  # hands over
            stop_loop()
            loop_stopped.wait(STOP_TIMEOUT_S)
        except Exception as error:  # noqa: BLE001  raised by whoever runs the producer
            self.failure = error
            stop_loop()
        finally:
            if consumer is not None:
                self._skip_release = True
                consumer.close()

    def _process(self, message: Message) -> None:
        error, number = message.error(), message.partition()
        if error is not None:
            if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  public in librdkafka
                self._assignment.mark_complete(number)
                return
            resource = message.topic() or self._group
            if denied := kafka_auth.authorization_failed(self._settings, error, "Read", resource):
                raise denied
            log.warning("targets not read", reason=error.str())
            return
        try:
            record = cast("Target", self._decoder.decode(message.value())) if message.value() else None
        except codec.DecodeError as decode_error:
            log.error("undecodable target ignored", key=str(message.key())[:MAX_KEY_LENGTH], reason=str(decode_error))  # noqa: TRY400  no stack needed
            return
        except (Retry, Misconfigured):
            raise
        except Exception:
            log.exception("target not understood, ignored", key=str(message.key())[:MAX_KEY_LENGTH])
            return
        self._assignment.update(number, record)

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        numbers = {partition.partition for partition in partitions}
        consumer.incremental_assign(
            [TopicPartition(partition.topic, partition.partition, OFFSET_BEGINNING) for partition in partitions]
        )
        self._hand_over(self._kept - numbers)
        self._kept.clear()
        self._assignment.assign(numbers)
        self._lease.confirm()
        if numbers:
            log.info("partitions assigned", source=self._source, partitions=sorted(numbers))

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if not self._skip_release:
            self._hand_over({partition.partition for partition in partitions})
        consumer.incremental_unassign(partitions)

    def _on_lost(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        """Handles partitions that the group has reassigned, or may have after a pause."""
        numbers = {partition.partition for partition in partitions}
        consumer.incremental_unassign(partitions)
        if self._skip_release:
            return
        if self._lease.renew(time.monotonic()) and not self._kafka_answers(consumer):
            log.warning("Kafka unavailable, polling continues", source=self._source, partitions=sorted(numbers))
            self._kept |= numbers
            self._kafka_answers_since_s = None
            return
        log.warning("partitions lost to other producers", source=self._source, partitions=sorted(numbers))
        self._assignment.revoke(numbers)

    def _hand_over(self, numbers: set[int]) -> None:
        """Returns when no target of the partitions is polled any more, or after RELEASE_TIMEOUT_S."""
        if not numbers:
            return
        began_s = time.monotonic()
        in_time = self._assignment.revoke(numbers).wait(RELEASE_TIMEOUT_S)
        log.info(
            "targets handed over",
            source=self._source,
            in_time=in_time,
            partitions=sorted(numbers),
            seconds=round(time.monotonic() - began_s, 2),
        )

    def _check_kept(self, consumer: Consumer) -> None:
        """Gives kept partitions up if the group does not assign them after Kafka is back."""
        now_s = time.monotonic()
        if now_s < self._next_check_s:
            return
        self._next_check_s = now_s + KAFKA_TIMEOUT_S
        if not self._kafka_answers(consumer):
            self._kafka_answers_since_s = None
        elif self._kafka_answers_since_s is None:
            self._kafka_answers_since_s = now_s
        elif now_s - self._kafka_answers_since_s > REASSIGN_TIMEOUT_S:
            self._hand_over(self._kept)
            self._kept.clear()

    def _kafka_answers(self, consumer: Consumer) -> bool:
        try:
            consumer.list_topics(self._settings.catalog[ALIAS].name, timeout=KAFKA_TIMEOUT_S)
        except KafkaException:
            return False
        return True

    def _is_only_member(self) -> bool:
        """True if there is no other member to hand over to. False if Kafka does not answer."""
        try:
            return count_members(self._settings, self._source) <= 1
        except Retry as error:
            log.warning("other group members unknown, handing over anyway", reason=str(error))
            return False
