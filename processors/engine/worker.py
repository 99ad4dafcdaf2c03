"""BatchWorker: turns a batch of input records into confirmed outputs. Uses Kafka, but not Faust.

Steps run over a batch, its outputs are sent and confirmed by the broker, then the state records; only then may its
input records be acknowledged. Any error in between ends the process: it restarts from the last acknowledged record,
and outputs that are on their topics already are not sent twice.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, NoReturn, Protocol, cast

import structlog
from pydantic import Field

from processors.engine.delivery import BatchDelivery
from processors.engine.partition import ApplyResult, EncodedOutput, FailureLimit
from processors.engine.restore import appended_at
from processors.engine.state_store import StateStore
from processors.engine.step import AnyJoin, AnyRecord, AnyStep, RulePacks
from processors.engine.topic_reader import KafkaTopicReader
from runtime import metrics, observability
from runtime.dead_letter import DeadLetterEncoder, EncodedDeadLetter
from runtime.kafka import KafkaPublisher
from runtime.settings import KafkaSettings, ProcessSettings
from runtime.topics import decoder
from schemas import codec
from schemas.records import Alert

log = structlog.get_logger()
GROUP: Final = "rackstream-processors"
"""Consumer group and prefix of all of Faust's own names. Changing it abandons the committed offsets."""
DELIVERY_TIMEOUT_S: Final = 20.0
"""If a step runs, or a delivery is unconfirmed, for this long, the process hangs and is restarted."""
EXIT_RESTART, EXIT_MISCONFIGURED, EXIT_HUNG, EXIT_BAD_CODE = 1, 2, 3, 4


class ProcessorSettings(KafkaSettings, ProcessSettings):
    """`rackstream processor`."""

    group: Annotated[str, Field(validation_alias="RACKSTREAM_PROCESSOR_GROUP")] = GROUP
    """Consumer group; workers of one group share the partitions."""


class RulePackSource(Protocol):
    """Follows the rule packs on Kafka; implemented by `processors.alerting.rule_topic`."""

    @property
    def is_due(self) -> bool:
        """True if `poll` has something to do."""

    @property
    def packs(self) -> RulePacks:
        """The packs read so far."""

    def poll(self) -> RulePacks:
        """Reads packs that were added. Blocks."""


class FaustMessage(Protocol):
    """A Kafka message, as Faust hands it out."""

    topic: str
    partition: int
    offset: int
    timestamp: float
    key: bytes | None
    value: bytes | None
    generation_id: int


class FaustEvent(Protocol):
    """A Faust event, as far as it is used."""

    @property
    def message(self) -> FaustMessage:
        """The message it wraps."""


class BatchProgress:
    """Start times of work in progress, by input topic (alias); read by the watchdog thread."""

    def __init__(self) -> None:
        self.started_s: dict[str, float] = {}

    def oldest_start_s(self) -> float | None:
        """Returns when the longest-running work began (`time.monotonic()`), or None."""
        return min(list(self.started_s.values()), default=None)


class BatchWorker:
    """Processes the batches of all input topics of one worker."""

    def __init__(
        self,
        settings: ProcessorSettings,
        steps: Sequence[AnyStep],
        joins: Sequence[AnyJoin] = (),
        *,
        rules: RulePackSource | None = None,
    ) -> None:
        """Connects to Kafka.

        Args:
            settings: Settings of the process.
            steps: The steps to run.
            joins: The joins to run.
            rules: The rule packs for alerting steps; None: the built-in one alone.
        """
        self._topics = settings.catalog
        self._publisher = KafkaPublisher(settings, settings.group)
        self._dead_letters = DeadLetterEncoder(settings, "processors")
        self._unsent_dead_letters: list[EncodedDeadLetter] = []
        self.state_store = StateStore(KafkaTopicReader(settings), settings.group, steps, joins, self._on_retention_gap)
        self._decoders = {alias: decoder(settings, alias) for alias in self.state_store.inputs}
        self._failure_limit = FailureLimit()
        self._rules = rules
        self.progress = BatchProgress()
        self.accepts_batches = True
        """False from the revocation of partitions until new ones are assigned."""
        self._read_ages, self._output_ages = observability.SampleAges("read"), observability.SampleAges("derived")
        self._alert_latency = metrics.ALERT_LATENCY.labels("acknowledged")
        self._records_in = {alias: metrics.RECORDS_IN.labels(alias) for alias in self.state_store.inputs}
        self._records_late = {alias: metrics.RECORDS_LATE.labels(alias) for alias in self.state_store.inputs}
        outputs = [*(step.outputs for step in steps), *(join.outputs for join in joins)]
        for alias in {alias for aliases in outputs for alias in aliases}:
            metrics.OUTPUTS_REPEATED.labels(alias)
        self._running_batches: set[str] = set()
        self._idle = asyncio.Event()

    def topic_name(self, alias: str) -> str:
        """Returns a topic's name on Kafka."""
        return self._topics[alias].name

    async def pause(self) -> None:
        """Starts no more batches, and returns when the running ones are confirmed."""
        self.accepts_batches = False
        if self._running_batches:
            self._idle.clear()
            await self._idle.wait()

    async def process_batch(self, alias: str, events: Sequence[FaustEvent]) -> None:
        """Processes a batch of an input topic and returns when all its outputs are confirmed."""
        self._running_batches.add(alias)
        try:
            await self._process_batch(alias, events)
        finally:
            self._running_batches.discard(alias)
            if not self._running_batches:
                self._idle.set()

    async def _process_batch(self, alias: str, events: Sequence[FaustEvent]) -> None:
        delivery = BatchDelivery(self._publisher, queue_timeout_s=DELIVERY_TIMEOUT_S)
        outputs: list[EncodedOutput] = []
        observation_times: list[datetime] = []
        started_s = time.time()
        if self._rules is not None and self._rules.is_due:
            await asyncio.get_running_loop().run_in_executor(None, self._rules.poll)
        for event in events:
            outputs += await self._process_record(alias, _Message(event.message), delivery, observation_times)
        for number in {event.message.partition for event in events}:
            for join, join_input in await self.state_store.idle_inputs(number):
                outputs += join.advance_watermark(join_input, join.appended_ms)
        self.progress.started_s[alias] = time.monotonic()
        await self._deliver(delivery, [output for output in outputs if not output.is_memory])
        await self._deliver(delivery, [output for output in outputs if output.is_memory])
        del self.progress.started_s[alias]
        self._records_in[alias].inc(len(events))
        if observation_times:
            self._read_ages.record(alias, observation_times, started_s)

    async def _process_record(
        self, alias: str, message: _Message, delivery: BatchDelivery, observation_times: list[datetime]
    ) -> list[EncodedOutput]:
        """Returns the outputs of one record and appends its observation time to `observation_times`."""
        number, offset, appended_ms = message.partition(), message.offset(), message.timestamp()[1]
        partition = await self.state_store.partition(alias, message.topic(), number, offset, appended_ms)
        while self._unsent_dead_letters:
            delivery.send(*self._unsent_dead_letters.pop())
        if partition.next_offset is not None and offset < partition.next_offset:
            return []  # kept over a rebalance: processed and confirmed, only its acknowledgement was lost
        joins = await self.state_store.joins(alias, number, offset, appended_ms)
        partition.next_offset = offset + 1
        try:
            record = self._decoders[alias].decode(message.value())
        except codec.DecodeError as error:
            self._reject(delivery, message, error.reason, str(error))
            return []
        observation_times.append(record["observed_at"])
        self.progress.started_s[alias] = time.monotonic()
        if self._rules is not None:
            partition.packs = self._rules.packs
        result = partition.apply(record, appended_at=appended_at(message))
        for join in joins:
            result.outputs += join.apply(alias, offset, record, appended_ms)
            result.failures += [(join.join.name, error) for error in join.failures]
            join.failures.clear()
        del self.progress.started_s[alias]
        self._record_result(alias, message, record, result, delivery)
        return result.outputs

    def _record_result(
        self, alias: str, message: _Message, record: AnyRecord, result: ApplyResult, delivery: BatchDelivery
    ) -> None:
        """Updates the metrics with a record's result and dead-letters it for every step that failed."""
        if result.late:
            self._records_late[alias].inc(result.late)
        for repeated in result.repeated:
            metrics.OUTPUTS_REPEATED.labels(repeated).inc()
        for name, failure in result.failures:
            log.warning(
                "step failed", step=name, topic=message.topic(), offset=message.offset(), reason=repr(failure)[:1000]
            )
            self._reject(delivery, message, "step-failed", f"{name}: {failure!r}", failure)
        if self._failure_limit.record(time.monotonic(), record.get("host", ""), failed=bool(result.failures)):
            exit_process(
                EXIT_BAD_CODE,
                "more than half of all records fail, so the code is at fault; not restarted automatically",
            )

    def _on_retention_gap(self, topic: str, number: int, first: int, end: int) -> None:
        self._unsent_dead_letters.append(self._dead_letters.encode_retention_gap(topic, number, first, end))
        metrics.RECORDS_REJECTED.labels("retention").inc(end - first)

    def _reject(
        self, delivery: BatchDelivery, message: _Message, reason: str, detail: str, error: Exception | None = None
    ) -> None:
        delivery.send(*self._dead_letters.encode_message(message, reason=reason, detail=detail, error=error))
        metrics.RECORDS_REJECTED.labels(reason).inc()

    async def _deliver(self, delivery: BatchDelivery, outputs: Sequence[EncodedOutput]) -> None:
        """Sends outputs and waits until everything the batch has sent, dead letters included, is confirmed."""
        for output in outputs:
            delivery.send(self._topics[output.alias].name, output.key, output.value, output.partition)
        await delivery.wait_confirmed()
        self._record_delivered(outputs)

    def _record_delivered(self, outputs: Sequence[EncodedOutput]) -> None:
        now_s = time.time()
        delivered: defaultdict[str, list[AnyRecord]] = defaultdict(list)
        for output in outputs:
            delivered[output.alias].append(output.record)
        for alias, records in delivered.items():
            metrics.RECORDS_OUT.labels(alias).inc(len(records))
            if "observed_at" in records[0]:  # the state records of alerts and presence have no observation time
                self._output_ages.record(alias, [record["observed_at"] for record in records], now_s)
        for alert in cast("list[Alert]", delivered.get("alerts", [])):
            if alert["transition"] == "raised":
                self._alert_latency.observe(max(0.0, now_s - alert["observed_at"].timestamp()))


class _Message:
    """Adapts a Faust message to the interface of confluent-kafka's, which dead letters are made from."""

    def __init__(self, message: FaustMessage) -> None:
        self._message = message

    def topic(self) -> str:
        return self._message.topic

    def partition(self) -> int:
        return self._message.partition

    def offset(self) -> int:
        return self._message.offset

    def key(self) -> bytes | None:
        return self._message.key

    def value(self) -> bytes | None:
        return self._message.value

    def timestamp(self) -> tuple[int, int]:
        """Returns librdkafka's (kind, ms); kind 2 is the append time."""
        return 2, round(self._message.timestamp * 1000)


def exit_process(code: int, reason: str) -> NoReturn:
    """Ends the process at once: an orderly shutdown could acknowledge records whose outputs are not delivered."""
    log.error("processor ends", code=code, reason=reason)
    os._exit(code)
