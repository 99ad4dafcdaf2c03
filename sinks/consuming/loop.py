"""The main loop of every sink: consume, write, commit. Decides what each error of a sink leads to.

Retry          the batch is kept, partitions are paused, the group membership continues; tried again with backoff
Reject         the refused records become dead letters, the others count as written
Misconfigured  ends the process (exit 2)

Offsets are committed only after the sink has stored a batch and the broker has confirmed its dead letters. So every
record is written at least once, and sinks are built so that writing one twice has no effect.
"""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from threading import Event
from typing import TYPE_CHECKING, Final

import structlog
from confluent_kafka import KafkaException, TopicPartition

from runtime.errors import Misconfigured, Reject, Retry
from runtime.metrics import RECORDS_STORED, RETRIES
from runtime.observability import SampleAges
from sinks.consuming.assignment import PartitionAssignment
from sinks.consuming.buffer import BufferedMessage, MessageBuffer, covered_spans
from sinks.consuming.dead_letters import DeadLetterPublisher
from sinks.consuming.decoding import TopicDecoders
from sinks.consuming.group_member import ConsumerGroupMember, PendingCommit
from sinks.consuming.lag_metric import LagReporter
from sinks.consuming.problem_log import ProblemLog
from sinks.sink import Batch, Item, Partition, PeriodicSink, Sink, stores_original_bytes

if TYPE_CHECKING:
    from runtime.settings import KafkaSettings
    from sinks.settings import BatchLimits

__all__ = ["Batch", "Item", "Partition", "Sink", "run"]

log = structlog.get_logger()
FIRST_DELAY_S: Final = 0.25
MAX_DELAY_S: Final = 30.0
MAX_DELAY_DOUBLINGS: Final = 10
POLL_TIMEOUT_S: Final = 0.25
"""Also the time after which a stop is noticed."""
COMMIT_TIMEOUT_S: Final = 4.0
"""When the sink stops, a commit gets at least this long, even if the time for draining is used up."""
MAX_REFUSED_IN_ROW: Final = 200
"""If the destination refuses this many records and accepts none, the sink stops: a topic must not be drained into
the dead-letter topic."""


def run(  # noqa: PLR0913  all but the first two by name
    sink: Sink,
    settings: KafkaSettings,
    *,
    group: str,
    limits: BatchLimits,
    stop: Event,
    ready: Callable[[], None] = lambda: None,
    static_member: bool = False,
) -> None:
    """Runs one sink until `stop` is set; then writes what is buffered, commits and leaves the group.

    Args:
        sink: The destination.
        settings: Where Kafka is.
        group: Id of the consumer group.
        limits: Limits of a batch.
        stop: Ends the loop.
        ready: Called once, when all partitions of the first assignment are being read.
        static_member: The group has one, static member: a second process fences the first one off, and one that died
            is replaced at once.

    Raises:
        Misconfigured: An operator must act.
    """
    member = ConsumerGroupMember(settings, group, static_member=static_member)
    try:
        loop = _SinkLoop(sink, settings, member, limits, stop)
        with LagReporter(settings, loop.stored_offsets):
            loop.run(ready)
    finally:
        member.close()  # revokes each partition
        sink.close()


def _backoff_s(failures: int, retry: Retry) -> float:
    """Returns the delay before the next attempt: exponential with jitter, or longer if the destination asks for it."""
    delay_s: float = min(MAX_DELAY_S, FIRST_DELAY_S * 2 ** min(failures, MAX_DELAY_DOUBLINGS))
    return max(delay_s * random.uniform(0.5, 1), retry.after_s or 0)  # noqa: S311


class _SinkLoop:
    def __init__(
        self, sink: Sink, settings: KafkaSettings, member: ConsumerGroupMember, limits: BatchLimits, stop: Event
    ) -> None:
        self._sink, self._member, self._limits, self._stop = sink, member, limits, stop
        consumer = self._consumer = member.consumer
        self._aliases = {settings.catalog[alias].name: alias for alias in sink.topics}
        self._dead_letters = DeadLetterPublisher(settings, f"sink-{sink.name}")
        self._decoders = TopicDecoders(settings, self._aliases, keep_original=stores_original_bytes(sink))
        self._assignment = PartitionAssignment(settings, consumer, sink, self._dead_letters, self._drop_revoked)
        self._problems = ProblemLog(settings, member.group, self._aliases)
        self._buffer = MessageBuffer(consumer, self._assignment, limits, self._problems, self._aliases)
        self._ages = SampleAges("stored")
        self._batch: list[BufferedMessage] = []
        """Messages being written."""
        self._refused_in_row = 0
        self._drain_until_s: float | None = None
        self._periodic_retry_at_s, self._periodic_failures = 0.0, 0

    def run(self, ready: Callable[[], None]) -> None:
        self._assignment.subscribe(list(self._aliases))
        is_ready = False
        while not self._stop.is_set():
            self._assignment.assign_pending()
            if not is_ready and self._assignment.is_complete:
                is_ready = True
                log.info("sink is reading", partitions=len(self._assignment.owned))
                ready()
            self._buffer.poll(POLL_TIMEOUT_S)
            if self._buffer.is_due() or self._buffer.out_of_range:
                self._store()
                while self._buffer.out_of_range:
                    self._assignment.reassign(self._buffer.out_of_range.pop())
            self._run_periodic()
        self._drain()
        if not self._batch:
            self._store()

    def stored_offsets(self) -> dict[Partition, int]:
        """Returns the end of what is stored of each owned partition. Thread-safe."""
        ends = dict(self._assignment.owned)
        for message in reversed([*self._batch, *self._buffer.messages]):
            if message.partition in ends:
                ends[message.partition] = message.offset
        return ends

    def _run_periodic(self) -> None:
        """Runs the periodic work of a sink; after a failure, again with backoff."""
        if not isinstance(self._sink, PeriodicSink) or time.monotonic() < self._periodic_retry_at_s:
            return
        try:
            self._sink.run_periodic()
        except Retry as retry:
            RETRIES.inc()
            self._problems.warn("retrying periodic work", str(retry))
            self._periodic_retry_at_s = time.monotonic() + _backoff_s(self._periodic_failures, retry)
            self._periodic_failures += 1
        else:
            self._periodic_failures = 0

    def _drain(self) -> None:
        """At an orderly stop, reads to the current end of the partitions, for `drain_s` at most.

        So everything that was produced before the stop is stored, if producers and processors are stopped first.
        """
        if self._is_drain_time_over() or self._batch:
            return
        try:
            watermarks = self._assignment.watermarks(self._limits.drain_s)
        except KafkaException as error:
            self._problems.warn("not drained", error.args[0].str())
            return
        self._drain_until_s = None  # Kafka has answered: the whole time is for draining
        while not self._batch and not self._is_drain_time_over():
            owned = self._assignment.owned
            if all(owned[partition] >= end for partition, (_, end) in watermarks.items() if partition in owned):
                return
            self._buffer.poll(POLL_TIMEOUT_S)
            if self._buffer.is_due():
                self._store()

    def _drop_revoked(self) -> None:
        """Drops messages of revoked partitions: they are not committed, so the new owner reads them again."""
        self._batch = [message for message in self._batch if message.partition in self._assignment.owned]
        self._buffer.drop_revoked()

    def _is_drain_time_over(self) -> bool:
        """True if an orderly stop has used up its time; the first call after `stop` is set starts the clock."""
        if not self._stop.is_set():
            return False
        if self._drain_until_s is None:
            self._drain_until_s = time.monotonic() + self._limits.drain_s
        return time.monotonic() > self._drain_until_s

    def _store(self) -> None:
        """Writes and commits what is buffered, however long it takes; while stopping, for `drain_s` at most."""
        # What an earlier call could not write stays in front: committing later offsets would lose it.
        self._batch = [*self._batch, *self._buffer.messages]
        self._buffer.clear()
        self._decoders.reset_schemas()
        failures = 0
        while self._batch:
            try:
                self._write()
            except Retry as retry:
                RETRIES.inc()
                self._problems.warn("retrying write", str(retry))
                if self._is_drain_time_over():
                    log.warning("stopped with unwritten records", records=len(self._batch), reason=str(retry))
                    return
                failures = 0 if retry.progress else failures
                self._wait(_backoff_s(failures, retry))
                failures += 1
                continue
            if failures:
                log.info("write succeeded after retries", records=len(self._batch))
                self._problems.clear()
            if not self._commit():
                return
            self._batch = []
        self._consumer.resume([TopicPartition(*partition) for partition in self._assignment.owned])

    def _write(self) -> None:
        """Makes one attempt at the batch and its dead letters."""
        try:
            self._decoders.decode_all(self._batch, self._dead_letters)
        except KafkaException as error:
            raise Retry(f"schemas cannot be looked up: {error.args[0].str()}") from error
        decoded = [(message, message.item) for message in self._batch if message.item is not None]
        batch = Batch(tuple(item for _, item in decoded), covered_spans(self._batch))
        refused: Mapping[int, str] = {}
        try:
            self._sink.write(batch)
        except Reject as reject:
            refused = reject.reasons
        self._check_refusals(refused, len(decoded))
        for index, reason in refused.items():
            self._dead_letters.record(decoded[index][0].message, "refused", reason)
        self._dead_letters.flush()
        self._count_stored(item for index, item in enumerate(batch.items) if index not in refused)

    def _count_stored(self, items: Iterable[Item]) -> None:
        now_s = time.time()
        event_times: defaultdict[str, list[datetime]] = defaultdict(list)
        for item in items:
            event_times[item.alias].append(item.event_time)
        for alias, times in event_times.items():
            RECORDS_STORED.labels(alias).inc(len(times))
            self._ages.record(alias, times, now_s)

    def _check_refusals(self, refused: Mapping[int, str], records: int) -> None:
        """Raises Misconfigured if the destination has accepted none of the last `MAX_REFUSED_IN_ROW` records."""
        if len(refused) < records:
            self._refused_in_row = 0
        self._refused_in_row += len(refused)
        if refused and len(refused) == records and self._refused_in_row >= MAX_REFUSED_IN_ROW:
            reason = next(iter(refused.values()))
            count = self._refused_in_row
            raise Misconfigured(f"{self._sink.name} refused {count} records in a row and accepted none: {reason}")

    def _commit(self) -> bool:
        """Commits the batch, and retries while the broker is unreachable; partitions revoked meanwhile are left out.

        Returns:
            False if a stop ended the wait. What is not committed is read and written again.
        """
        while ends := {partition: end for partition, (_, end) in covered_spans(self._batch).items()}:
            commit = self._member.commit(ends)
            if not self._wait_for_commit(commit):
                return False
            if commit.error is None:
                return True
            error, partition = commit.error
            self._problems.raise_if_permanent(error, partition)
            self._problems.warn("retrying commit", error.str())
            if self._is_drain_time_over():
                return False
            self._wait(1.0)
        return True

    def _wait_for_commit(self, commit: PendingCommit) -> bool:
        """Waits for the broker's answer; returns False if a stop ended the wait.

        The consumer is not used meanwhile: behind an unanswered commit, `pause` would block without a limit too.
        Heartbeats continue, and rebalances come from the same coordinator that answers commits.
        """
        began_s = time.monotonic()
        while not commit.wait(POLL_TIMEOUT_S):
            if self._is_drain_time_over() and time.monotonic() - began_s > COMMIT_TIMEOUT_S:
                log.warning("stopped with an unconfirmed commit", records=len(self._batch))
                return False
        return True

    def _wait(self, seconds: float) -> None:
        """Waits as a live member of the group: fetches nothing new, but serves rebalances."""
        until_s = time.monotonic() + seconds
        self._consumer.pause([TopicPartition(*partition) for partition in self._assignment.owned])
        while (remaining_s := until_s - time.monotonic()) > 0 and not self._is_drain_time_over():
            if self._stop.is_set():
                until_s = min(until_s, time.monotonic() + 1)
            self._buffer.poll(min(POLL_TIMEOUT_S, remaining_s), max_messages=1)
