"""Rebuilds the memory of one partition from Kafka, before its first record is stepped.

Called from the record loop, never from an assignment signal: Faust hands records out before its handler ends.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import structlog
from confluent_kafka import Message

from processors.drive import Partition
from processors.steps import Step
from runtime import kafka
from runtime.settings import KafkaSettings
from runtime.topics import decoder
from schemas import codec

log = structlog.get_logger()
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
SLACK: Final = timedelta(minutes=5)
"""Read back this much more than a step remembers: memory counts a record's own time, Kafka finds by time of arrival."""


def partition(settings: KafkaSettings, steps: Sequence[Step], number: int, offset: int, appended_ms: int) -> Partition:
    """The steps of one input topic on one partition, as they were before `offset` (appended at `appended_ms`).

    Raises:
        KafkaException: the broker did not answer; the process has to start again.
    """
    topics = settings.catalog
    topic = topics[steps[0].input]
    restored = Partition(topics, steps, number)
    memories = [(step, step.memory) for step in steps if isinstance(step.memory, str)]
    for alias in {alias for _, alias in memories}:
        span = kafka.watermarks(settings, topics[alias].name)[number]
        for state, _ in _decoded(settings, alias, {number: span}):
            for step, memory in memories:
                if memory == alias:
                    restored.remember(step, state)
    lasting = [(step, step.memory) for step in steps if isinstance(step.memory, timedelta)]
    if lasting:
        memory = max(each for _, each in lasting) + SLACK
        since = appended_ms - int(memory.total_seconds() * 1000)
        low = kafka.watermarks(settings, topic.name)[number][0]
        first = max(low, kafka.offsets_at(settings, topic.name, number, since))
        for record, appended in _decoded(settings, topic.alias, {number: (min(first, offset), offset)}):
            restored.apply(record, [step for step, _ in lasting], appended_at=appended)
    for alias in {alias for step in steps for alias in step.outputs}:
        name = topics[alias].name
        end = kafka.watermarks(settings, name)[number][1]
        first = kafka.offsets_at(settings, name, number, appended_ms)
        for record, _ in _decoded(settings, alias, {number: (first, end)}):
            restored.present.add((alias, topics[alias].identity_of(record)))
    restored.next_offset = offset
    log.info("partition restored", topic=topic.name, partition=number, offset=offset, present=len(restored.present))
    return restored


def retention_hole(settings: KafkaSettings, group: str, topic: str, number: int, offset: int) -> tuple[int, int] | None:
    """Offsets [committed, offset) that retention took before this group read them, or None.

    Faust resumes at the log's start without a word when its committed offset is gone; the records between are lost, and
    that must be said.
    """
    from confluent_kafka import TopicPartition

    reader = kafka.consumer(settings, group)
    try:
        committed = reader.committed([TopicPartition(topic, number)], timeout=15)[0].offset
    finally:
        reader.close()
    return (committed, offset) if 0 <= committed < offset else None


def appended_at(message: Any) -> datetime:
    """When a message reached the broker, by the broker's clock."""
    return EPOCH + timedelta(milliseconds=max(0, message.timestamp()[1]))


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
