"""How far a consumer group is behind its topics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Final

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from runtime import kafka
from runtime.settings import KafkaSettings

ANSWER_S: Final = 6.0
"""For one answer of the broker to a question that only looks."""

Stretch = tuple[int, int]
"""Offsets [next, end) of one partition."""


def positions(settings: KafkaSettings, group: str, topic: str) -> dict[int, tuple[int | None, kafka.Span]]:
    """What a group has committed of each partition, None where nothing; and the partition's span. Joins no group.

    Raises:
        KafkaException: the broker did not answer.
    """
    spans = kafka.watermarks(settings, topic)
    reader = kafka.consumer(settings, group)
    try:
        known = reader.committed([TopicPartition(topic, number) for number in spans], timeout=15)
    finally:
        reader.close()
    return {each.partition: (each.offset if each.offset >= 0 else None, spans[each.partition]) for each in known}


def waiting(settings: KafkaSettings, group: str, topics: Iterable[str]) -> dict[tuple[str, int], Stretch]:
    """Topic and partition → [what a group takes next, the end), of these topics and all that it has committed.

    In three requests, however many partitions there are. Joins no group.

    Raises:
        KafkaException: the broker did not answer.
    """
    client = kafka.admin(settings)
    answer = client.list_consumer_group_offsets([ConsumerGroupTopicPartitions(group)], request_timeout=ANSWER_S)
    told = answer[group].result(ANSWER_S).topic_partitions
    known = {(each.topic, each.partition): each.offset for each in told if each.offset >= 0}
    existing, wanted = client.list_topics(timeout=ANSWER_S).topics, {*topics, *(topic for topic, _ in known)}
    parts = [TopicPartition(name, number) for name in wanted & existing.keys() for number in existing[name].partitions]
    first, end = (_offsets(client, parts, spec) for spec in (OffsetSpec.earliest(), OffsetSpec.latest()))
    return {at: (max(known.get(at, 0), first[at]), end[at]) for at in end}


def _offsets(client: AdminClient, parts: list[TopicPartition], spec: OffsetSpec) -> dict[tuple[str, int], int]:
    if not parts:
        return {}
    futures = client.list_offsets(dict.fromkeys(parts, spec), request_timeout=ANSWER_S)
    return {(at.topic, at.partition): future.result(ANSWER_S).offset for at, future in futures.items()}


def committed(settings: KafkaSettings, group: str, topic: str) -> dict[int, int]:
    """The offset each partition was committed up to; the log's start where nothing was committed.

    Raises:
        KafkaException: the broker did not answer.
    """
    known = positions(settings, group, topic)
    return {number: span[0] if offset is None else offset for number, (offset, span) in known.items()}


def lag(settings: KafkaSettings, group: str, aliases: Iterable[str]) -> int:
    """Records of these topics that the group has not committed yet."""
    behind = 0
    for alias in aliases:
        topic = settings.catalog[alias].name
        reached = committed(settings, group, topic)
        behind += sum(max(0, end - reached[number]) for number, (_, end) in kafka.watermarks(settings, topic).items())
    return behind


def await_none(
    settings: KafkaSettings, group: str, aliases: Iterable[str], *, timeout_s: float, tend: Callable[[], None]
) -> int:
    """Waits until the group has committed everything, calling `tend`; returns what is left after `timeout_s`."""
    deadline = time.monotonic() + timeout_s
    topics = tuple(aliases)
    while True:
        try:
            left = lag(settings, group, topics)
        except KafkaException:
            left = -1
        if left == 0 or time.monotonic() > deadline:
            return left
        tend()
        time.sleep(0.2)
