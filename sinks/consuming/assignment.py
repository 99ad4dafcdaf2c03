"""Partition assignment of a sink: which partitions this process owns, and from which offset it reads each."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import structlog
from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import OffsetSpec

from runtime import kafka
from runtime.errors import Retry
from runtime.kafka import OffsetRange
from sinks.sink import Partition

if TYPE_CHECKING:
    from runtime.settings import KafkaSettings
    from sinks.consuming.dead_letters import DeadLetterPublisher
    from sinks.sink import Sink

log = structlog.get_logger()
TIMEOUT_S: Final = 10.0
"""Timeout of a request to the broker."""
RETRY_S: Final = 1.0
"""Interval between attempts to take over partitions."""


def starting_offset(committed: int | None, stored: int | None, span: OffsetRange) -> tuple[int, OffsetRange | None]:
    """Returns the offset to read from, and the offsets lost to retention before it, if any.

    Args:
        committed: Committed offset of the group; None if there is none. Beyond the end of the partition it belongs to
            an earlier topic of the same name and is ignored.
        stored: Offset to resume from as the sink has stored it.
        span: Offsets [first, end) of the partition.
    """
    first, end = span
    resume = max((offset for offset in (committed, stored) if offset is not None and offset <= end), default=first)
    return max(resume, first), (resume, first) if resume < first else None


class PartitionAssignment:
    """The partitions that this process owns, and the next offset of each.

    Partitions assigned by the group coordinator are first only marked as pending: taking one over may need the disk, a
    lock or an answer of the broker, for none of which a callback of the consumer can wait.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        consumer: Consumer,
        sink: Sink,
        dead_letters: DeadLetterPublisher,
        on_revoked: Callable[[], None],
    ) -> None:
        """`on_revoked` is called after partitions were revoked."""
        self._consumer, self._sink, self._dead_letters, self._on_revoked = consumer, sink, dead_letters, on_revoked
        self._settings, self._admin = settings, kafka.create_admin_client(settings)
        self.owned: dict[Partition, int] = {}
        """Owned partition → next offset to read."""
        self._pending: dict[Partition, int | None] = {}
        """Partition to take over → offset to continue from, if it was owned before."""
        self._topics: set[str] = set()
        self._has_joined = False
        self._retry_at_s = 0.0
        self._last_warning = ""

    @property
    def is_complete(self) -> bool:
        """True if the group has assigned partitions and all of them are taken over."""
        return self._has_joined and not self._pending

    def subscribe(self, topics: list[str]) -> None:
        """Joins the group."""
        self._topics = set(topics)
        self._consumer.subscribe(topics, on_assign=self._assign, on_revoke=self._revoke, on_lost=self._revoke)

    def _assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._has_joined = True
        consumer.incremental_assign([])  # without any call here, the library assigns them itself
        # During an upgrade, a group may be assigned topics that this version does not read.
        self._pending |= {
            (partition.topic, partition.partition): None for partition in partitions if partition.topic in self._topics
        }

    def _revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        revoked = [(partition.topic, partition.partition) for partition in partitions]
        consumer.incremental_unassign([TopicPartition(*partition) for partition in revoked if partition in self.owned])
        for partition in revoked:
            self._pending.pop(partition, None)
            if self.owned.pop(partition, None) is not None:
                self._sink.revoke(partition)
        self._on_revoked()

    def assign_pending(self) -> None:
        """Takes over pending partitions; those that cannot be taken over yet are tried again after `RETRY_S`."""
        if not self._pending or time.monotonic() < self._retry_at_s:
            return
        starts: dict[Partition, int] = {}
        try:
            offsets, spans = self._resume_offsets(), self._watermarks(list(self._pending))
            for partition in sorted(self._pending):
                try:
                    starts[partition] = self._start_partition(partition, offsets[partition], spans[partition])
                except Retry as error:
                    self._retry_later(error)
            assigned = [TopicPartition(*partition, start) for partition, start in starts.items()]
            self._consumer.incremental_assign(assigned)
            # A partition that was revoked while paused is still paused when it comes back.
            self._consumer.resume(assigned)
        except KafkaException as error:
            # The broker is unreachable: requests for the other partitions would fail too.
            self._retry_later(error)
            for partition in starts:
                self._sink.revoke(partition)
            return
        self.owned |= starts
        for partition in starts:
            del self._pending[partition]

    def _resume_offsets(self) -> dict[Partition, int | None]:
        """Returns the offset to resume each pending partition from: where this process left it, or as committed."""
        unknown = [TopicPartition(*partition) for partition, offset in self._pending.items() if offset is None]
        offsets = dict(self._pending)
        for committed in self._consumer.committed(unknown, timeout=TIMEOUT_S) if unknown else ():
            if committed.error is not None:
                raise KafkaException(committed.error)
            offset = committed.offset if committed.offset >= 0 else None
            offsets[committed.topic, committed.partition] = offset
        return offsets

    def watermarks(self, timeout_s: float) -> dict[Partition, OffsetRange]:
        """Returns the current offsets [first, end) of each owned partition.

        Raises:
            KafkaException: The broker did not answer.
        """
        return self._watermarks(list(self.owned), timeout_s)

    def _watermarks(
        self, partitions: list[Partition], timeout_s: float = 2 * TIMEOUT_S
    ) -> dict[Partition, OffsetRange]:
        """Returns the offsets [first, end) of partitions.

        Uses an admin client: on the consumer's connection, answers queue behind the long poll, half a second each.
        """
        try:
            return self._list_offsets(partitions, timeout_s / 2)
        except KafkaException:
            # After a restart of brokers its metadata may name old leaders, and their refusal does not update it.
            self._admin = kafka.create_admin_client(self._settings)
            return self._list_offsets(partitions, timeout_s / 2)

    def _list_offsets(self, partitions: list[Partition], timeout_s: float) -> dict[Partition, OffsetRange]:
        requests = [
            self._admin.list_offsets(
                {TopicPartition(*partition): spec for partition in partitions}, request_timeout=timeout_s
            )
            for spec in (OffsetSpec.earliest(), OffsetSpec.latest())
        ]
        first, end = (
            {
                (partition.topic, partition.partition): int(future.result().offset)
                for partition, future in futures.items()
            }
            for futures in requests
        )
        return {partition: (first[partition], end[partition]) for partition in partitions}

    def _start_partition(self, partition: Partition, resume_at: int | None, span: OffsetRange) -> int:
        start, lost = starting_offset(resume_at, self._sink.assign(partition, span), span)
        if resume_at is not None and resume_at > span[1]:
            log.warning(
                "committed offset is beyond the end",
                topic=partition[0],
                partition=partition[1],
                committed=resume_at,
                end=span[1],
                start=start,
                reason="the topic was recreated, or lost its end",
            )
        if lost is not None:
            self._dead_letters.record_lost(partition, lost)
        return start

    def _retry_later(self, error: Exception) -> None:
        self._retry_at_s = time.monotonic() + RETRY_S
        if str(error) != self._last_warning:
            self._last_warning = str(error)
            log.warning("partition not taken over yet", reason=str(error))

    def reassign(self, partition: Partition) -> None:
        """Takes over an owned partition again, because its next offset does not exist on the broker any more."""
        if partition in self.owned:
            self._consumer.incremental_unassign([TopicPartition(*partition)])
            self._pending[partition] = self.owned.pop(partition)
            self._sink.revoke(partition)
