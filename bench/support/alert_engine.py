"""Measures the alert engine: latency from sample to alert under load, and the size of a fleet's alert states."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path

from confluent_kafka import TopicPartition

from bench.support.fleet_records import HOSTS, Hypervisor, encode_for_kafka, thermal
from bench.support.frameworks import PARTITIONS
from processors.engine import restore
from processors.engine.partition import Partition
from processors.engine.step import AnyStep
from processors.engine.topic_reader import KafkaTopicReader
from processors.registry import STEPS
from rackstream.topics.lag import lag, wait_until_consumed
from runtime import kafka
from runtime.settings import KafkaSettings
from runtime.topics import decoder

GROUP = "bench-latency"
MEMORY = "state-alerts"
WARM_UP_S = 5.0
HOT_HOSTS = tuple(f"hot-{number}" for number in range(5))
PUBLISH_INTERVAL_S = 0.25


class AlertLatency:
    """Publishes thermal samples and measures the latency of the alert transitions that they cause."""

    def __init__(self, settings: KafkaSettings, publisher: kafka.KafkaPublisher) -> None:
        self._settings, self._publisher = settings, publisher
        self._decode = decoder(settings, "alerts").decode
        self._sent: dict[tuple[str, int], float] = {}
        self.latencies_s: list[float] = []
        self._polls = 0
        name = settings.catalog["alerts"].name
        self._reader = kafka.create_consumer(settings, "bench-alerts")
        self._reader.assign([TopicPartition(name, partition, 0) for partition in range(PARTITIONS)])

    def publish(self) -> None:
        """Publishes the next poll of each BMC: two hot ones, two cool ones, and so on."""
        for host in HOT_HOSTS:
            record = thermal(host, self._polls, [95.0 if self._polls // 2 % 2 else 50.0])
            record["observed_at"] = datetime.now(UTC)  # rules are not evaluated on old readings
            self._sent[host, self._polls] = time.monotonic()
            self._publisher.send(*encode_for_kafka(self._settings.catalog, "raw-redfish", record), wait_s=10)
        self._polls += 1

    def receive(self, wait_s: float) -> None:
        """Receives transitions and records their latency."""
        for message in self._reader.consume(500, timeout=wait_s):
            if message.error() is None:
                alert = self._decode(message.value())
                if (sent := self._sent.get((alert["host"], alert["sequence"]))) is not None:
                    self.latencies_s.append(time.monotonic() - sent)

    def close(self) -> None:
        """Closes the consumer."""
        self._reader.close()


def measure_latency(settings: KafkaSettings, data: Path, seconds: float, per_s: float) -> dict[str, float]:
    """Measures the latency from thermal sample to alert in a worker with all steps, under a load of VM records."""
    environment = os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap,
        "RACKSTREAM_TOPIC_PREFIX": settings.topic_prefix,
        "RACKSTREAM_DATA_DIR": str(data),
        "RACKSTREAM_PROCESSOR_GROUP": GROUP,
    }
    publisher = kafka.KafkaPublisher(settings, "bench", **{"linger.ms": 0})
    alerts, fleet = AlertLatency(settings, publisher), [Hypervisor(number) for number in range(HOSTS)]
    with (data / "latency.log").open("wb") as log:
        command = [sys.executable, "-m", "rackstream", "processor"]
        worker = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    for hypervisor in fleet:
        publisher.send(*encode_for_kafka(settings.catalog, "raw-libvirt", hypervisor.sample(0)), wait_s=10)
    alerts.publish()
    if wait_until_consumed(
        settings, GROUP, ["raw-libvirt", "raw-redfish"], timeout_s=60, run_periodic=lambda: publisher.poll(0)
    ):
        raise RuntimeError(f"the worker processes nothing: {(data / 'latency.log').read_text()[-2000:]}")
    began_s = time.monotonic()
    load, polls = len(fleet), 0
    is_warming_up = True
    while (now_s := time.monotonic() - began_s) < WARM_UP_S + seconds:
        while load < len(fleet) + now_s * per_s:
            record = fleet[load % HOSTS].sample(load // HOSTS)
            publisher.send(*encode_for_kafka(settings.catalog, "raw-libvirt", record), wait_s=10)
            load += 1
        if now_s > polls * PUBLISH_INTERVAL_S:
            alerts.publish()
            polls += 1
        if is_warming_up and now_s > WARM_UP_S:
            is_warming_up = False
            alerts.latencies_s.clear()
        publisher.poll(0)
        alerts.receive(0.002)
    records_behind = lag(settings, GROUP, ["raw-libvirt"])
    alerts.receive(2.0)
    alerts.close()
    worker.terminate()
    worker.wait(60)
    latencies_s = sorted(alerts.latencies_s)
    return {
        "records_per_s": per_s,
        "alerts": len(latencies_s),
        "p50_s": latencies_s[len(latencies_s) // 2],
        "p99_s": latencies_s[len(latencies_s) * 99 // 100],
        "records_behind": records_behind,
    }


def measure_states(settings: KafkaSettings, hosts: int, sensors: int) -> dict[str, float]:
    """Measures memory and recovery time of a fleet's alert states, with an alert on one host in ten."""
    steps = [step for step in STEPS if step.memory == MEMORY and step.input == "raw-redfish"]
    partition, publisher = Partition(settings.catalog, steps), kafka.KafkaPublisher(settings, "bench")
    topic = settings.catalog[MEMORY].name
    for number in range(hosts):
        celsius = [95.0 if number % 10 == 0 else 40.0, *[40.0] * (sensors - 1)]
        for n in range(2):
            for output in partition.apply(thermal(f"node-{number}", n, celsius)).outputs:
                if output.is_memory:
                    publisher.send(topic, output.key, output.value, wait_s=10)
    assert publisher.flush(60) == 0

    def restored() -> list[Partition]:
        reader = KafkaTopicReader(settings)
        return [restore.restore_partition(reader, "raw-redfish", steps, number, 0, 0) for number in range(PARTITIONS)]

    began_s = time.monotonic()
    restored()
    recovery_s = time.monotonic() - began_s
    tracemalloc.start()
    partitions = restored()
    restored_bytes, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(partitions) == PARTITIONS
    return {
        "hosts": hosts,
        "sensors": sensors,
        "bytes_per_host": restored_bytes / hosts,
        "live_bytes_per_host": _live_bytes_per_host(settings, steps, sensors),
        "recovery_s": recovery_s,
    }


def _live_bytes_per_host(settings: KafkaSettings, steps: list[AnyStep], sensors: int) -> float:
    """Measures the memory of one host in a worker that has processed its records."""
    hosts = 500
    records = [
        thermal(f"node-{number}", n, [95.0 if number % 10 == 0 else 40.0, *[40.0] * (sensors - 1)])
        for number in range(hosts)
        for n in range(2)
    ]
    partition = Partition(settings.catalog, steps)
    tracemalloc.start()
    for record in records:
        partition.apply(record)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return size / hosts
