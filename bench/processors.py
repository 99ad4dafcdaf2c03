"""CPU per 20-VM record of the VM step: bare, in a bare confluent-kafka loop, in the Faust worker, in a naive Faust agent.

    make bench ONLY=bench/processors.py ARGS="--json"

Each case is a process of its own with a consumer group of its own and reads the same topic on an embedded Kafka; cases
are interleaved in rounds, the median of the rounds counts. What is measured is user and system time of the process with
all its threads (the broker's is not), from a warm-up on. Same batches (500 records or 0.1 s), codec, step, compression,
delivery wait and commit interval (0.5 s) in all:

- `step`     the pure step on decoded records: no codec, no Kafka
- `bare`     consume, decode, step, encode, produce, wait for every delivery report, commit
- `faust`    the worker as `rackstream processor` runs it, with this step alone
- `naive`    a Faust agent over `events()` with `topic.send`, which waits for each event's deliveries before its ack
- `unsafe`   the same, but without waiting: what is sent and not delivered at a crash is lost

The ratio that counts is `naive`; `unsafe` is printed beside it. Then the latency from a thermal sample to its alert while
VM records come at half of what the worker can step; and what the alert states of a fleet weigh and cost to read back.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import tracemalloc
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from confluent_kafka import TopicPartition

from processors import alerts, restore, vms
from processors.drive import Partition
from processors.shell import ProcessorSettings, Shell
from rackstream.broker import EmbeddedKafka
from rackstream.lag import lag
from runtime import kafka, topics
from runtime.settings import KafkaSettings
from runtime.topics import decoder
from schemas import catalog, codec
from schemas.testing import item, raw

CASES = ("step", "bare", "faust", "naive", "unsafe")
TAKE, WITHIN_S, COMMIT_S = 500, 0.1, 0.5
HOSTS, VMS, PARTITIONS = 50, 20, 4


def sample(n: int, host: int) -> dict[str, Any]:
    """20 VMs with a NIC and a disk each; counters of their own, most of which move."""
    domains = []
    for vm in range(VMS):
        busy = (host * VMS + vm + 1) * 7919
        nic = item("DomainNic", device=f"vnet{vm}", rxerrors=0, rxdrops=0, txerrors=0, txdrops=0)
        nic |= {
            name: busy * (n + 1) * (k + 3) for k, name in enumerate(("rxbytes", "rxpackets", "txbytes", "txpackets"))
        }
        disk = item(
            "DomainDisk", device="vda", rd_req=busy * n, rd_bytes=busy * n * 4096, wr_reqs=n, wr_bytes=busy * n * 512
        )
        memory = {"memactual": 4194304, "memrss": 2000000 + busy % 5000 + n, "memusable": 3000000 - n, "memswap_in": 0}
        figures = {
            "cputime": busy * n * 10**6,
            "timeusr": busy * n * 10**5,
            "timesys": busy * n * 10**4,
            "cpus": 4,
            "state": 1,
        }
        who = {
            "vmid": str(vm),
            "name": f"one-{vm}",
            "uuid": f"9b2b7f1a-0000-4000-8000-{host:06d}{vm:06d}",
            "domain_id": vm,
        }
        domains.append(item("Domain", **who, **figures, **memory, memory_used_kb=4194304, nics=[nic], disks=[disk]))
    return raw("LibvirtSample", at_s=n, host=f"kvm-{host}", category="domains", uri="qemu:///system", domains=domains)


def cpu_s() -> float:
    """User and system time of this process, s."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


class Meter:
    """CPU seconds from the warm-up to the last record."""

    def __init__(self, warm: int, total: int) -> None:
        self._warm, self._total = warm, total
        self._count, self._began, self._from = 0, 0.0, 0

    def add(self, count: int) -> bool:
        """Counts records; true when all are done."""
        self._count += count
        if not self._from and self._count >= self._warm:
            self._from, self._began = self._count, cpu_s()
        return self._count >= self._total

    def tell(self) -> None:
        """Prints the result for the process that waits for it."""
        print(json.dumps({"cpu_s": cpu_s() - self._began, "records": self._count - self._from}), flush=True)


def settings_of(arguments: argparse.Namespace, case: str) -> ProcessorSettings:
    return ProcessorSettings.read(
        bootstrap=arguments.bootstrap,
        topic_prefix="bench.",
        data_dir=Path(arguments.data),
        group=f"bench-{case}-{os.getpid()}",
    )


def run_step(settings: ProcessorSettings, meter: Meter) -> None:
    decode, states = decoder(settings, "raw-libvirt").decode, {}
    for message in kafka.read_all(settings, settings.catalog["raw-libvirt"].name):
        record = decode(message.value())
        began = cpu_s()
        states[record["host"]], _ = vms.step(states.get(record["host"]), record)
        run_step.spent += cpu_s() - began  # type: ignore[attr-defined]
    print(json.dumps({"cpu_s": run_step.spent, "records": meter._total}))  # type: ignore[attr-defined]  # noqa: SLF001


run_step.spent = 0.0  # type: ignore[attr-defined]


def run_bare(settings: ProcessorSettings, meter: Meter) -> None:
    """The loop that Faust is held against."""
    name, decode = settings.catalog["raw-libvirt"].name, decoder(settings, "raw-libvirt").decode
    partitions: dict[int, Partition] = {}
    publisher = kafka.Publisher(settings, "bench")
    consumer = kafka.consumer(settings, settings.group, **{"auto.offset.reset": "earliest"})
    consumer.assign([TopicPartition(name, number, 0) for number in range(PARTITIONS)])
    reached: dict[int, int] = {}
    committed_s = time.monotonic()
    done = False
    while not done:
        messages = consumer.consume(TAKE, timeout=WITHIN_S)
        for message in messages:
            partition = partitions.setdefault(message.partition(), Partition(settings.catalog, [vms.STEP]))
            for output in partition.apply(decode(message.value())).outputs:
                publisher.send(settings.catalog[output.alias].name, output.key, output.value, wait_s=10)
            reached[message.partition()] = message.offset() + 1
        while publisher.outstanding:
            publisher.poll(0.001)
        if time.monotonic() - committed_s > COMMIT_S:
            consumer.commit(offsets=[TopicPartition(name, *each) for each in reached.items()], asynchronous=True)
            committed_s = time.monotonic()
        done = meter.add(len(messages))
    meter.tell()
    consumer.close()


def run_faust(settings: ProcessorSettings, meter: Meter) -> None:
    """The worker, as it is."""
    import faust
    import uvloop

    from processors import app as worker

    logging.disable(logging.DEBUG)
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    shell = Shell(settings, [vms.STEP])
    app = worker.build(settings, shell)
    stepped = shell.batch

    async def batch(alias: str, events: Any) -> None:
        await stepped(alias, events)
        if meter.add(len(events)):
            meter.tell()
            os._exit(0)

    shell.batch = batch  # type: ignore[method-assign]
    faust.Worker(app, loop=loop, quiet=True, loglevel="WARN", redirect_stdouts=False).execute_from_commandline()


def run_naive(settings: ProcessorSettings, meter: Meter, *, wait: bool = True) -> None:
    """What one writes first."""
    import faust

    app = faust.App(
        settings.group,
        broker=f"kafka://{settings.bootstrap}",
        datadir=settings.data_dir / f"naive-{os.getpid()}",
        topic_allow_declare=False,
        topic_disable_leader=True,
        consumer_auto_offset_reset="earliest",
        broker_commit_interval=COMMIT_S,
        producer_compression_type="zstd",
        producer_linger=0.005,
        web_enabled=False,
    )
    outputs = {
        alias: app.topic(settings.catalog[alias].name, key_type=bytes, value_type=bytes, value_serializer="raw")
        for alias in vms.STEP.outputs
    }
    source = app.topic(settings.catalog["raw-libvirt"].name, key_type=bytes, value_type=bytes, value_serializer="raw")
    decode = decoder(settings, "raw-libvirt").decode
    states: dict[str, Any] = {}

    @app.agent(source)
    async def agent(stream: Any) -> None:
        async for event in stream.events():
            record = decode(event.value)
            states[record["host"]], found = vms.step(states.get(record["host"]), record)
            sent = []
            for alias, output in found:
                topic = settings.catalog[alias]
                value = codec.encode(catalog.schema(topic.schema), output)
                sent.append(await outputs[alias].send(key=topic.key_of(output), value=value))
            if wait:
                for each in sent:
                    await each
            if meter.add(1):
                meter.tell()
                os._exit(0)

    faust.Worker(app, quiet=True, loglevel="WARN", redirect_stdouts=False).execute_from_commandline()


def work(arguments: argparse.Namespace) -> None:
    """One case, in a process of its own."""
    settings, meter = settings_of(arguments, arguments.case), Meter(arguments.records // 5, arguments.records)
    runs = {
        "step": run_step, "bare": run_bare, "faust": run_faust, "naive": run_naive,
        "unsafe": lambda settings, meter: run_naive(settings, meter, wait=False),
    }  # fmt: skip
    runs[arguments.case](settings, meter)


def measured(arguments: argparse.Namespace, bootstrap: str, data: Path, case: str) -> dict[str, float]:
    command = [sys.executable, __file__, "--case", case, "--bootstrap", bootstrap, "--data", str(data)]
    done = subprocess.run(
        [*command, "--records", str(arguments.records)], capture_output=True, text=True, timeout=600, check=False
    )
    if not done.stdout.strip():
        raise RuntimeError(f"{case} ended with {done.returncode}: {done.stderr[-2000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def fill(settings: KafkaSettings, count: int) -> None:
    publisher = kafka.Publisher(settings, "bench")
    topic, schema = settings.catalog["raw-libvirt"], catalog.schema("LibvirtSample")
    for n in range(count // HOSTS):
        for host in range(HOSTS):
            record = sample(n, host)
            publisher.send(topic.name, topic.key_of(record), codec.encode(schema, record), wait_s=10)
    assert publisher.flush(60) == 0


def throughput(arguments: argparse.Namespace, bootstrap: str, data: Path) -> dict[str, Any]:
    """Every case, in rounds."""
    runs: dict[str, list[dict[str, float]]] = {case: [] for case in CASES}
    for _ in range(arguments.rounds):
        for case in CASES:
            runs[case].append(measured(arguments, bootstrap, data, case))
    us = {case: statistics.median(run["cpu_s"] / run["records"] * 1e6 for run in found) for case, found in runs.items()}
    print(f"{'case':8} {'µs CPU per 20-VM record: median':>34} {'min':>8} {'max':>8}   VM samples per CPU-s")
    for case, found in runs.items():
        each = [run["cpu_s"] / run["records"] * 1e6 for run in found]
        print(f"{case:8} {us[case]:>34.0f} {min(each):>8.0f} {max(each):>8.0f}   {VMS / us[case] * 1e6:>20,.0f}")
    return {
        "us_per_record": us,
        "faust_over_bare_us": us["faust"] - us["bare"],
        "faust_vs_naive": us["naive"] / us["faust"],
        "faust_vs_unsafe": us["unsafe"] / us["faust"],
        "runs": runs,
    }


def latency(settings: KafkaSettings, data: Path, seconds: float, rate: float) -> dict[str, float]:
    """From a thermal sample to its alert, while VM records come at a rate (per s)."""
    environment = os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap, "RACKSTREAM_TOPIC_PREFIX": settings.topic_prefix,
        "RACKSTREAM_DATA_DIR": str(data), "RACKSTREAM_PROCESSOR_GROUP": "bench-latency",
    }  # fmt: skip
    log = (data / "latency.log").open("wb")
    worker = subprocess.Popen(
        [sys.executable, "-m", "rackstream", "processor"], env=environment, stdout=log, stderr=log
    )
    publisher = kafka.Publisher(settings, "bench", **{"linger.ms": 0})
    reader = kafka.consumer(settings, "bench-alerts", **{"auto.offset.reset": "latest"})
    name = settings.catalog["alerts"].name
    ends = kafka.watermarks(settings, name)
    reader.assign([TopicPartition(name, number, end) for number, (_, end) in ends.items()])
    decode, alias_schema = decoder(settings, "alerts").decode, catalog.schema
    sent: dict[tuple[str, int], float] = {}
    found: list[float] = []

    def thermal(n: int, host: str) -> None:
        sensor = item(
            "RedfishTemperature", chassis_id="1", sensor_id="0", sensor_name="CPU", upper_threshold_critical=100.0
        )
        # Two readings in a row raise the alert, two clear it: the second of each pair is the one that is waited for.
        record = raw("RedfishSample", at_s=n, host=host, category="thermal", observed_at=datetime.now(UTC))
        record["temperatures"] = [sensor | {"reading_celsius": 95.0 if n // 2 % 2 else 50.0}]
        sent[host, n] = time.monotonic()
        topic = settings.catalog["raw-redfish"]
        publisher.send(topic.name, topic.key_of(record), codec.encode(alias_schema("RedfishSample"), record), wait_s=10)

    def hear(wait_s: float) -> None:
        for message in reader.consume(500, timeout=wait_s):
            if message.error() is None and (alert := decode(message.value()))["host"].startswith("hot-"):
                found.append(time.monotonic() - sent[alert["host"], alert["sequence"]])

    topic, schema = settings.catalog["raw-libvirt"], alias_schema("LibvirtSample")
    base = [[codec.encode(schema, sample(n, host)) for host in range(HOSTS)] for n in range(4)]
    began = time.monotonic()
    load = beat = 0
    warm_s = 10.0
    while (now := time.monotonic() - began) < seconds + warm_s:
        due = int(now * rate)
        while load < due:
            # Late records: decoded, and skipped by the step's order after the first four. So they are made anew.
            record = sample(load // HOSTS, load % HOSTS) if load % 7 == 0 else None
            value = codec.encode(schema, record) if record else base[load % 4][load % HOSTS]
            publisher.send(topic.name, f"kvm-{load % HOSTS}".encode(), value, wait_s=10)
            load += 1
        if now * 4 > beat:
            for host in range(5):
                thermal(beat, f"hot-{host}")
            beat += 1
            if now < warm_s:
                found.clear()
        publisher.poll(0)
        hear(0.005)
    hear(2.0)
    left = lag(settings, "bench-latency", ["raw-libvirt"])
    worker.terminate()
    worker.wait(30)
    reader.close()
    return {
        "alerts": len(found),
        "p50_s": _percentile(found, 50),
        "p99_s": _percentile(found, 99),
        "lag_at_end": left,
        "records_per_s": rate,
    }


def _percentile(values: list[float], percent: int) -> float:
    return sorted(values)[min(len(values) - 1, len(values) * percent // 100)] if values else float("nan")


def states(settings: KafkaSettings, hosts: int, sensors: int) -> dict[str, float]:
    """What the alert states of a fleet weigh in memory, and cost to read back, if every host has an alert."""
    step, topic = alerts.step(), settings.catalog["state-alerts"]
    publisher = kafka.Publisher(settings, "bench")
    judged = Partition(settings.catalog, [step])
    for host in range(hosts):
        readings = [
            item("RedfishTemperature", chassis_id="1", sensor_id=str(s), sensor_name=f"Sensor {s}", upper_threshold_critical=100.0,
                 reading_celsius=95.0 if s == 0 else 40.0)
            for s in range(sensors)
        ]  # fmt: skip
        record = raw("RedfishSample", at_s=0, host=f"node-{host}", category="thermal", temperatures=readings)
        for output in judged.apply(record).outputs:
            if output.is_memory:
                publisher.send(topic.name, output.key, output.value, wait_s=10)
    assert publisher.flush(60) == 0
    tracemalloc.start()
    began, began_cpu = time.monotonic(), cpu_s()
    memories = [restore.partition(settings, step.input, [step], number, 0, 0) for number in range(PARTITIONS)]
    took, took_cpu = time.monotonic() - began, cpu_s() - began_cpu
    size = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    began = time.monotonic()
    again = [restore.partition(settings, step.input, [step], number, 0, 0) for number in range(PARTITIONS)]
    plain_s = time.monotonic() - began
    assert len(memories) == len(again)
    return {
        "hosts": hosts,
        "bytes_per_host": size / hosts,
        "recovery_s": plain_s,
        "traced_s": took,
        "traced_cpu_s": took_cpu,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one object last")
    parser.add_argument("--records", type=int, default=6000, help="20-VM records of a run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--hosts", type=int, default=10_000, help="hosts of the alert states")
    parser.add_argument("--seconds", type=float, default=30.0, help="of the latency measurement")
    parser.add_argument("--only", choices=("cpu", "latency", "states"), help="only this part")
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--bootstrap", help=argparse.SUPPRESS)
    parser.add_argument("--data", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        work(arguments)
        return
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="rackstream-bench-") as directory, EmbeddedKafka(Path(directory)) as broker:
        data = Path(directory)
        settings = KafkaSettings.read(
            bootstrap=broker.bootstrap, topic_prefix="bench.", partitions=PARTITIONS, data_dir=data
        )
        topics.create(settings)
        topics.publish_schemas(settings)
        half = 300.0
        if arguments.only in (None, "cpu"):
            fill(settings, arguments.records)
            result |= throughput(arguments, broker.bootstrap, data)
            print(f"Faust over the bare loop: {result['faust_over_bare_us']:.0f} µs (at most 100)")
            print(
                f"naive Faust over ours: {result['faust_vs_naive']:.2f} (at least 1.5); without waiting {result['faust_vs_unsafe']:.2f}"
            )
            half = 0.5e6 / result["us_per_record"]["faust"]
        if arguments.only in (None, "latency"):
            found = KafkaSettings.read(
                bootstrap=broker.bootstrap, topic_prefix="late.", partitions=PARTITIONS, data_dir=data
            )
            topics.create(found)
            topics.publish_schemas(found)
            result["latency"] = told = latency(found, data, arguments.seconds, half)
            print(
                f"sample → alert with {half:.0f} VM records/s: p50 {told['p50_s'] * 1000:.0f} ms, p99 {told['p99_s'] * 1000:.0f} ms ({told['alerts']} alerts)"
            )
        if arguments.only in (None, "states"):
            result["states"] = told = states(settings, arguments.hosts, 50)
            print(
                f"alert states of {arguments.hosts:,} hosts × 50 sensors: {told['bytes_per_host']:.0f} B per host, read back in {told['recovery_s']:.1f} s"
            )
    if arguments.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
