"""Asks Kafka how much is on the topics and how far their groups are: in a few requests, for a slow cycle of its own."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Final

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from rackstream.view.answers import GroupRow
from rackstream.view.traffic import Answered
from runtime import kafka
from runtime.settings import KafkaSettings

TIMEOUT_S: Final = 10.0
GROUPS: Final = 200
"""Groups that are asked about."""
Spans = Mapping[str, Mapping[int, kafka.Span]]
"""Topic (name) → partition → its span."""


class Asking:
    """One admin client, kept: its end would cancel what is asked."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._client: AdminClient = kafka.admin(settings)

    def partitions(self) -> dict[str, list[int]]:
        """The partitions of those topics of the catalogue (name) that exist.

        Raises:
            KafkaException: the broker did not answer.
        """
        known = self._client.list_topics(timeout=TIMEOUT_S).topics
        names = [topic.name for topic in self._settings.catalog.topics.values()]
        return {name: sorted(known[name].partitions) for name in names if name in known and known[name].partitions}

    def spans(self, partitions: Mapping[str, Sequence[int]]) -> dict[str, dict[int, kafka.Span]]:
        """First offset and end of each partition; one without a leader is left out.

        Raises:
            KafkaException: the broker did not answer.
        """
        firsts = self._offsets(partitions, OffsetSpec.earliest())
        ends = self._offsets(partitions, OffsetSpec.latest())
        found: dict[str, dict[int, kafka.Span]] = {}
        for (name, number), end in ends.items():
            if (name, number) in firsts:
                found.setdefault(name, {})[number] = firsts[name, number], end
        return found

    def offsets_at(self, partitions: Mapping[str, Sequence[int]], timestamp_ms: int) -> dict[tuple[str, int], int]:
        """The first offset of each partition appended at or after a time; -1: there is none.

        Raises:
            KafkaException: the broker did not answer.
        """
        return self._offsets(partitions, OffsetSpec.for_timestamp(timestamp_ms))

    def _offsets(self, partitions: Mapping[str, Sequence[int]], spec: OffsetSpec) -> dict[tuple[str, int], int]:
        asked = {TopicPartition(name, number): spec for name, numbers in partitions.items() for number in numbers}
        if not asked:
            return {}
        found, failed = {}, None
        for partition, future in self._client.list_offsets(asked, request_timeout=TIMEOUT_S).items():
            try:
                found[partition.topic, partition.partition] = int(future.result(TIMEOUT_S + 1).offset)
            except KafkaException as error:
                failed = error
        if failed is not None and not found:
            raise failed
        return found

    def groups(self, spans: Spans) -> list[GroupRow]:
        """How far each group is behind each of these topics that it has committed a position of.

        Raises:
            KafkaException: the broker did not answer.
        """
        listed = self._client.list_consumer_groups(request_timeout=TIMEOUT_S).result(TIMEOUT_S + 1)
        found = []
        for group in sorted(listed.valid, key=lambda each: each.group_id)[:GROUPS]:
            behind = self._behind(group.group_id, spans)
            state = group.state.name.lower().replace("_", " ")
            found += [GroupRow(group.group_id, name, state, lag) for name, lag in sorted(behind.items())]
        return found

    def _behind(self, group: str, spans: Spans) -> dict[str, int]:
        asked = [ConsumerGroupTopicPartitions(group)]
        answer = self._client.list_consumer_group_offsets(asked, request_timeout=TIMEOUT_S)
        behind: dict[str, int] = {}
        for topic_partition in answer[group].result(TIMEOUT_S + 1).topic_partitions:
            span = spans.get(topic_partition.topic, {}).get(topic_partition.partition)
            if span is not None and topic_partition.offset >= 0:
                behind[topic_partition.topic] = behind.get(topic_partition.topic, 0) + max(
                    0, span[1] - topic_partition.offset
                )
        return behind


def answered(settings: KafkaSettings, spans: Spans) -> Answered:
    """What spans say of each topic."""
    ends = {}
    for alias, topic in settings.catalog.topics.items():
        if topic.name in spans:
            known = spans[topic.name].values()
            ends[alias] = len(known), sum(end - first for first, end in known), sum(end for _, end in known)
    return Answered(time.monotonic(), ends)
