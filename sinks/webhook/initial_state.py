"""How deliveries begin: a new receiver from the end of the log, a known one from where it was. Talks to Kafka only.

The offsets that a group commits are a receiver's whole memory. What was active at the committed offset, and which of it
may have been held back, is found in the log again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition

from runtime import kafka
from runtime.compacted_topic import newest
from runtime.errors import Retry
from runtime.topics import decoder
from schemas import codec
from sinks.webhook import active_alerts
from sinks.webhook.inhibition import Doubts

if TYPE_CHECKING:
    from runtime.settings import KafkaSettings
    from sinks.webhook.silences import Situation

Record = dict[str, Any]
NEW: Final = "new"
"""Metadata of the first offset committed: the receiver has not been told yet what is active there."""
TIMEOUT_S: Final = 15.0


def transitions(settings: KafkaSettings, spans: dict[int, kafka.Span]) -> Iterator[tuple[int, int, Record]]:
    """Partition, offset and record of each transition on the log; what is none is left out, for it gets a dead letter.

    Raises:
        KafkaException: the broker did not answer.
    """
    decode = decoder(settings, "alerts").decode
    for message in kafka.read(settings, settings.catalog["alerts"].name, spans):
        try:
            yield message.partition(), message.offset(), decode(message.value())
        except codec.Undecodable:
            continue


def remembered(settings: KafkaSettings, situation: Situation) -> Iterator[Record]:
    """What the engine's and presence's memories say is active.

    Raises:
        KafkaException: the broker did not answer.
    """
    memories = newest(settings, "state-alerts").values()
    return active_alerts.remembered(memories, situation.presence, situation.targets)


class TakeOver:
    """What was active at each partition's committed offset, found in one reading of the whole log."""

    def __init__(self, settings: KafkaSettings, group: str, situation: Situation) -> None:
        """Reads.

        Raises:
            KafkaException: the broker did not answer.
        """
        name = settings.catalog["alerts"].name
        committed = _committed(settings, group, name)
        self._fresh = {number for number, each in committed.items() if each.metadata == NEW}
        self.doubts = Doubts()
        self._active: dict[int, dict[str, Record]] = {number: {} for number in committed}
        seen: set[str] = set()
        for number, offset, record in transitions(settings, kafka.watermarks(settings, name)):
            seen.add(record["id"])
            self.doubts.note(record)
            if offset < committed[number].offset:
                active_alerts.fold(self._active[number], record)
        for alert in remembered(settings, situation):
            if alert["id"] not in seen:  # raised before the log begins
                self._active[partition_of(alert["host"].encode(), len(committed))][alert["id"]] = alert

    def of(self, number: int) -> Iterator[tuple[Record, bool]]:
        """What was active in a partition, and whether the receiver was still to be told of what is active there."""
        yield from ((alert, number in self._fresh) for alert in self._active.get(number, {}).values())


def _committed(settings: KafkaSettings, group: str, name: str) -> dict[int, TopicPartition]:
    """What a group has committed of each partition of the alerts.

    Raises:
        KafkaException: the broker did not answer.
    """
    wanted = [TopicPartition(name, number) for number in kafka.watermarks(settings, name)]
    asked = [ConsumerGroupTopicPartitions(group, wanted)]
    client = kafka.admin(settings)  # kept until the answer is there: its end would cancel the question
    answer = client.list_consumer_group_offsets(asked, request_timeout=TIMEOUT_S)
    return {
        topic_partition.partition: topic_partition
        for topic_partition in answer[group].result(TIMEOUT_S).topic_partitions
    }


def begin(settings: KafkaSettings, group: str) -> None:
    """Has a group that is new begin at the log's end, marked so that it is told first what is active there.

    Raises:
        Retry: the broker did not answer, or members of the group are only now beginning.
    """
    name = settings.catalog["alerts"].name
    try:
        lacking = [number for number, each in _committed(settings, group, name).items() if each.offset < 0]
        if not lacking:
            return
        spans = kafka.watermarks(settings, name)
        starts = [TopicPartition(name, number, spans[number][1], NEW) for number in lacking]
        wanted = [ConsumerGroupTopicPartitions(group, starts)]
        client = kafka.admin(settings)
        answer = client.alter_consumer_group_offsets(wanted, request_timeout=TIMEOUT_S)
        answer[group].result(TIMEOUT_S)
    except KafkaException as error:
        raise Retry(f"group {group} could not begin at {settings.bootstrap}: {error.args[0].str()}") from error


def partition_of(key: bytes, partitions: int) -> int:
    """Where Kafka's default partitioner (murmur2) puts a key.

    https://github.com/apache/kafka/blob/trunk/clients/src/main/java/org/apache/kafka/common/utils/Utils.java
    """
    factor, mask = 0x5BD1E995, 0xFFFFFFFF
    value = 0x9747B28C ^ len(key)
    whole = len(key) - len(key) % 4
    for at in range(0, whole, 4):
        part = int.from_bytes(key[at : at + 4], "little") * factor & mask
        part = (part ^ part >> 24) * factor & mask
        value = value * factor & mask ^ part
    if rest := key[whole:]:
        value = (value ^ int.from_bytes(rest, "little")) * factor & mask
    value = (value ^ value >> 13) * factor & mask
    return ((value ^ value >> 15) & 0x7FFFFFFF) % partitions
