"""The shell around the steps: from a batch of input records to confirmed outputs. Knows Kafka, and nothing of Faust.

A batch is stepped, its outputs are produced and confirmed by the broker, then the state records, and only then may its
input records be acknowledged. Whatever goes wrong in between ends the process: started again, it steps from the last
acknowledged record, and outputs that are on their topics already are not sent twice.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Final, NoReturn

import structlog
from pydantic import Field

from processors import restore
from processors.drive import Encoded, Partition, StopLimit
from processors.rulebook import Rulebook
from processors.steps import Step
from runtime import observe
from runtime.deadletter import DeadLetters
from runtime.kafka import Publisher
from runtime.settings import KafkaSettings, ProcessSettings
from runtime.topics import decoder
from schemas import codec

log = structlog.get_logger()
GROUP: Final = "rackstream-processors"
"""Consumer group and prefix of everything Faust names: changing it is changing the schema of the state."""
UNDELIVERED_S: Final = 20.0
EXIT_AGAIN, EXIT_HUNG, EXIT_BAD_CODE = 1, 3, 4


class ProcessorSettings(KafkaSettings, ProcessSettings):
    """`rackstream processor`."""

    group: Annotated[str, Field(validation_alias="RACKSTREAM_PROCESSOR_GROUP")] = GROUP
    """Consumer group; workers of one group share the partitions."""


@dataclass
class Progress:
    """What the watchdog looks at: when the batch in delivery began, or None."""

    since: float | None = None


class Shell:
    """Everything between Faust's events and the steps, for all topics of one worker."""

    def __init__(self, settings: ProcessorSettings, steps: Iterable[Step]) -> None:
        self._settings = settings
        self._topics = settings.catalog
        self._steps: dict[str, list[Step]] = {}
        for step in steps:
            self._steps.setdefault(step.input, []).append(step)
        self._decoders = {alias: decoder(settings, alias) for alias in self._steps}
        self._partitions: dict[tuple[str, int], Partition] = {}
        self._publisher = Publisher(settings, settings.group)
        self._letters = DeadLetters(settings, self._publisher, "processors")
        self._limit = StopLimit()
        self._rulebook = Rulebook(settings)
        self.progress = Progress()

    @property
    def inputs(self) -> list[str]:
        """Aliases of the topics to read."""
        return list(self._steps)

    async def batch(self, alias: str, events: list[Any]) -> None:
        """Steps a batch and returns when everything it led to is confirmed."""
        outputs: list[Encoded] = []
        await asyncio.get_running_loop().run_in_executor(None, self._rulebook.follow)
        for event in events:
            outputs += await self._one(alias, _Message(event.message))
        self.progress.since = time.monotonic()
        await self._deliver(each for each in outputs if not each.is_memory)
        await self._deliver(each for each in outputs if each.is_memory)
        self.progress.since = None
        observe.RECORDS_IN.labels("processors", alias).inc(len(events))

    async def _one(self, alias: str, message: _Message) -> list[Encoded]:
        partition = await self._partition(alias, message)
        if partition.next_offset is not None and message.offset() < partition.next_offset:
            return []  # kept over a rebalance: stepped and confirmed, only its acknowledgement was lost
        partition.next_offset = message.offset() + 1
        try:
            record = self._decoders[alias].decode(message.value())
        except codec.Undecodable as error:
            self._letters.send(message, reason=error.reason, detail=str(error))
            observe.RECORDS_REJECTED.labels("processors", error.reason).inc()
            return []
        partition.packs = self._rulebook.packs
        applied = partition.apply(record, appended_at=restore.appended_at(message))
        observe.RECORDS_LATE.labels("processors", alias).inc(applied.late)
        for repeated in applied.repeated:
            observe.RECORDS_REPEATED.labels(repeated).inc()
        for name, failure in applied.failures:
            log.warning("step failed", step=name, topic=message.topic(), offset=message.offset(), why=repr(failure))
            self._letters.send(message, reason="step-failed", detail=f"{name}: {failure!r}", error=failure)
            observe.RECORDS_REJECTED.labels("processors", "step-failed").inc()
        if self._limit.count(time.monotonic(), record.get("host", ""), failed=bool(applied.failures)):
            leave(
                EXIT_BAD_CODE, "more than half of the records fail: this version's fault, not theirs; not started again"
            )
        return applied.outputs

    async def _partition(self, alias: str, message: _Message) -> Partition:
        """The partition's memory; rebuilt when this is not the record after the last one stepped here."""
        key = (alias, message.partition())
        known = self._partitions.get(key)
        if known is not None and known.next_offset is not None and message.offset() <= known.next_offset:
            return known
        loop = asyncio.get_running_loop()
        hole = await loop.run_in_executor(None, self._hole, message)
        if hole is not None:
            detail = f"offsets {hole[0]} to {hole[1] - 1} were deleted by retention before they were read"
            log.error(
                "retention hole", topic=message.topic(), partition=message.partition(), first=hole[0], end=hole[1]
            )
            self._letters.send(message, reason="retention", detail=detail)
        appended_ms = message.timestamp()[1]
        self._partitions[key] = await loop.run_in_executor(
            None,
            lambda: restore.partition(
                self._settings, self._steps[alias], message.partition(), message.offset(), appended_ms
            ),
        )
        return self._partitions[key]

    def _hole(self, message: _Message) -> tuple[int, int] | None:
        return restore.retention_hole(
            self._settings, self._settings.group, message.topic(), message.partition(), message.offset()
        )

    async def _deliver(self, outputs: Iterable[Encoded]) -> None:
        """Produces and waits for every delivery report, this batch's dead letters among them."""
        for output in outputs:
            name = self._topics[output.alias].name
            self._publisher.send(name, output.key, output.value, wait_s=UNDELIVERED_S, partition=output.partition)
            observe.RECORDS_OUT.labels("processors", output.alias).inc()
        while self._publisher.outstanding:
            self._publisher.poll(0)
            await asyncio.sleep(0.001)
        self._publisher.poll(0)
        if self._publisher.failures:
            raise RuntimeError(f"not delivered: {self._publisher.failures[0]}")


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
        return 2, int(self._message.timestamp * 1000)


def leave(code: int, why: str) -> NoReturn:
    """Ends the process at once: a graceful end could acknowledge what was not delivered."""
    log.error("processor ends", code=code, why=why)
    os._exit(code)
