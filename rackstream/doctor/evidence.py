"""What Kafka tells of producers, targets and groups: read once, when a check asks for it. Joins no group."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final

from confluent_kafka import ConsumerGroupState, Message

from rackstream.dead_letters import store
from runtime import compacted_topic, kafka
from runtime.settings import KafkaSettings
from runtime.topics import decoder
from schemas import codec
from sinks.webhook.initial_state import partition_of

Record = dict[str, Any]
LOOK_BACK_S: Final = 900.0
"""A newest record older than this is not found."""
LOOKED_AT: Final = 20_000
"""Records of a host's partition that are looked through."""
BEATS: Final = 20_000
"""Heartbeats that are looked back: of a hundred producers, half an hour."""
ANSWER_S: Final = 6.0
NOBODY: Final = frozenset({ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD})


class Evidence:
    """Of one Kafka. Its properties raise KafkaException or Failure where Kafka does not answer."""

    def __init__(self, settings: KafkaSettings) -> None:
        self.settings = settings
        self._newest: dict[tuple[str, str], Message | None] = {}
        self._lock = threading.Lock()

    @cached_property
    def targets(self) -> list[Record]:
        """TargetStatus of all targets, also of those that were removed."""
        return list(compacted_topic.newest(self.settings, "state-targets").values())

    @cached_property
    def beats(self) -> dict[str, tuple[Record, datetime]]:
        """Producer → its newest heartbeat of late, and when Kafka had it."""
        name = self.settings.catalog["heartbeats"].name
        decode = decoder(self.settings, "heartbeats").decode
        spans = kafka.watermarks(self.settings, name)
        late = {number: (max(first, end - BEATS), end) for number, (first, end) in spans.items()}
        found: dict[str, tuple[Record, datetime]] = {}
        for message in kafka.read(self.settings, name, late):
            try:
                beat = decode(message.value())
            except codec.Undecodable:
                continue
            found[beat["producer"]] = beat, datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)
        return found

    @cached_property
    def letters(self) -> list[store.Letter]:
        """Open dead letters."""
        return store.read(self.settings)

    @cached_property
    def groups(self) -> dict[str, bool]:
        """Consumer group that Kafka knows → whether it has members."""
        client = kafka.admin(self.settings)  # kept until the answer is there: its end would cancel the question
        listed = client.list_consumer_groups(request_timeout=ANSWER_S).result(ANSWER_S)
        return {each.group_id: each.state not in NOBODY for each in listed.valid}

    def newest(self, alias: str, host: str, now: datetime) -> Message | None:
        """The newest raw record of a host on its partition, as far as it is looked back."""
        with self._lock:
            if (alias, host) not in self._newest:
                self._newest[alias, host] = self._found(self.settings.catalog[alias].name, host.encode(), now)
            return self._newest[alias, host]

    def _found(self, topic: str, key: bytes, now: datetime) -> Message | None:
        spans = kafka.watermarks(self.settings, topic)
        number = partition_of(key, len(spans))
        since = int((now - timedelta(seconds=LOOK_BACK_S)).timestamp() * 1000)
        end = spans[number][1]
        first = max(kafka.offsets_at(self.settings, topic, number, since), end - LOOKED_AT)
        own = None
        for message in kafka.read(self.settings, topic, {number: (first, end)}):
            if message.key() == key:
                own = message
        return own
