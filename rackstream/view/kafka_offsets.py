"""Reads topic offsets and consumer-group lag from Kafka, in few requests."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Final

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from rackstream.view.answers import ConsumerGroupRow
from rackstream.view.traffic import OffsetSnapshot, TopicOffsets
from runtime import kafka
from runtime.settings import KafkaSettings

TIMEOUT_S: Final = 10.0
MAX_GROUPS: Final = 200
"""Consumer groups whose lag is requested."""
OffsetRanges = Mapping[str, Mapping[int, kafka.OffsetRange]]
"""Topic name → partition → first offset and end."""


class OffsetsClient:
    """An admin client that is kept open, because closing it would cancel its pending requests."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._client: AdminClient = kafka.create_admin_client(settings)

    def partitions(self) -> dict[str, list[int]]:
        """Partitions of the topics of the catalogue that exist, by topic name.

        Raises:
            KafkaException: The broker did not answer.
        """
        existing = self._client.list_topics(timeout=TIMEOUT_S).topics
        names = [topic.name for topic in self._settings.catalog.topics.values()]
        return {
            name: sorted(existing[name].partitions) for name in names if name in existing and existing[name].partitions
        }

    def offset_ranges(self, partitions: Mapping[str, Sequence[int]]) -> dict[str, dict[int, kafka.OffsetRange]]:
        """First offset and end of each partition; partitions without a leader are left out.

        Raises:
            KafkaException: The broker did not answer.
        """
        starts = self._offsets(partitions, OffsetSpec.earliest())
        ends = self._offsets(partitions, OffsetSpec.latest())
        ranges: dict[str, dict[int, kafka.OffsetRange]] = {}
        for (topic, partition), end in ends.items():
            if (topic, partition) in starts:
                ranges.setdefault(topic, {})[partition] = starts[topic, partition], end
        return ranges

    def offsets_at(self, partitions: Mapping[str, Sequence[int]], timestamp_ms: int) -> dict[tuple[str, int], int]:
        """First offset of each partition appended at or after a time; -1 if there is none.

        Raises:
            KafkaException: The broker did not answer.
        """
        return self._offsets(partitions, OffsetSpec.for_timestamp(timestamp_ms))

    def _offsets(self, partitions: Mapping[str, Sequence[int]], spec: OffsetSpec) -> dict[tuple[str, int], int]:
        specs = {
            TopicPartition(topic, partition): spec for topic, numbers in partitions.items() for partition in numbers
        }
        if not specs:
            return {}
        offsets, failure = {}, None
        for partition, future in self._client.list_offsets(specs, request_timeout=TIMEOUT_S).items():
            try:
                offsets[partition.topic, partition.partition] = int(future.result(TIMEOUT_S + 1).offset)
            except KafkaException as error:
                failure = error
        if failure is not None and not offsets:
            raise failure
        return offsets

    def group_lags(self, ranges: OffsetRanges) -> list[ConsumerGroupRow]:
        """Lag of each consumer group on each of these topics that it has committed offsets of.

        Raises:
            KafkaException: The broker did not answer.
        """
        groups = self._client.list_consumer_groups(request_timeout=TIMEOUT_S).result(TIMEOUT_S + 1).valid
        rows = []
        for group in sorted(groups, key=lambda group: group.group_id)[:MAX_GROUPS]:
            lags = self._lags(group.group_id, ranges)
            state = group.state.name.lower().replace("_", " ")
            rows += [ConsumerGroupRow(group.group_id, topic, state, lag) for topic, lag in sorted(lags.items())]
        return rows

    def _lags(self, group: str, ranges: OffsetRanges) -> dict[str, int]:
        request = [ConsumerGroupTopicPartitions(group)]
        answer = self._client.list_consumer_group_offsets(request, request_timeout=TIMEOUT_S)
        lags: dict[str, int] = {}
        for committed in answer[group].result(TIMEOUT_S + 1).topic_partitions:
            offset_range = ranges.get(committed.topic, {}).get(committed.partition)
            if offset_range is not None and committed.offset >= 0:
                lags[committed.topic] = lags.get(committed.topic, 0) + max(0, offset_range[1] - committed.offset)
        return lags


def offset_snapshot(settings: KafkaSettings, ranges: OffsetRanges) -> OffsetSnapshot:
    """Sums the offset ranges per topic, as measured now."""
    topics = {}
    for alias, topic in settings.catalog.topics.items():
        if topic.name in ranges:
            partitions = ranges[topic.name].values()
            records = sum(end - start for start, end in partitions)
            topics[alias] = TopicOffsets(len(partitions), records, sum(end for _, end in partitions))
    return OffsetSnapshot(time.monotonic(), topics)
