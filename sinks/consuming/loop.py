"""Consume, write, commit: the loop of every sink, and the only place that decides what a failure means.

Retry          the batch is kept, partitions pause, the group membership lives on; tried again with growing delays
Reject         those records go to the dead letter, the others count as written
Misconfigured  ends the process (exit 2)

Offsets are committed only after the sink has stored a batch and the broker has its dead letters. So every record is
written at least once; sinks are such that twice is the same as once.
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
from runtime.observability import Ages
from sinks.consuming.assignment import Assignment, Decoders, Held, spans
from sinks.consuming.buffer import Reader
from sinks.consuming.dead_letters import Letters
from sinks.consuming.group_member import Commit, Member
from sinks.consuming.lag_metric import Backlog
from sinks.consuming.problem_log import Trouble
from sinks.sink import Batch, Item, Partition, Sink, Tended, takes_bytes

if TYPE_CHECKING:
    from runtime.settings import KafkaSettings
    from sinks.settings import Limits

__all__ = ["Batch", "Item", "Partition", "Sink", "run"]

log = structlog.get_logger()
FIRST_DELAY_S: Final = 0.25
MAX_DELAY_S: Final = 30.0
POLL_S: Final = 0.25
"""How long one look at Kafka takes at most: a stop is seen this soon."""
COMMIT_S: Final = 4.0
"""How long a commit is waited for at a stop, even when all other time is used up."""
MAX_REFUSED_IN_ROW: Final = 200
"""When the destination refuses this many records and takes none, a topic must not be drained into the dead letter."""


def run(  # noqa: PLR0913  all but the first two by name
    sink: Sink,
    settings: KafkaSettings,
    *,
    group: str,
    limits: Limits,
    stop: Event,
    ready: Callable[[], None] = lambda: None,
    alone: bool = False,
) -> None:
    """Runs one sink until `stop` is set; then writes what is held, commits and leaves.

    Args:
        sink: the destination.
        settings: where Kafka is.
        group: consumer group.
        limits: when what is held is written.
        stop: ends the loop.
        ready: called once, when every partition assigned first is being read.
        alone: the group has one member: a second one ends the first, and one that died is replaced at once.

    Raises:
        Misconfigured: a person must act.
    """
    member = Member(settings, group, alone=alone)
    try:
        work = _Run(sink, settings, member, limits, stop)
        with Backlog(settings, work.reached):
            work.loop(ready)
    finally:
        member.leave()  # calls `released` of each partition
        sink.close()


class _Run:
    def __init__(self, sink: Sink, settings: KafkaSettings, member: Member, limits: Limits, stop: Event) -> None:
        self._sink, self._member, self._limits, self._stop = sink, member, limits, stop
        consumer = self._consumer = member.consumer
        self._stage = f"sink-{sink.name}"
        self._aliases = {settings.catalog[alias].name: alias for alias in sink.topics}
        self._letters = Letters(settings, self._stage)
        self._decoders = Decoders(settings, self._aliases, original=takes_bytes(sink))
        self._assignment = Assignment(settings, consumer, sink, self._letters, self._drop)
        self._trouble = Trouble(settings, member.group, self._aliases)
        self._reader = Reader(consumer, self._assignment, limits, self._trouble, self._aliases)
        self._ages = Ages("stored")
        self._work: list[Held] = []
        """Being written."""
        self._refused_in_row = 0
        self._deadline: float | None = None
        self._tended_s, self._tend_failures = 0.0, 0

    def loop(self, ready: Callable[[], None]) -> None:
        self._assignment.subscribe(list(self._aliases))
        told = False
        while not self._stop.is_set():
            self._assignment.take()
            if not told and self._assignment.settled:
                told = True
                log.info("sink reads", partitions=len(self._assignment.owned))
                ready()
            self._reader.read(POLL_S)
            if self._reader.due() or self._reader.displaced:
                self._store()
                while self._reader.displaced:
                    self._assignment.again(self._reader.displaced.pop())
            self._tend()
        self._drain()
        if not self._work:
            self._store()

    def reached(self) -> dict[Partition, int]:
        """Up to where each partition is stored. From any thread."""
        found = dict(self._assignment.owned)
        for each in reversed([*self._work, *self._reader.held]):
            if each.partition in found:
                found[each.partition] = each.offset
        return found

    def _tend(self) -> None:
        """Lets a sink do what it has to do by itself; where that fails, again after a growing delay."""
        if not isinstance(self._sink, Tended) or time.monotonic() < self._tended_s:
            return
        try:
            self._sink.tend()
        except Retry as retry:
            RETRIES.inc()
            self._trouble.say("must be tried again", str(retry))
            delay = min(MAX_DELAY_S, FIRST_DELAY_S * 2**self._tend_failures) * random.uniform(0.5, 1)  # noqa: S311
            self._tended_s = time.monotonic() + max(delay, retry.after_s or 0)
            self._tend_failures = min(self._tend_failures + 1, 10)
        else:
            self._tend_failures = 0

    def _drain(self) -> None:
        """At an orderly stop: reads up to where the partitions end now, as far as `drain_s` goes.

        What was produced before the stop is stored before it ends: a pipeline stopped from its head keeps nothing back.
        """
        if self._over() or self._work:
            return
        try:
            ends = {key: end for key, (_, end) in self._assignment.ends(self._limits.drain_s).items()}
        except KafkaException as error:
            self._trouble.say("not drained", error.args[0].str())
            return
        self._deadline = None  # Kafka answers: the time is for draining
        while not self._work and not self._over():
            owned = self._assignment.owned
            if all(owned[key] >= end for key, end in ends.items() if key in owned):
                return
            self._reader.read(POLL_S)
            if self._reader.due():
                self._store()

    def _drop(self) -> None:
        """Forgets records of partitions that are no longer ours: they are not committed, the new owner reads them."""
        self._work = [each for each in self._work if each.partition in self._assignment.owned]
        self._reader.drop()

    def _over(self) -> bool:
        """Whether an orderly stop has used up its time."""
        if not self._stop.is_set():
            return False
        if self._deadline is None:
            self._deadline = time.monotonic() + self._limits.drain_s
        return time.monotonic() > self._deadline

    def _store(self) -> None:
        """Writes and commits what is held, however long it takes; at a stop, for as long as draining may take."""
        # What an earlier call had to leave stays in front: committing what follows it would lose it.
        self._work = [*self._work, *self._reader.held]
        self._reader.forget()
        self._decoders.forget()
        attempt = 0
        while self._work:
            try:
                self._write()
            except Retry as retry:
                RETRIES.inc()
                self._trouble.say("write must be tried again", str(retry))
                if self._over():
                    log.warning("stopped before all was written", records=len(self._work), why=str(retry))
                    return
                attempt = 0 if retry.progress else attempt
                delay = min(MAX_DELAY_S, FIRST_DELAY_S * 2**attempt) * random.uniform(0.5, 1)  # noqa: S311
                self._wait(max(delay, retry.after_s or 0))
                attempt = min(attempt + 1, 10)
                continue
            if attempt:
                log.info("write succeeded after retries", records=len(self._work))
                self._trouble.passed()
            if not self._commit():
                return
            self._work = []
        self._consumer.resume([TopicPartition(*key) for key in self._assignment.owned])

    def _write(self) -> None:
        """One attempt at the batch and its letters."""
        try:
            self._decoders.decode_all(self._work, self._letters)
        except KafkaException as error:
            raise Retry(f"schemas cannot be looked up: {error.args[0].str()}") from error
        held = [each for each in self._work if each.item is not None]
        batch = Batch(tuple(each.item for each in held if each.item is not None), spans(self._work))
        refused: Mapping[int, str] = {}
        try:
            self._sink.write(batch)
        except Reject as reject:
            refused = reject.reasons
        self._heed_refusals(refused, len(held))
        for index, why in refused.items():
            self._letters.record(held[index].message, "refused", why)
        self._letters.deliver()
        self._tell_stored(item for index, item in enumerate(batch.items) if index not in refused)

    def _tell_stored(self, items: Iterable[Item]) -> None:
        now_s = time.time()
        stored: defaultdict[str, list[datetime]] = defaultdict(list)
        for item in items:
            stored[item.alias].append(item.moment)
        for alias, moments in stored.items():
            RECORDS_STORED.labels(alias).inc(len(moments))
            self._ages.note(alias, moments, now_s)

    def _heed_refusals(self, refused: Mapping[int, str], records: int) -> None:
        if len(refused) < records:
            self._refused_in_row = 0
        self._refused_in_row += len(refused)
        if refused and len(refused) == records and self._refused_in_row >= MAX_REFUSED_IN_ROW:
            why = next(iter(refused.values()))
            count = self._refused_in_row
            raise Misconfigured(f"{self._sink.name} refused {count} records in a row and took none, because: {why}")

    def _commit(self) -> bool:
        """Commits the batch: again while the broker is away, and no more what another member has by then.

        Returns:
            False at a stop, when nobody waits for it any more. What is not committed is read and written again.
        """
        while ends := {key: end for key, (_, end) in spans(self._work).items()}:
            commit = self._member.commit(ends)
            if not self._answered(commit):
                return False
            if commit.refused is None:
                return True
            error, key = commit.refused
            self._trouble.give_up_on(error, key)
            self._trouble.say("commit must be tried again", error.str())
            if self._over():
                return False
            self._wait(1.0)
        return True

    def _answered(self, commit: Commit) -> bool:
        """Waits for the broker. False: it is not waited for any more.

        The consumer is left alone meanwhile: behind a commit that is not answered, `pause` waits without a limit too.
        Heartbeats go on, and who answers commits is who has rebalances to tell of.
        """
        began = time.monotonic()
        while not commit.answered(POLL_S):
            if self._over() and time.monotonic() - began > COMMIT_S:
                log.warning("stopped before Kafka confirmed what is stored", records=len(self._work))
                return False
        return True

    def _wait(self, seconds: float) -> None:
        """Lets time pass as a living member of the group: nothing new is fetched, rebalances are served."""
        until = time.monotonic() + seconds
        self._consumer.pause([TopicPartition(*key) for key in self._assignment.owned])
        while (left := until - time.monotonic()) > 0 and not self._over():
            if self._stop.is_set():
                until = min(until, time.monotonic() + 1)
            self._reader.read(min(POLL_S, left), most=1)
