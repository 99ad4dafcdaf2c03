"""Runs parts of the pipeline as processes, and reads what is on the topics."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

from prometheus_client import Counter

from rackstream.local.supervisor import PipelinePart, Supervisor
from runtime import kafka
from runtime.settings import KafkaSettings
from runtime.topics import decoder
from schemas import catalog, codec


def part(settings: KafkaSettings, name: str, *arguments: str, **environment: str) -> PipelinePart:
    """A part that is a `rackstream` command on this test's topics."""
    base = {
        "KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap,
        "RACKSTREAM_TOPIC_PREFIX": settings.topic_prefix,
        "RACKSTREAM_DATA_DIR": str(settings.data_dir),
        "RACKSTREAM_PROCESSOR_GROUP": f"{settings.topic_prefix}processors",
    }
    command = [sys.executable, "-m", "rackstream", *arguments]
    log = Path(settings.data_dir) / "logs" / f"{name}.log"
    return PipelinePart(name, command, log, base | environment, ready_timeout_s=120)  # others use this machine, too


@contextlib.contextmanager
def running(*parts: PipelinePart) -> Iterator[Supervisor]:
    """The parts, started and ready; stopped at the end, with their logs shown if the test failed."""
    supervisor = Supervisor()
    try:
        for each in parts:
            supervisor.start(each)
        yield supervisor
    except BaseException:
        for each in parts:
            print(f"--- {each.name}\n{each.log_tail(40)}")
        raise
    finally:
        supervisor.close()


def publish(settings: KafkaSettings, alias: str, *records: dict[str, Any]) -> None:
    """Puts records on a topic."""
    topic = settings.catalog[alias]
    publisher = _publisher(settings.bootstrap)
    for record in records:
        publisher.send(topic.name, topic.key_of(record), codec.encode(catalog.schema(topic.schema), record), wait_s=10)
    assert publisher.flush(30) == 0
    assert publisher.delivery_failures == []


@cache
def _publisher(bootstrap: str) -> kafka.KafkaPublisher:
    return kafka.KafkaPublisher(KafkaSettings.read(bootstrap=bootstrap), "test")


def records(settings: KafkaSettings, alias: str) -> list[dict[str, Any]]:
    """What is on a topic now, partition by partition."""
    decode = decoder(settings, alias).decode
    return [decode(message.value()) for message in kafka.read_all(settings, settings.catalog[alias].name)]


def counter_value(counter: Counter, *labels: str) -> float:
    """Value of a counter of this process."""
    samples = [sample for metric in counter.labels(*labels).collect() for sample in metric.samples]
    [value] = [sample.value for sample in samples if sample.name.endswith("_total")]
    return value


def until(
    condition: Callable[[], Any],
    *,
    timeout_s: float = 90,
    tend: Callable[[], None] = lambda: None,
    every_s: float = 0.1,
) -> Any:
    """Waits until a condition is true and returns its value; a test that fails says what it was waiting for."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        tend()
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(every_s)
    return value
