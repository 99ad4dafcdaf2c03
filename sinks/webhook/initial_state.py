"""Initial state of deliveries: a new receiver starts at the end of the alert log, a known one where it stopped.

The offsets that a group commits are all that is stored about a receiver. Which alerts were active at the committed
offset, and which of them may have been held back, is found by reading the log again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, cast

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition

from runtime import kafka
from runtime.compacted_topic import read_latest
from runtime.errors import Retry
from runtime.topics import decoder
from schemas import codec
from sinks.webhook import active_alerts
from sinks.webhook.inhibition import MuteHistory

if TYPE_CHECKING:
    from runtime.kafka import OffsetRange
    from runtime.settings import KafkaSettings
    from schemas.records import Alert, AlertState
    from sinks.webhook.silences import MutingState

NEW_RECEIVER: Final = "new"
"""Metadata of the first committed offset: the alerts active at it have not been delivered yet."""
TIMEOUT_S: Final = 15.0


def read_transitions(settings: KafkaSettings, spans: dict[int, OffsetRange]) -> Iterator[tuple[int, int, Alert]]:
    """Yields partition, offset and record of each transition on the log, without undecodable ones.

    Raises:
        KafkaException: The broker did not answer.
    """
    decode = decoder(settings, "alerts").decode
    for message in kafka.read_ranges(settings, settings.catalog["alerts"].name, spans):
        try:
            yield message.partition(), message.offset(), cast("Alert", decode(message.value()))
        except codec.DecodeError:
            continue  # the sink writes a dead letter for it


def alerts_in_state(settings: KafkaSettings, muting: MutingState) -> Iterator[Alert]:
    """Yields the active alerts of the alert engine's state, see `active_alerts`.

    Raises:
        KafkaException: The broker did not answer.
    """
    states = [cast("AlertState", state) for state in read_latest(settings, "state-alerts").values()]
    return active_alerts.alerts_from_state(states, muting.presence, muting.targets)


class InitialState:
    """The alerts that were active at each partition's committed offset, found by reading the log once."""

    def __init__(self, settings: KafkaSettings, group: str, muting: MutingState) -> None:
        """Reads the log.

        Raises:
            KafkaException: The broker did not answer.
        """
        name = settings.catalog["alerts"].name
        committed = _committed_offsets(settings, group, name)
        self._new = {number for number, position in committed.items() if position.metadata == NEW_RECEIVER}
        self.mute_history = MuteHistory()
        self._active: dict[int, dict[str, Alert]] = {number: {} for number in committed}
        logged_ids: set[str] = set()
        for number, offset, transition in read_transitions(settings, kafka.watermarks(settings, name)):
            logged_ids.add(transition["id"])
            self.mute_history.record(transition)
            if offset < committed[number].offset:
                active_alerts.apply_transition(self._active[number], transition)
        for alert in alerts_in_state(settings, muting):
            if alert["id"] not in logged_ids:  # raised before the log begins
                self._active[default_partition(alert["host"].encode(), len(committed))][alert["id"]] = alert

    def active_alerts(self, number: int) -> Iterator[tuple[Alert, bool]]:
        """Yields the alerts that were active in a partition, each with True if the receiver is new there."""
        yield from ((alert, number in self._new) for alert in self._active.get(number, {}).values())


def _committed_offsets(settings: KafkaSettings, group: str, topic: str) -> dict[int, TopicPartition]:
    """Returns the position that a group has committed for each partition of a topic.

    Raises:
        KafkaException: The broker did not answer.
    """
    partitions = [TopicPartition(topic, number) for number in kafka.watermarks(settings, topic)]
    request = [ConsumerGroupTopicPartitions(group, partitions)]
    client = kafka.create_admin_client(settings)  # must outlive the future: its end would cancel it
    futures = client.list_consumer_group_offsets(request, request_timeout=TIMEOUT_S)
    positions = futures[group].result(TIMEOUT_S).topic_partitions
    return {position.partition: position for position in positions}


def commit_initial_offsets(settings: KafkaSettings, group: str) -> None:
    """Starts a new group at the end of the alert log, marked so that it is sent the active alerts first.

    Raises:
        Retry: The broker did not answer, or members of the group are joining just now.
    """
    name = settings.catalog["alerts"].name
    try:
        committed = _committed_offsets(settings, group, name)
        uncommitted = [number for number, position in committed.items() if position.offset < 0]
        if not uncommitted:
            return
        spans = kafka.watermarks(settings, name)
        starts = [TopicPartition(name, number, spans[number][1], NEW_RECEIVER) for number in uncommitted]
        request = [ConsumerGroupTopicPartitions(group, starts)]
        client = kafka.create_admin_client(settings)
        futures = client.alter_consumer_group_offsets(request, request_timeout=TIMEOUT_S)
        futures[group].result(TIMEOUT_S)
    except KafkaException as error:
        raise Retry(f"group {group} could not start at {settings.bootstrap}: {error.args[0].str()}") from error


def default_partition(key: bytes, partitions: int) -> int:
    """Returns the partition that Kafka's default partitioner (murmur2) chooses for a key.

    https://github.com/apache/kafka/blob/trunk/clients/src/main/java/org/apache/kafka/common/utils/Utils.java
    """
    factor, mask = 0x5BD1E995, 0xFFFFFFFF
    value = 0x9747B28C ^ len(key)
    words_end = len(key) - len(key) % 4
    for at in range(0, words_end, 4):
        word = int.from_bytes(key[at : at + 4], "little") * factor & mask
        word = (word ^ word >> 24) * factor & mask
        value = value * factor & mask ^ word
    if rest := key[words_end:]:
        value = (value ^ int.from_bytes(rest, "little")) * factor & mask
    value = (value ^ value >> 13) * factor & mask
    return ((value ^ value >> 15) & 0x7FFFFFFF) % partitions
