"""Retries dead letters: runs the failed stage's own code on the stored bytes. Nothing goes to a raw topic again.

A sink's letter is encoded and written by that sink's code, as a replay writes: what is stored is left out; an alert is
posted to the receiver of the settings, unless it has gone on since. A processors' letter is stepped with the state of
then, rebuilt from Kafka, and what comes of it is published unless it is on its topic. A step whose state is a topic
(alerts, health, presence) is not run: what it has said since rests on not having had the record, and a transition of
then, said now, would contradict it.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from confluent_kafka import KafkaException

from processors.alerting import rule_topic
from processors.engine import restore
from processors.engine.partition import Encoded
from processors.registry import joined, mounted
from rackstream.dead_letters.store import CONFIRM_S, Letter
from runtime import kafka
from runtime.errors import Reject, Retry
from runtime.settings import KafkaSettings
from runtime.topics import decoder, topic_id
from schemas import codec
from sinks import datasets
from sinks.files.manifest import Range
from sinks.run import destination, sink, webhook_sink
from sinks.settings import files_root
from sinks.sink import Batch, Item

MOMENT: Final = timedelta(microseconds=1)


@dataclass(frozen=True)
class Outcome:
    """What a retry came to."""

    done: bool
    """The letter may be ended."""
    why: str
    """What was done, or why nothing was."""


class Retrier:
    """Retries letters one by one."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    def retry(self, letter: Letter) -> Outcome:
        """Runs the failed stage on one letter's bytes.

        Raises:
            Retry: Kafka or the destination is away.
            Misconfigured: settings of the sink are missing.
        """
        try:
            return self._retry(letter.record)
        except KeyError as error:
            return Outcome(False, str(error.args[0]))
        except codec.Undecodable as error:
            return Outcome(False, f"still {error.reason}: {error}")
        except KafkaException as error:
            raise Retry(f"no answer from Kafka at {self._settings.bootstrap}: {error.args[0].str()}") from error

    def _retry(self, record: dict[str, Any]) -> Outcome:
        if record["reason"] == "retention":
            return Outcome(False, "not retriable: retention deleted these records before they were read; drop it")
        alias = self._settings.catalog.named(record["topic"]).alias
        value = self._value(record)
        if value is None:
            return Outcome(False, f"its {record['size']:,} bytes were kept by reference, and Kafka has them no more")
        decoded = decoder(self._settings, alias).decode(value)
        if record["stage"].startswith("sink-"):
            return self._store(record, alias, decoded)
        if record["stage"] == "processors":
            return self._step(record, alias, decoded)
        return Outcome(False, f"not retriable: nothing is known of the stage {record['stage']}")

    def _value(self, record: dict[str, Any]) -> bytes | None:
        """The original bytes; those kept by reference from Kafka, while it holds them. None: it does not."""
        if record["value"] is not None:
            found: bytes = record["value"]
            return found
        number, offset = record["partition"], record["offset"]
        low, end = kafka.watermarks(self._settings, record["topic"]).get(number, (0, 0))
        if not low <= offset < end:
            return None
        message = next(kafka.read(self._settings, record["topic"], {number: (offset, offset + 1)}), None)
        value = message.value() if message is not None else None
        # Another record, should the topic have been deleted and created again.
        return value if value is not None and len(value) == record["size"] else None

    def _store(self, record: dict[str, Any], alias: str, decoded: dict[str, Any]) -> Outcome:
        """Encodes and writes it as that sink does."""
        kind, _, name = record["stage"].removeprefix("sink-").partition("-")
        number, offset = record["partition"], record["offset"]
        item = Item(alias, (record["topic"], number), offset, decoded)
        covered = {alias: (offset, offset + 1)}
        if kind == "webhook":
            return self._deliver(item, name or None)
        if kind not in ("files", "influx"):
            return self._write(kind, item)
        topics = {alias: (record["topic"], topic_id(self._settings, record["topic"]))}
        root = files_root(self._settings)
        into = destination(kind, _around(alias, decoded), topics, root, started=datetime.now(UTC), write=True)
        try:
            into.open(number, covered)
            into.put(item)
            into.commit(number, covered)
        finally:
            into.close()
        if into.tally.refused:
            return Outcome(False, f"refused again: {into.tally.examples[0]}")
        return Outcome(True, f"{into.tally.new.total()} rows stored, {into.tally.there.total()} were there")

    def _deliver(self, item: Item, name: str | None) -> Outcome:
        """Posts an alert as the webhook of this name does. A receiver that knows what came of it is not told of it."""
        topic, number = item.partition
        end = kafka.watermarks(self._settings, topic)[number][1]
        decode = decoder(self._settings, item.alias).decode
        for message in kafka.read(self._settings, topic, {number: (item.offset + 1, end)}):
            with contextlib.suppress(codec.Undecodable):
                if decode(message.value())["id"] == item.record["id"]:
                    return Outcome(False, "not retriable: this alert has gone on since; drop it")
        webhook = webhook_sink(self._settings, name)
        try:
            why = webhook.redeliver(item.record)
        finally:
            webhook.close()
        return Outcome(why is None, why or "delivered")

    def _write(self, kind: str, item: Item) -> Outcome:
        """A sink that remembers nothing."""
        chosen, _ = sink(kind, self._settings)
        try:
            if chosen.name != kind:
                return Outcome(False, f"not retriable: there is no sink {kind}")
            chosen.write(Batch((item,), {item.partition: (item.offset, item.offset + 1)}))
        except Reject as reject:
            return Outcome(False, f"refused again: {next(iter(reject.reasons.values()))}")
        finally:
            chosen.close()
        return Outcome(True, "written")

    def _step(self, record: dict[str, Any], alias: str, decoded: dict[str, Any]) -> Outcome:
        """Steps it with the state of then; publishes what comes of it."""
        steps = [step for step in mounted() if step.input == alias and isinstance(step.memory, timedelta)]
        lasting = [step.name for step in mounted() if step.input == alias and isinstance(step.memory, str)]
        appended_ms = round(record["appended_at"].timestamp() * 1000)
        where = (record["partition"], record["offset"], appended_ms)
        outputs: list[Encoded] = []
        failures: list[str] = []
        if steps:
            partition = restore.partition(self._settings, alias, steps, *where)
            partition.packs = rule_topic.read(self._settings)
            applied = partition.apply(decoded, appended_at=record["appended_at"])
            outputs += applied.outputs
            failures += [f"{name}: {error!r}" for name, error in applied.failures]
        joined_outputs, join_failures = self._join(alias, decoded, *where)
        self._publish(outputs + joined_outputs)
        failures += join_failures
        published = f"{len(outputs + joined_outputs)} records published"
        if failures:
            return Outcome(False, f"failed again: {'; '.join(failures)}")
        failed = record["detail"].partition(":")[0]
        if record["reason"] == "step-failed" and failed in lasting:
            return Outcome(False, f"not retriable: {failed} has judged later records since; drop it ({published})")
        return Outcome(True, published + (f"; not judged afterwards by {', '.join(lasting)}" if lasting else ""))

    def _join(
        self, alias: str, decoded: dict[str, Any], number: int, offset: int, appended_ms: int
    ) -> tuple[list[Encoded], list[str]]:
        outputs: list[Encoded] = []
        failures: list[str] = []
        for join in joined():
            if alias in join.inputs:
                offsets = {each: self._at(each, number, appended_ms) for each in join.inputs} | {alias: offset}
                joint = restore.joint(self._settings, join, number, offsets, appended_ms)
                outputs += joint.take(alias, offset, decoded, appended_ms)
                failures += [f"{join.name}: {error!r}" for error in joint.failures]
        return outputs, failures

    def _at(self, alias: str, number: int, appended_ms: int) -> int:
        return kafka.offsets_at(self._settings, self._settings.catalog[alias].name, number, appended_ms)

    def _publish(self, outputs: list[Encoded]) -> None:
        publisher = kafka.Publisher(self._settings, "rackstream-dead-letters")
        for output in outputs:
            name = self._settings.catalog[output.alias].name
            publisher.send(name, output.key, output.value, wait_s=CONFIRM_S, partition=output.partition)
        if publisher.flush(CONFIRM_S) or publisher.failures:
            raise Retry(f"not confirmed by Kafka: {next(iter(publisher.failures), 'no answer')}")


def _around(alias: str, record: dict[str, Any]) -> Range:
    """The stretch of time in which a record's rows lie."""
    times = [record["observed_at"]]
    with contextlib.suppress(Exception):  # the destination refuses it, and says why
        times += [row[0] for dataset in datasets.of(alias) for row in dataset.rows(record)]
    return Range(min(times), max(times) + MOMENT)
