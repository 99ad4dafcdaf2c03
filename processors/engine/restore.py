"""Rebuilds the state of a partition or a join from its topics, before its first record is processed.

Called from the record loop, never on assignment: Faust hands out records before its assignment handler returns.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

import structlog

from processors.engine.join import JoinPartition
from processors.engine.partition import Identity, Partition
from processors.engine.step import AnyJoin, AnyRecord, AnyStep
from processors.engine.topic_reader import StoredMessage, TopicReader
from runtime.kafka import OffsetRange
from schemas import codec

log = structlog.get_logger()
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
RESTORE_MARGIN: Final = timedelta(minutes=5)
"""Records are read back for this much longer than a step's memory, which is measured in observation time, while Kafka
finds offsets by append time."""


class TimedMessage(Protocol):
    """A Kafka message, as far as its time is concerned."""

    def timestamp(self) -> tuple[int, int]:
        """Returns (kind, ms since 1970)."""


def restore_partition(
    reader: TopicReader, alias: str, steps: Sequence[AnyStep], number: int, offset: int, appended_ms: int
) -> Partition:
    """Restores the steps of an input topic on one partition.

    Args:
        reader: Reads the topics.
        alias: The input topic.
        steps: Its steps.
        number: The partition number.
        offset: The first record that will be applied; the state is that just before it.
        appended_ms: Append time of that record.

    Raises:
        KafkaException: The broker did not answer; the process has to be restarted.
    """
    partition = Partition(reader.catalog, steps, number)
    topic_backed = [(step, step.memory) for step in steps if isinstance(step.memory, str)]
    for memory in {memory for _, memory in topic_backed}:
        for state in reader.read_latest(memory, number):
            for step, step_memory in topic_backed:
                if step_memory == memory:
                    partition.restore_state(step, state)
    input_backed = [(step, step.memory) for step in steps if isinstance(step.memory, timedelta)]
    if input_backed:
        longest = max(duration for _, duration in input_backed) + RESTORE_MARGIN
        since_ms = appended_ms - int(longest.total_seconds() * 1000)
        span = _span_since(reader, alias, number, since_ms, offset)
        for message, record in _read_records(reader, alias, number, span):
            partition.apply(record, [step for step, _ in input_backed], appended_at=appended_at(message))
            # The newest state record is older than this where a record changed nothing.
            partition.mark_applied(record, [step for step, _ in topic_backed])
    outputs = {output for step in steps for output in step.outputs}
    partition.published = _published(reader, outputs, number, appended_ms)
    partition.next_offset = offset
    name = reader.catalog[alias].name
    log.info("partition restored", topic=name, partition=number, offset=offset, published=len(partition.published))
    return partition


def restore_join(
    reader: TopicReader, join: AnyJoin, number: int, offsets: Mapping[str, int], appended_ms: int
) -> JoinPartition:
    """Restores a join on one partition number.

    Args:
        reader: Reads the topics.
        join: The join.
        number: The partition number.
        offsets: Input alias → the first record that will be applied.
        appended_ms: Append time of the first of these records.

    Raises:
        KafkaException: The broker did not answer; the process has to be restarted.
    """
    partition = JoinPartition(reader.catalog, join)
    since_ms = appended_ms - int((join.memory + RESTORE_MARGIN).total_seconds() * 1000)
    for alias in join.inputs:
        span = _span_since(reader, alias, number, since_ms, offsets[alias])
        for message, record in _read_records(reader, alias, number, span):
            partition.apply(alias, message.offset(), record, message.timestamp()[1])
        partition.next_offsets[alias] = offsets[alias]
    # Outputs that an advanced watermark had emitted belong to none of the records that are applied again.
    partition.published = _published(reader, join.outputs, number, since_ms)
    log.info("join restored", join=join.name, partition=number, published=len(partition.published))
    return partition


def resume_offset(reader: TopicReader, group: str, alias: str, number: int) -> int:
    """Returns the offset a group resumes from: the log's start if its commit is missing or was deleted since."""
    committed = reader.committed_offset(group, alias, number)
    return max(committed or 0, reader.span(alias, number)[0])


def utc_from_ms(timestamp_ms: int) -> datetime:
    """Converts a Kafka timestamp to a datetime in UTC."""
    return EPOCH + timedelta(milliseconds=max(0, timestamp_ms))


def appended_at(message: TimedMessage) -> datetime:
    """Returns when a message reached the broker, by the broker's clock."""
    return utc_from_ms(message.timestamp()[1])


def _span_since(reader: TopicReader, alias: str, number: int, since_ms: int, end: int) -> OffsetRange:
    """Returns the offsets from an append time, or from the log's start if that is later, to `end`."""
    first = max(reader.span(alias, number)[0], reader.offset_at(alias, number, since_ms))
    return min(first, end), end


def _published(reader: TopicReader, aliases: Iterable[str], number: int, since_ms: int) -> set[Identity]:
    """Returns the identities of all records on output topics since an append time."""
    identities: set[Identity] = set()
    for alias in aliases:
        topic = reader.catalog[alias]
        end = reader.span(alias, number)[1]
        records = _read_records(reader, alias, number, (reader.offset_at(alias, number, since_ms), end))
        identities |= {(alias, topic.identity_of(record)) for _, record in records}
    return identities


def _read_records(
    reader: TopicReader, alias: str, number: int, span: OffsetRange
) -> Iterator[tuple[StoredMessage, AnyRecord]]:
    """Yields (message, record), without tombstones and without bytes that the live loop dead-letters."""
    decode = reader.decoder(alias)
    for message in reader.read(alias, number, span):
        if value := message.value():
            with suppress(codec.DecodeError):
                yield message, decode(value)
