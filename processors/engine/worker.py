"""The shell around the steps: from a batch of input records to confirmed outputs. Knows Kafka, and nothing of Faust.

A batch is stepped, its outputs are produced and confirmed by the broker, then the state records, and only then may its
input records be acknowledged. Whatever goes wrong in between ends the process: started again, it steps from the last
acknowledged record, and outputs that are on their topics already are not sent twice.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, NoReturn

import structlog
from pydantic import Field

from processors.alerting.rule_topic import Rulebook
from processors.engine.delivery import Delivery
from processors.engine.partition import Applied, Encoded, StopLimit
from processors.engine.restore import appended_at
from processors.engine.state_store import Assigned
from processors.engine.step import Join, Record, Step
from runtime import metrics, observability
from runtime.dead_letter import DeadLetters
from runtime.dead_letter import Encoded as Letter
from runtime.kafka import Publisher
from runtime.settings import KafkaSettings, ProcessSettings
from runtime.topics import decoder
from schemas import codec

log = structlog.get_logger()
GROUP: Final = "rackstream-processors"
"""Consumer group and prefix of everything Faust names: changing it is changing the schema of the state."""
UNDELIVERED_S: Final = 20.0
EXIT_AGAIN, EXIT_MISCONFIGURED, EXIT_HUNG, EXIT_BAD_CODE = 1, 2, 3, 4


class ProcessorSettings(KafkaSettings, ProcessSettings):
    """`rackstream processor`."""

    group: Annotated[str, Field(validation_alias="RACKSTREAM_PROCESSOR_GROUP")] = GROUP
    """Consumer group; workers of one group share the partitions."""


class Progress:
    """What the watchdog looks at: since when a record is stepped, or a batch delivered, by topic (alias)."""

    def __init__(self) -> None:
        self.since: dict[str, float] = {}

    def oldest(self) -> float | None:
        """When what takes longest began, or None."""
        return min(list(self.since.values()), default=None)


class Shell:
    """Everything between Faust's events and the steps, for all topics of one worker."""

    def __init__(self, settings: ProcessorSettings, steps: Sequence[Step], joins: Sequence[Join] = ()) -> None:
        self._topics = settings.catalog
        self._publisher = Publisher(settings, settings.group)
        self._letters = DeadLetters(settings, "processors")
        self._holes: list[Letter] = []
        self.memories = Assigned(settings, settings.group, steps, joins, self._hole)
        self._decoders = {alias: decoder(settings, alias) for alias in self.memories.inputs}
        self._limit = StopLimit()
        self._rulebook = Rulebook(settings)
        self.progress = Progress()
        self.working = True
        """False from when partitions are given up to when others are there."""
        self._read, self._derived = observability.Ages("read"), observability.Ages("derived")
        self._raised = metrics.ALERT_LATENCY.labels("acknowledged")
        self._in = {alias: metrics.RECORDS_IN.labels(alias) for alias in self.memories.inputs}
        self._late = {alias: metrics.RECORDS_LATE.labels(alias) for alias in self.memories.inputs}
        made = [*(step.outputs for step in steps), *(join.outputs for join in joins)]
        for alias in {alias for outputs in made for alias in outputs}:
            metrics.OUTPUTS_REPEATED.labels(alias)
        self._under_way: set[str] = set()
        self._idle = asyncio.Event()

    def topic(self, alias: str) -> str:
        """Its name on Kafka."""
        return self._topics[alias].name

    async def pause(self) -> None:
        """Begins no more batches; returns when those under way are confirmed."""
        self.working = False
        if self._under_way:
            self._idle.clear()
            await self._idle.wait()

    async def batch(self, alias: str, events: Sequence[Any]) -> None:
        """Steps a batch and returns when everything it led to is confirmed."""
        self._under_way.add(alias)
        try:
            await self._batch(alias, events)
        finally:
            self._under_way.discard(alias)
            if not self._under_way:
                self._idle.set()

    async def _batch(self, alias: str, events: Sequence[Any]) -> None:
        delivery = Delivery(self._publisher, room_s=UNDELIVERED_S)
        outputs: list[Encoded] = []
        moments: list[datetime] = []
        began_s = time.time()
        if self._rulebook.is_due:
            await asyncio.get_running_loop().run_in_executor(None, self._rulebook.follow)
        for event in events:
            outputs += await self._one(alias, _Message(event.message), delivery, moments)
        for number in {event.message.partition for event in events}:
            for joint, side in await self.memories.quiet(number):
                outputs += joint.quiet(side, joint.appended_ms)
        self.progress.since[alias] = time.monotonic()
        await self._deliver(delivery, [output for output in outputs if not output.is_memory])
        await self._deliver(delivery, [output for output in outputs if output.is_memory])
        del self.progress.since[alias]
        self._in[alias].inc(len(events))
        if moments:
            self._read.note(alias, moments, began_s)

    async def _one(self, alias: str, message: _Message, delivery: Delivery, moments: list[datetime]) -> list[Encoded]:
        """What one record leads to; adds when it was observed to `moments`."""
        number, offset, appended_ms = message.partition(), message.offset(), message.timestamp()[1]
        partition = await self.memories.partition(alias, message.topic(), number, offset, appended_ms)
        while self._holes:
            delivery.send(*self._holes.pop())
        if partition.next_offset is not None and offset < partition.next_offset:
            return []  # kept over a rebalance: stepped and confirmed, only its acknowledgement was lost
        joints = await self.memories.joints(alias, number, offset, appended_ms)
        partition.next_offset = offset + 1
        try:
            record = self._decoders[alias].decode(message.value())
        except codec.Undecodable as error:
            self._reject(delivery, message, error.reason, str(error))
            return []
        moments.append(record["observed_at"])
        self.progress.since[alias] = time.monotonic()
        partition.packs = self._rulebook.packs
        applied = partition.apply(record, appended_at=appended_at(message))
        for joint in joints:
            applied.outputs += joint.take(alias, offset, record, appended_ms)
            applied.failures += [(joint.join.name, error) for error in joint.failures]
            joint.failures.clear()
        del self.progress.since[alias]
        self._tell(alias, message, record, applied, delivery)
        return applied.outputs

    def _tell(self, alias: str, message: _Message, record: Record, applied: Applied, delivery: Delivery) -> None:
        """Counts what became of a record; what failed on it goes to the dead letter."""
        if applied.late:
            self._late[alias].inc(applied.late)
        for repeated in applied.repeated:
            metrics.OUTPUTS_REPEATED.labels(repeated).inc()
        for name, failure in applied.failures:
            log.warning(
                "step failed", step=name, topic=message.topic(), offset=message.offset(), why=repr(failure)[:1000]
            )
            self._reject(delivery, message, "step-failed", f"{name}: {failure!r}", failure)
        if self._limit.count(time.monotonic(), record.get("host", ""), failed=bool(applied.failures)):
            leave(
                EXIT_BAD_CODE, "more than half of the records fail: this version's fault, not theirs; not started again"
            )

    def _hole(self, topic: str, number: int, first: int, end: int) -> None:
        self._holes.append(self._letters.of_hole(topic, number, first, end))
        metrics.RECORDS_REJECTED.labels("retention").inc(end - first)

    def _reject(
        self, delivery: Delivery, message: _Message, reason: str, detail: str, error: Exception | None = None
    ) -> None:
        delivery.send(*self._letters.of(message, reason=reason, detail=detail, error=error))
        metrics.RECORDS_REJECTED.labels(reason).inc()

    async def _deliver(self, delivery: Delivery, outputs: Sequence[Encoded]) -> None:
        """Sends, and waits for the broker's word on all that the batch has sent, its dead letters among it."""
        for output in outputs:
            delivery.send(self._topics[output.alias].name, output.key, output.value, output.partition)
        await delivery.confirmed()
        self._tell_delivered(outputs)

    def _tell_delivered(self, outputs: Sequence[Encoded]) -> None:
        now_s = time.time()
        delivered: defaultdict[str, list[Record]] = defaultdict(list)
        for output in outputs:
            delivered[output.alias].append(output.record)
        for alias, theirs in delivered.items():
            metrics.RECORDS_OUT.labels(alias).inc(len(theirs))
            if "observed_at" in theirs[0]:  # the memory of alerts and of presence has no moment of its own
                self._derived.note(alias, [each["observed_at"] for each in theirs], now_s)
        for alert in delivered.get("alerts", ()):
            if alert["transition"] == "raised":
                self._raised.observe(max(0.0, now_s - alert["observed_at"].timestamp()))


class _Message:
    """A Faust message with the methods of a confluent one, which dead letters are made from."""

    def __init__(self, message: Any) -> None:
        self._message = message

    def topic(self) -> str:
        return str(self._message.topic)

    def partition(self) -> int:
        return int(self._message.partition)

    def offset(self) -> int:
        return int(self._message.offset)

    def key(self) -> bytes | None:
        key: bytes | None = self._message.key
        return key

    def value(self) -> bytes | None:
        value: bytes | None = self._message.value
        return value

    def timestamp(self) -> tuple[int, int]:
        """Librdkafka's (kind, ms); kind 2 is the time of appending."""
        return 2, round(self._message.timestamp * 1000)


def leave(code: int, why: str) -> NoReturn:
    """Ends the process at once: a graceful end could acknowledge what was not delivered."""
    log.error("processor ends", code=code, why=why)
    os._exit(code)
