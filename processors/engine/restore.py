"""Rebuilds the memory of one partition, or of a join, from Kafka, before its first record is stepped.

Called from the record loop, never from an assignment signal: Faust hands records out before its handler ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from confluent_kafka import Message, TopicPartition

from processors.engine.join import Joint
from processors.engine.partition import Partition
from processors.engine.step import Join, Step
from runtime import compacted_topic, kafka
from runtime.settings import KafkaSettings
from runtime.topics import decoder
from schemas import codec

log = structlog.get_logger()
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
SLACK: Final = timedelta(minutes=5)
"""Read back this much more than a step remembers: memory counts a record's own time, Kafka finds by time of arrival."""


def partition(
    settings: KafkaSettings, alias: str, steps: Sequence[Step], number: int, offset: int, appended_ms: int
) -> Partition:
    """The steps of one input topic on one partition, as they were before `offset` (appended at `appended_ms`).

    Raises:
        KafkaException: the broker did not answer; the process has to start again.
    """
    topics = settings.catalog
    topic = topics[alias]
    restored = Partition(topics, steps, number)
    memories = [(step, step.memory) for step in steps if isinstance(step.memory, str)]
    for memory in {memory for _, memory in memories}:
        for state in compacted_topic.newest(settings, memory, partitions=[number]).values():
            for step, its in memories:
                if its == memory:
                    restored.remember(step, state)
    lasting = [(step, step.memory) for step in steps if isinstance(step.memory, timedelta)]
    if lasting:
        longest = max(each for _, each in lasting) + SLACK
        since = appended_ms - int(longest.total_seconds() * 1000)
        low = kafka.watermarks(settings, topic.name)[number][0]
        first = max(low, kafka.offsets_at(settings, topic.name, number, since))
        for record, appended in _decoded(settings, topic.alias, {number: (min(first, offset), offset)}):
            restored.apply(record, [step for step, _ in lasting], appended_at=appended)
            # Their newest state is older than this where a record changed nothing of it.
            restored.skip(record, [step for step, _ in memories])
    outputs = {alias for step in steps for alias in step.outputs}
    restored.present = _present(settings, outputs, number, appended_ms)
    restored.next_offset = offset
    log.info("partition restored", topic=topic.name, partition=number, offset=offset, present=len(restored.present))
    return restored


def joint(settings: KafkaSettings, join: Join, number: int, offsets: Mapping[str, int], appended_ms: int) -> Joint:
    """A join on one partition number, as it was when its inputs were read up to `offsets` (alias → offset).

    Raises:
        KafkaException: the broker did not answer; the process has to start again.
    """
    restored = Joint(settings.catalog, join)
    since = appended_ms - int((join.memory + SLACK).total_seconds() * 1000)
    for alias in join.inputs:
        name, decode = settings.catalog[alias].name, decoder(settings, alias).decode
        low = kafka.watermarks(settings, name)[number][0]
        first = max(low, kafka.offsets_at(settings, name, number, since))
        for message in kafka.read(settings, name, {number: (min(first, offsets[alias]), offsets[alias])}):
            if (record := _record(decode, message)) is not None:
                restored.take(alias, message.offset(), record, message.timestamp()[1])
        restored.next[alias] = offsets[alias]
    # What a quiet side had settled was sent for none of the records that come again.
    restored.present = _present(settings, join.outputs, number, since)
    log.info("join restored", join=join.name, partition=number, present=len(restored.present))
    return restored


def committed(settings: KafkaSettings, group: str, topic: str, number: int) -> int | None:
    """Up to where a group has read a partition, or None. Joins no group."""
    reader = kafka.consumer(settings, group)
    try:
        offset: int = reader.committed([TopicPartition(topic, number)], timeout=15)[0].offset
    finally:
        reader.close()
    return offset if offset >= 0 else None


def resumes_at(settings: KafkaSettings, group: str, topic: str, number: int) -> int:
    """Where a group goes on reading a partition: nothing committed, or deleted since, it is the log's start."""
    reached = committed(settings, group, topic, number)
    return max(reached or 0, kafka.watermarks(settings, topic)[number][0])


def end(settings: KafkaSettings, topic: str, number: int) -> int:
    """The end of a partition, now."""
    return kafka.watermarks(settings, topic)[number][1]


def _present(
    settings: KafkaSettings, aliases: Iterable[str], number: int, since_ms: int
) -> set[tuple[str, tuple[Any, ...]]]:
    """(alias, identity) of what is on output topics since a time of appending."""
    found = set()
    for alias in aliases:
        topic = settings.catalog[alias]
        end = kafka.watermarks(settings, topic.name)[number][1]
        first = kafka.offsets_at(settings, topic.name, number, since_ms)
        found |= {(alias, topic.identity_of(each)) for each, _ in _decoded(settings, alias, {number: (first, end)})}
    return found


def at(timestamp_ms: int) -> datetime:
    """A time of Kafka's, in UTC."""
    return EPOCH + timedelta(milliseconds=max(0, timestamp_ms))


def appended_at(message: Any) -> datetime:
    """When a message reached the broker, by the broker's clock."""
    return at(message.timestamp()[1])


def _decoded(
    settings: KafkaSettings, alias: str, spans: dict[int, kafka.Span]
) -> Iterator[tuple[dict[str, Any], datetime]]:
    decode = decoder(settings, alias).decode
    for message in kafka.read(settings, settings.catalog[alias].name, spans):
        record = _record(decode, message)
        if record is not None:
            yield record, appended_at(message)


def _record(decode: Any, message: Message) -> dict[str, Any] | None:
    """The record, or None for a tombstone and for bytes that the live loop dead-letters."""
    try:
        return decode(message.value()) if message.value() else None
    except codec.Undecodable:
        return None
