"""Tells how far a sink is behind.

In a thread of its own: while the destination is away the consumer fetches nothing, and learns of nothing that is added.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, Self

import structlog
from confluent_kafka import KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec

from runtime import kafka
from runtime.metrics import LAG
from sinks.sink import Partition

if TYPE_CHECKING:
    from runtime.settings import KafkaSettings

log = structlog.get_logger()
EVERY_S: Final = 5.0
TIMEOUT_S: Final = 10.0


class Backlog:
    """Sets the gauge of lag while it is entered. While Kafka is away it keeps what it last was."""

    def __init__(self, settings: KafkaSettings, reached: Callable[[], Mapping[Partition, int]]) -> None:
        """`reached`: up to where each partition that is read is stored; called in another thread."""
        self._settings, self._reached = settings, reached
        self._aliases = {topic.name: alias for alias, topic in settings.catalog.topics.items()}
        self._shown: set[Partition] = set()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="backlog")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()  # not waited for: it may be asking a broker that is away

    def _run(self) -> None:
        admin = kafka.admin(self._settings)
        while not self._stop.wait(EVERY_S):
            try:
                # Ends first: what is stored meanwhile must not look as if it were not.
                keys = list(self._reached())
                asked = {TopicPartition(*key): OffsetSpec.latest() for key in keys}
                answers = admin.list_offsets(asked, request_timeout=TIMEOUT_S) if asked else {}
                ends = {(each.topic, each.partition): int(told.result().offset) for each, told in answers.items()}
            except KafkaException as error:
                log.debug("lag not to be had", why=str(error))
                admin = kafka.admin(self._settings)
                continue
            self._tell(ends)

    def _tell(self, ends: Mapping[Partition, int]) -> None:
        reached = self._reached()
        for key in self._shown - reached.keys():
            LAG.remove(self._aliases[key[0]], str(key[1]))
        self._shown = set(reached) & ends.keys()
        for name, number in self._shown:
            behind = max(0, ends[name, number] - reached[name, number])
            LAG.labels(self._aliases[name], str(number)).set(behind)
