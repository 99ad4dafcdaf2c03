"""Consumer lag: committed offsets of a group against the ends of its topics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from runtime import kafka
from runtime.settings import KafkaSettings

REQUEST_TIMEOUT_S: Final = 6.0
"""Timeout of one read-only request to the broker."""

OffsetRange = tuple[int, int]
"""Offsets [next, end) of one partition."""


def committed_with_ranges(
    settings: KafkaSettings, group: str, topic: str
) -> dict[int, tuple[int | None, kafka.OffsetRange]]:
    """Returns the committed offset, None if there is none, and the offset range of each partition.

    Joins no group.

    Raises:
        KafkaException: The broker did not answer.
    """
    spans = kafka.watermarks(settings, topic)
    reader = kafka.create_consumer(settings, group)
    try:
        committed_offsets = reader.committed([TopicPartition(topic, number) for number in spans], timeout=15)
    finally:
        reader.close()
    return {at.partition: (at.offset if at.offset >= 0 else None, spans[at.partition]) for at in committed_offsets}


def pending_ranges(settings: KafkaSettings, group: str, topics: Iterable[str]) -> dict[tuple[str, int], OffsetRange]:
    """Returns the offsets still to be consumed, by topic and partition.

    Covers the given topics and all that the group has committed, in three requests, whatever the number of partitions.
    Joins no group.

    Raises:
        KafkaException: The broker did not answer.
    """
    client = kafka.create_admin_client(settings)
    responses = client.list_consumer_group_offsets(
        [ConsumerGroupTopicPartitions(group)], request_timeout=REQUEST_TIMEOUT_S
    )
    offsets = responses[group].result(REQUEST_TIMEOUT_S).topic_partitions
    committed_offsets = {(at.topic, at.partition): at.offset for at in offsets if at.offset >= 0}
    existing = client.list_topics(timeout=REQUEST_TIMEOUT_S).topics
    topic_names = {*topics, *(topic for topic, _ in committed_offsets)}
    partitions = [
        TopicPartition(name, number) for name in topic_names & existing.keys() for number in existing[name].partitions
    ]
    first, end = (_offsets(client, partitions, spec) for spec in (OffsetSpec.earliest(), OffsetSpec.latest()))
    return {at: (max(committed_offsets.get(at, 0), first[at]), end[at]) for at in end}


def _offsets(client: AdminClient, partitions: list[TopicPartition], spec: OffsetSpec) -> dict[tuple[str, int], int]:
    if not partitions:
        return {}
    futures = client.list_offsets(dict.fromkeys(partitions, spec), request_timeout=REQUEST_TIMEOUT_S)
    return {(at.topic, at.partition): future.result(REQUEST_TIMEOUT_S).offset for at, future in futures.items()}


def committed(settings: KafkaSettings, group: str, topic: str) -> dict[int, int]:
    """Returns the committed offset of each partition, or the log's start where there is none.

    Raises:
        KafkaException: The broker did not answer.
    """
    offsets = committed_with_ranges(settings, group, topic)
    return {number: span[0] if offset is None else offset for number, (offset, span) in offsets.items()}


def lag(settings: KafkaSettings, group: str, aliases: Iterable[str]) -> int:
    """Records of these topics that the group has not committed yet."""
    total = 0
    for alias in aliases:
        topic = settings.catalog[alias].name
        offsets = committed(settings, group, topic)
        total += sum(max(0, end - offsets[number]) for number, (_, end) in kafka.watermarks(settings, topic).items())
    return total


def wait_until_consumed(
    settings: KafkaSettings, group: str, aliases: Iterable[str], *, timeout_s: float, run_periodic: Callable[[], None]
) -> int:
    """Waits until the group has committed everything.

    Args:
        settings: Connection to Kafka.
        group: The consumer group.
        aliases: The topics.
        timeout_s: When to give up.
        run_periodic: Called between two checks.

    Returns:
        The lag: 0 if all is committed, -1 if Kafka did not answer in time.
    """
    deadline = time.monotonic() + timeout_s
    topics = tuple(aliases)
    while True:
        try:
            remaining = lag(settings, group, topics)
        except KafkaException:
            remaining = -1
        if remaining == 0 or time.monotonic() > deadline:
            return remaining
        run_periodic()
        time.sleep(0.2)
