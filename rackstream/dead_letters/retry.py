"""Retries dead letters by running the failed stage's own code on the stored bytes.

Nothing is written to a raw topic. A dead letter of a sink is encoded and written by that sink's code, as in a replay:
rows already stored are skipped, and an alert is posted to the configured receiver unless it has changed since. A dead
letter of the processors is processed with the state of that time, rebuilt from Kafka, and its outputs are published
unless they are on their topics. Steps whose state is a topic (alerts, health, presence) are not run: they have
continued without the record, and a transition of that time, published now, would contradict their later outputs.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from confluent_kafka import KafkaException

from processors.alerting import rule_topic
from processors.engine import restore
from processors.engine.partition import EncodedOutput
from processors.engine.topic_reader import KafkaTopicReader
from processors.registry import JOINS, STEPS
from rackstream.dead_letters.store import CONFIRM_TIMEOUT_S, StoredDeadLetter
from runtime import kafka
from runtime.errors import Reject, Retry
from runtime.settings import KafkaSettings
from runtime.topics import decoder, topic_id
from schemas import codec
from schemas.records import DeadLetter
from sinks import datasets
from sinks.files.manifest import ReplayRange
from sinks.registry import SINKS
from sinks.sink import AnyRecord, Batch, Item, SinkSpec

TIME_RESOLUTION: Final = timedelta(microseconds=1)
"""Smallest difference between two times."""


@dataclass(frozen=True)
class RetryOutcome:
    """Result of a retry."""

    done: bool
    """True if the dead letter can be deleted."""
    detail: str
    """Description of the result, or the reason for failing."""


class DeadLetterRetrier:
    """Retries dead letters one by one."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    def retry(self, dead_letter: StoredDeadLetter) -> RetryOutcome:
        """Runs the failed stage on the bytes of one dead letter.

        Raises:
            Retry: Kafka or the destination does not answer.
            Misconfigured: Settings of the sink are missing.
        """
        try:
            return self._retry(dead_letter.record)
        except KeyError as error:
            return RetryOutcome(False, str(error.args[0]))
        except codec.DecodeError as error:
            return RetryOutcome(False, f"still {error.reason}: {error}")
        except KafkaException as error:
            raise Retry(f"no answer from Kafka at {self._settings.bootstrap}: {error.args[0].str()}") from error

    def _retry(self, failure: DeadLetter) -> RetryOutcome:
        if failure["reason"] == "retention":
            return RetryOutcome(False, "not retriable: retention deleted these records before they were read; drop it")
        alias = self._settings.catalog.find(failure["topic"]).alias
        value = self._value(failure)
        if value is None:
            return RetryOutcome(
                False, f"its {failure['size']:,} bytes were kept by reference and are no longer on Kafka"
            )
        record = decoder(self._settings, alias).decode(value)
        if failure["stage"].startswith("sink-"):
            return self._store(failure, alias, record)
        if failure["stage"] == "processors":
            return self._process(failure, alias, record)
        return RetryOutcome(False, f"not retriable: unknown stage {failure['stage']}")

    def _value(self, failure: DeadLetter) -> bytes | None:
        """Returns the original bytes, from Kafka if kept by reference; None if they are gone."""
        if failure["value"] is not None:
            return failure["value"]
        number, offset = failure["partition"], failure["offset"]
        low, end = kafka.watermarks(self._settings, failure["topic"]).get(number, (0, 0))
        if not low <= offset < end:
            return None
        message = next(kafka.read_ranges(self._settings, failure["topic"], {number: (offset, offset + 1)}), None)
        value = message.value() if message is not None else None
        # Another size: the topic was deleted and created again.
        return bytes(value) if value is not None and len(value) == failure["size"] else None

    def _store(self, failure: DeadLetter, alias: str, record: AnyRecord) -> RetryOutcome:
        """Encodes and writes a record as its sink does."""
        kind, _, name = failure["stage"].removeprefix("sink-").partition("-")
        number, offset = failure["partition"], failure["offset"]
        item = Item(alias, (failure["topic"], number), offset, record)
        covered = {alias: (offset, offset + 1)}
        if (spec := SINKS.get(kind)) is None:
            return RetryOutcome(False, f"not retriable: there is no sink {kind}")
        if spec.redeliver is not None:
            reason = spec.redeliver(self._settings, name or None, item)
            return RetryOutcome(reason is None, reason or "delivered")
        if spec.replay is None:
            return self._write(spec, item)
        topics = {alias: (failure["topic"], topic_id(self._settings, failure["topic"]))}
        period = _time_range(alias, record)
        destination = spec.replay.backfill(self._settings, period, topics, started=datetime.now(UTC), write=True)
        try:
            destination.open(number, covered)
            destination.put(item)
            destination.commit(number, covered)
        finally:
            destination.close()
        if destination.counts.refused:
            return RetryOutcome(False, f"refused again: {destination.counts.examples[0]}")
        return RetryOutcome(
            True,
            f"{destination.counts.new.total()} rows stored, {destination.counts.already_stored.total()} already stored",
        )

    def _write(self, spec: SinkSpec, item: Item) -> RetryOutcome:
        """Writes the record by a sink that keeps no state of its own."""
        sink, _ = spec.create(self._settings, None)
        try:
            sink.write(Batch((item,), {item.partition: (item.offset, item.offset + 1)}))
        except Reject as reject:
            return RetryOutcome(False, f"refused again: {next(iter(reject.reasons.values()))}")
        finally:
            sink.close()
        return RetryOutcome(True, "written")

    def _process(self, failure: DeadLetter, alias: str, record: AnyRecord) -> RetryOutcome:
        """Processes a record with the state of that time, and publishes the outputs."""
        steps = [step for step in STEPS if step.input == alias and isinstance(step.memory, timedelta)]
        skipped_steps = [step.name for step in STEPS if step.input == alias and isinstance(step.memory, str)]
        appended_at = failure["appended_at"] or failure["failed_at"]
        appended_ms = round(appended_at.timestamp() * 1000)
        position = (failure["partition"], failure["offset"], appended_ms)
        outputs: list[EncodedOutput] = []
        failures: list[str] = []
        if steps:
            partition = restore.restore_partition(KafkaTopicReader(self._settings), alias, steps, *position)
            partition.packs = rule_topic.read_packs(self._settings)
            applied = partition.apply(record, appended_at=appended_at)
            outputs += applied.outputs
            failures += [f"{name}: {error!r}" for name, error in applied.failures]
        joined_outputs, join_failures = self._join(alias, record, *position)
        self._publish(outputs + joined_outputs)
        failures += join_failures
        published = f"{len(outputs + joined_outputs)} records published"
        if failures:
            return RetryOutcome(False, f"failed again: {'; '.join(failures)}")
        failed_step = failure["detail"].partition(":")[0]
        if failure["reason"] == "step-failed" and failed_step in skipped_steps:
            return RetryOutcome(
                False, f"not retriable: {failed_step} has processed later records since; drop it ({published})"
            )
        return RetryOutcome(
            True, published + (f"; not processed again by {', '.join(skipped_steps)}" if skipped_steps else "")
        )

    def _join(
        self, alias: str, record: AnyRecord, number: int, offset: int, appended_ms: int
    ) -> tuple[list[EncodedOutput], list[str]]:
        outputs: list[EncodedOutput] = []
        failures: list[str] = []
        for join in JOINS:
            if alias in join.inputs:
                offsets = {source: self._offset_at(source, number, appended_ms) for source in join.inputs} | {
                    alias: offset
                }
                partition = restore.restore_join(KafkaTopicReader(self._settings), join, number, offsets, appended_ms)
                outputs += partition.apply(alias, offset, record, appended_ms)
                failures += [f"{join.name}: {error!r}" for error in partition.failures]
        return outputs, failures

    def _offset_at(self, alias: str, number: int, appended_ms: int) -> int:
        return kafka.offset_at_time(self._settings, self._settings.catalog[alias].name, number, appended_ms)

    def _publish(self, outputs: list[EncodedOutput]) -> None:
        publisher = kafka.KafkaPublisher(self._settings, "rackstream-dead-letters")
        for output in outputs:
            name = self._settings.catalog[output.alias].name
            publisher.send(name, output.key, output.value, wait_s=CONFIRM_TIMEOUT_S, partition=output.partition)
        if publisher.flush(CONFIRM_TIMEOUT_S) or publisher.delivery_failures:
            raise Retry(f"not confirmed by Kafka: {next(iter(publisher.delivery_failures), 'no answer')}")


def _time_range(alias: str, record: AnyRecord) -> ReplayRange:
    """Returns a time range that covers all rows of a record."""
    times = [record["observed_at"]]
    with contextlib.suppress(Exception):  # the destination then refuses it with a reason
        times += [row[0] for dataset in datasets.for_topic(alias) for row in dataset.rows(record)]
    return ReplayRange(min(times), max(times) + TIME_RESOLUTION)
