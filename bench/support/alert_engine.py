"""What the alert engine costs: from a sample to its alert under a load of VM records, and the states of a fleet."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

from confluent_kafka import TopicPartition

from bench.support.fleet_records import HOSTS, Hypervisor, thermal, wire
from bench.support.frameworks import PARTITIONS
from processors.engine import restore
from processors.engine.partition import Partition
from processors.engine.step import Step
from processors.registry import mounted
from rackstream.topics.lag import await_none, lag
from runtime import kafka
from runtime.settings import KafkaSettings
from runtime.topics import decoder

GROUP = "bench-latency"
MEMORY = "state-alerts"
WARM_S = 5.0
HOT = tuple(f"hot-{number}" for number in range(5))
EVERY_S = 0.25


class Alerts:
    """Publishes thermal samples, and hears how long the alerts took that they raise, change or clear."""

    def __init__(self, settings: KafkaSettings, publisher: kafka.Publisher) -> None:
        self._settings, self._publisher = settings, publisher
        self._decode = decoder(settings, "alerts").decode
        self._sent: dict[tuple[str, int], float] = {}
        self.took: list[float] = []
        self._polls = 0
        name = settings.catalog["alerts"].name
        self._reader = kafka.consumer(settings, "bench-alerts")
        self._reader.assign([TopicPartition(name, *each) for each in ((n, 0) for n in range(PARTITIONS))])

    def publish(self) -> None:
        """The next poll of every BMC: two hot, two cool, and so on."""
        for host in HOT:
            record = thermal(host, self._polls, [95.0 if self._polls // 2 % 2 else 50.0])
            record["observed_at"] = datetime.now(UTC)  # readings that are old when they arrive are not judged
            self._sent[host, self._polls] = time.monotonic()
            self._publisher.send(*wire(self._settings.catalog, "raw-redfish", record), wait_s=10)
        self._polls += 1

    def hear(self, wait_s: float) -> None:
        """Takes in what has come."""
        for message in self._reader.consume(500, timeout=wait_s):
            if message.error() is None:
                alert = self._decode(message.value())
                if (sent := self._sent.get((alert["host"], alert["sequence"]))) is not None:
                    self.took.append(time.monotonic() - sent)

    def close(self) -> None:
        """Reads no more."""
        self._reader.close()


def latency(settings: KafkaSettings, data: Path, seconds: float, per_s: float) -> dict[str, float]:
    """From a thermal sample to its alert, in the worker with every step, while VM records come at a rate."""
    environment = os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap,
        "RACKSTREAM_TOPIC_PREFIX": settings.topic_prefix,
        "RACKSTREAM_DATA_DIR": str(data),
        "RACKSTREAM_PROCESSOR_GROUP": GROUP,
    }
    publisher = kafka.Publisher(settings, "bench", **{"linger.ms": 0})
    hot, fleet = Alerts(settings, publisher), [Hypervisor(number) for number in range(HOSTS)]
    with (data / "latency.log").open("wb") as log:
        command = [sys.executable, "-m", "rackstream", "processor"]
        worker = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    for each in fleet:
        publisher.send(*wire(settings.catalog, "raw-libvirt", each.sample(0)), wait_s=10)
    hot.publish()
    if await_none(settings, GROUP, ["raw-libvirt", "raw-redfish"], timeout_s=60, tend=lambda: publisher.poll(0)):
        raise RuntimeError(f"the worker steps nothing: {(data / 'latency.log').read_text()[-2000:]}")
    began_s = time.monotonic()
    load, polls = len(fleet), 0
    warm = True
    while (now_s := time.monotonic() - began_s) < WARM_S + seconds:
        while load < len(fleet) + now_s * per_s:
            record = fleet[load % HOSTS].sample(load // HOSTS)
            publisher.send(*wire(settings.catalog, "raw-libvirt", record), wait_s=10)
            load += 1
        if now_s > polls * EVERY_S:
            hot.publish()
            polls += 1
        if warm and now_s > WARM_S:
            warm = False
            hot.took.clear()
        publisher.poll(0)
        hot.hear(0.002)
    behind = lag(settings, GROUP, ["raw-libvirt"])
    hot.hear(2.0)
    hot.close()
    worker.terminate()
    worker.wait(60)
    took = sorted(hot.took)
    return {
        "records_per_s": per_s,
        "alerts": len(took),
        "p50_s": took[len(took) // 2],
        "p99_s": took[len(took) * 99 // 100],
        "records_behind": behind,
    }


def states(settings: KafkaSettings, hosts: int, sensors: int) -> dict[str, float]:
    """What the alert states of a fleet, one host in ten with an alert, weigh in memory, and take to read back."""
    steps = [step for step in mounted() if step.memory == MEMORY and step.input == "raw-redfish"]
    fold, publisher = Partition(settings.catalog, steps), kafka.Publisher(settings, "bench")
    topic = settings.catalog[MEMORY].name
    for number in range(hosts):
        celsius = [95.0 if number % 10 == 0 else 40.0, *[40.0] * (sensors - 1)]
        for n in range(2):
            for output in fold.apply(thermal(f"node-{number}", n, celsius)).outputs:
                if output.is_memory:
                    publisher.send(topic, output.key, output.value, wait_s=10)
    assert publisher.flush(60) == 0

    def restored() -> list[Partition]:
        return [restore.partition(settings, "raw-redfish", steps, number, 0, 0) for number in range(PARTITIONS)]

    began_s = time.monotonic()
    restored()
    took_s = time.monotonic() - began_s
    tracemalloc.start()
    held = restored()
    read_back, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(held) == PARTITIONS
    return {
        "hosts": hosts,
        "sensors": sensors,
        "bytes_per_host": read_back / hosts,
        "live_bytes_per_host": _weight(settings, steps, sensors),
        "recovery_s": took_s,
    }


def _weight(settings: KafkaSettings, steps: list[Step], sensors: int) -> float:
    """What one host weighs in a worker that has stepped its records."""
    hosts = 500
    records = [
        thermal(f"node-{number}", n, [95.0 if number % 10 == 0 else 40.0, *[40.0] * (sensors - 1)])
        for number in range(hosts)
        for n in range(2)
    ]
    fold = Partition(settings.catalog, steps)
    tracemalloc.start()
    for record in records:
        fold.apply(record)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size / hosts
