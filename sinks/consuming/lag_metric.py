"""Exports the consumer lag of a sink as a metric.

In a thread of its own: while the destination is unreachable, the consumer fetches nothing and so does not notice new
records.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Self

import structlog
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec

from runtime import kafka
from runtime.metrics import PARTITION_LAG
from sinks.sink import Partition

if TYPE_CHECKING:
    from runtime.settings import KafkaSettings

log = structlog.get_logger()
UPDATE_INTERVAL_S: Final = 5.0
TIMEOUT_S: Final = 10.0


class LagReporter:
    """Updates the lag gauge while the context is entered. If Kafka is unreachable, the gauge keeps its last value."""

    def __init__(self, settings: KafkaSettings, stored_offsets: Callable[[], Mapping[Partition, int]]) -> None:
        """`stored_offsets` returns the end of what is stored of each owned partition; called from another thread."""
        self._settings, self._stored_offsets = settings, stored_offsets
        self._aliases = {topic.name: alias for alias, topic in settings.catalog.topics.items()}
        self._reported: set[Partition] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="lag-metric")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()  # not joined: the thread may be waiting for an unreachable broker

    def _run(self) -> None:
        admin = kafka.create_admin_client(self._settings)
        while not self._stop.wait(UPDATE_INTERVAL_S):
            try:
                # Ends first: records that are stored meanwhile must not count as lag.
                requests = {TopicPartition(*partition): OffsetSpec.latest() for partition in self._stored_offsets()}
                futures = admin.list_offsets(requests, request_timeout=TIMEOUT_S) if requests else {}
                ends = {
                    (partition.topic, partition.partition): int(future.result().offset)
                    for partition, future in futures.items()
                }
            except KafkaException as error:
                log.debug("lag not available", reason=str(error))
                admin = kafka.create_admin_client(self._settings)
                continue
            self._update(ends)

    def _update(self, ends: Mapping[Partition, int]) -> None:
        stored = self._stored_offsets()
        for topic, number in self._reported - stored.keys():
            PARTITION_LAG.remove(self._aliases[topic], str(number))
        self._reported = set(stored) & ends.keys()
        for topic, number in self._reported:
            PARTITION_LAG.labels(self._aliases[topic], str(number)).set(
                max(0, ends[topic, number] - stored[topic, number])
            )
