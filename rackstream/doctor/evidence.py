"""Reads the state of producers, targets and consumer groups from Kafka, when checks need it.

Joins no group.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from confluent_kafka import ConsumerGroupState, Message

from rackstream.dead_letters import store
from runtime import compacted_topic, kafka
from runtime.settings import KafkaSettings
from runtime.topics import decoder
from schemas import codec
from sinks.webhook.initial_state import default_partition

if TYPE_CHECKING:
    from schemas.records import Heartbeat, TargetStatus

MAX_AGE_S: Final = 900.0
"""If a host's newest record is older than this, it is not found."""
MAX_RECORDS: Final = 20_000
"""Records of a host's partition that are searched."""
MAX_HEARTBEATS: Final = 20_000
"""Heartbeats that are read: for a hundred producers, half an hour."""
TIMEOUT_S: Final = 6.0
WITHOUT_MEMBERS: Final = frozenset({ConsumerGroupState.EMPTY, ConsumerGroupState.DEAD})


class ReceivedHeartbeat(NamedTuple):
    """A producer's newest heartbeat."""

    record: Heartbeat
    appended_at: datetime
    """When it reached Kafka."""


Heartbeats = Mapping[str, ReceivedHeartbeat]
"""Producer → its newest heartbeat."""


class Evidence:
    """State of one pipeline on Kafka.

    Properties raise KafkaException or Failure if Kafka does not answer.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self.settings = settings
        self._newest: dict[tuple[str, str], Message | None] = {}
        self._lock = threading.Lock()

    @cached_property
    def targets(self) -> list[TargetStatus]:
        """Status of all targets, including removed ones."""
        return cast("list[TargetStatus]", list(compacted_topic.read_latest(self.settings, "state-targets").values()))

    @cached_property
    def heartbeats(self) -> Heartbeats:
        """Newest heartbeat of each producer."""
        topic = self.settings.catalog["heartbeats"].name
        decode = decoder(self.settings, "heartbeats").decode
        watermarks = kafka.watermarks(self.settings, topic)
        ranges = {partition: (max(first, end - MAX_HEARTBEATS), end) for partition, (first, end) in watermarks.items()}
        heartbeats: dict[str, ReceivedHeartbeat] = {}
        for message in kafka.read_ranges(self.settings, topic, ranges):
            try:
                heartbeat = cast("Heartbeat", decode(message.value()))
            except codec.DecodeError:
                continue
            appended_at = datetime.fromtimestamp(message.timestamp()[1] / 1000, UTC)
            heartbeats[heartbeat["producer"]] = ReceivedHeartbeat(heartbeat, appended_at)
        return heartbeats

    @cached_property
    def dead_letters(self) -> list[store.StoredDeadLetter]:
        """Open dead letters."""
        return store.read_open(self.settings)

    @cached_property
    def groups(self) -> dict[str, bool]:
        """Consumer groups, each True if it has members."""
        client = kafka.create_admin_client(self.settings)  # kept until the result arrives: closing it cancels requests
        result = client.list_consumer_groups(request_timeout=TIMEOUT_S).result(TIMEOUT_S)
        return {group.group_id: group.state not in WITHOUT_MEMBERS for group in result.valid}

    def newest_record(self, alias: str, host: str, now: datetime) -> Message | None:
        """Returns the newest raw record of a host, within `MAX_AGE_S` and `MAX_RECORDS`."""
        with self._lock:
            if (alias, host) not in self._newest:
                topic = self.settings.catalog[alias].name
                self._newest[alias, host] = self._find_newest(topic, host.encode(), now)
            return self._newest[alias, host]

    def _find_newest(self, topic: str, key: bytes, now: datetime) -> Message | None:
        watermarks = kafka.watermarks(self.settings, topic)
        partition = default_partition(key, len(watermarks))
        since_ms = int((now - timedelta(seconds=MAX_AGE_S)).timestamp() * 1000)
        end = watermarks[partition][1]
        first = max(kafka.offset_at_time(self.settings, topic, partition, since_ms), end - MAX_RECORDS)
        newest = None
        for message in kafka.read_ranges(self.settings, topic, {partition: (first, end)}):
            if message.key() == key:
                newest = message
        return newest
