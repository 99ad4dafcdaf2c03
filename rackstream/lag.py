"""How far a consumer group is behind its topics."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable

from confluent_kafka import KafkaException, TopicPartition

from runtime import kafka
from runtime.settings import KafkaSettings


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
