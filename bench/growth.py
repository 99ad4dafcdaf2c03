"""Measures CPU and memory per host of producer, processor and sink for fleets of different sizes.

    make bench ONLY=bench/growth.py ARGS="--hosts 10,100,1000,10000 --bmcs 10,100,1000 --json"

`stream`   `rackstream processor` (all steps) and `rackstream sink influx` (to a server that counts lines) process the
           records of `--hosts` hosts with 20 VMs and a BMC with 20 sensors each: six samples of VMs per sample of
           sensors, as with intervals of 10 s and 60 s. The first sample of each host, which creates its state, is not
           measured. Processor and sink read as fast as they can, so batches are full.
`producer` `rackstream producer redfish` polls `--bmcs` simulated BMCs (in their own process) every 60 s in real time,
           the slower categories 6 to 30 times less often. The measurement starts when every BMC has been polled. One
           process polls up to 1,000 BMCs here: 10,000 would exceed the limit of open files on this machine; several
           processes divide such a fleet (`fleet.targets`).

CPU is user and system time of the process with its threads; memory is its peak, both from /proc.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.support.external_process import ROOT, cpu_s, exit_on_sigterm, rss_mib, terminate
from bench.support.fleet_records import Hypervisor, encode_for_kafka, thermal
from bench.support.line_counter_server import LineCounterServer as LineCounter
from rackstream.local.broker import EmbeddedKafka
from rackstream.topics.lag import wait_until_consumed
from runtime import kafka, topics
from runtime.settings import KafkaSettings
from tests.e2e.support import fleets

PARTITIONS = 4
MIN_RECORDS = 6000
"""At least this many VM samples are measured, at least one per host."""
SENSORS = 20
RECORDS_PER_HOUR = 360 + 60
"""Records per host: VMs every 10 s, sensors every 60 s."""
INTERVAL_S = 60.0
WARM_UP_S = 75.0
RAW = ("raw-libvirt", "raw-redfish")
DERIVED = ("vm-totals", "vm-features", "device-rates")
PROCESSOR_GROUP, SINK_GROUP = "bench-growth", "rackstream-influx"
Row = dict[str, Any]


@contextmanager
def run_rackstream(
    settings: KafkaSettings, name: str, *arguments: str, **extra_environment: str
) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a `rackstream` command on these topics until the context ends.

    Raises:
        RuntimeError: The command ended early; the message has the end of its log.
    """
    environment = (
        os.environ
        | {
            "KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap,
            "RACKSTREAM_TOPIC_PREFIX": settings.topic_prefix,
            "RACKSTREAM_DATA_DIR": str(settings.data_dir),
            "RACKSTREAM_PROCESSOR_GROUP": PROCESSOR_GROUP,
        }
        | extra_environment
    )
    log = settings.data_dir / f"{settings.topic_prefix}{name}.log"
    with log.open("wb") as out:
        command = [sys.executable, "-m", "rackstream", *arguments]
        process = subprocess.Popen(command, env=environment, stdout=out, stderr=out, cwd=ROOT)
    try:
        yield process
        if process.poll() is not None:
            raise RuntimeError(f"{name} ended with {process.returncode}: {log.read_text()[-2000:]}")
    finally:
        terminate(process)


def influx_settings(url: str) -> dict[str, str]:
    """Returns the environment of the sink for an InfluxDB."""
    return {"INFLUX_URL": url, "INFLUX_DB": "bench", "INFLUX_TOKEN": "bench:bench", "RACKSTREAM_INFLUX_API": "v2"}


def fill(settings: KafkaSettings, fleet: list[Hypervisor], polls: range) -> int:
    """Publishes polls of all hosts, every sixth with the BMC's sensors; returns the number of records."""
    publisher, count = kafka.KafkaPublisher(settings, "bench"), 0
    for n in polls:
        now = datetime.now(UTC)
        for number, hypervisor in enumerate(fleet):
            publisher.send(*encode_for_kafka(settings.catalog, "raw-libvirt", hypervisor.sample(n)), wait_s=30)
            count += 1
            if (n + number) % 6 == 0:
                sample = thermal(hypervisor.name, n, [50.0 + (n + at) % 20 for at in range(SENSORS)]) | {
                    "observed_at": now
                }
                publisher.send(*encode_for_kafka(settings.catalog, "raw-redfish", sample), wait_s=30)
                count += 1
    assert publisher.flush(60) == 0
    return count


def measure_stream(settings: KafkaSettings, hosts: int, records: int) -> Row:
    """Measures processor and sink with a number of hosts."""
    topics.create(settings)
    topics.publish_schemas(settings)
    fleet = [Hypervisor(number) for number in range(hosts)]
    polls = max(1, records // hosts)
    with ExitStack() as stack:
        server = stack.enter_context(LineCounter())
        processor = stack.enter_context(run_rackstream(settings, "processor", "processor"))
        influx = {
            "INFLUX_URL": server.url,
            "INFLUX_DB": "bench",
            "INFLUX_TOKEN": "bench",
            "RACKSTREAM_INFLUX_API": "v2",
        }
        sink = stack.enter_context(run_rackstream(settings, "sink", "sink", "influx", **influx))
        fill(settings, fleet, range(1))
        wait_until_processed(settings)
        began = {"processor": cpu_s(processor.pid), "sink": cpu_s(sink.pid)}
        lines, began_s = server.count_lines(), time.monotonic()
        count = fill(settings, fleet, range(1, polls + 1))
        wait_until_processed(settings)
        wall_s = time.monotonic() - began_s
        row: Row = {"hosts": hosts, "records": count, "lines": server.count_lines() - lines, "wall_s": wall_s}
        for name, process in (("processor", processor), ("sink", sink)):
            used_s = cpu_s(process.pid) - began[name]
            row[name] = {
                "cpu_s_per_host_hour": used_s / count * RECORDS_PER_HOUR,
                "us_per_record": used_s / count * 1e6,
                "rss_mib": rss_mib(process.pid),
            }
    return row


def wait_until_processed(settings: KafkaSettings) -> None:
    """Waits until the processor, and then the sink, have consumed all records."""
    for group, aliases in (
        (PROCESSOR_GROUP, ("raw-libvirt", "raw-redfish")),
        (SINK_GROUP, ("raw-libvirt", "raw-redfish", *DERIVED)),
    ):
        if remaining := wait_until_consumed(settings, group, aliases, timeout_s=400, run_periodic=lambda: None):
            raise RuntimeError(f"{group} did not consume {remaining} records")


def measure_producers(
    settings: KafkaSettings, folder: Path, counts: list[int], seconds: float, warm_up_s: float
) -> list[Row]:
    """Measures a producer per size of fleet, all at the same time, as CPU time is counted per process."""
    topics.create(settings)
    os.environ.setdefault(fleets.PASSWORD, "bench")
    rows: list[Row] = []
    with ExitStack() as stack:
        running = {}
        for count in counts:
            login = ("--username", "root", "--password-env", fleets.PASSWORD)
            simulator = stack.enter_context(fleets.simulated("--count", str(count), *login))
            addresses = {f"bmc-{count}-{bmc['number']}": bmc["url"] for bmc in simulator["bmcs"]}
            path = fleets.write(
                folder / f"fleet-{count}.yaml",
                addresses,
                interval_s=INTERVAL_S,
                intervals={"memory": 1800.0, "storage": 720.0, "processor": 360.0, "network": 360.0},
            )
            name = f"producer-{count}"
            command = ("producer", "redfish", "--fleet", str(path), "--name", name)
            running[count] = stack.enter_context(run_rackstream(settings, name, *command))
        time.sleep(warm_up_s)
        began = {count: cpu_s(process.pid) for count, process in running.items()}
        before = count_polls(settings)
        time.sleep(seconds)
        used_s = {count: cpu_s(process.pid) - began[count] for count, process in running.items()}
        after = count_polls(settings)
        for count, process in running.items():
            rows.append(
                {
                    "bmcs": count,
                    "polls": after[count] - before[count],
                    "cpu_s_per_host_hour": used_s[count] / count * 3600 / seconds,
                    "rss_mib": rss_mib(process.pid),
                }
            )
    return rows


def count_polls(settings: KafkaSettings) -> Counter[int]:
    """Counts the records so far, by size of fleet."""
    messages = kafka.read_all(settings, settings.catalog["raw-redfish"].name)
    return Counter(int(message.key().split(b"-")[1]) for message in messages)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--hosts", default="10,100,1000,10000", help="numbers of hosts for `stream`  [default: %(default)s]"
    )
    parser.add_argument("--bmcs", default="10,100,1000", help="numbers of BMCs for `producer`  [default: %(default)s]")
    parser.add_argument("--records", type=int, default=MIN_RECORDS, help="minimum number of measured VM samples")
    parser.add_argument("--seconds", type=float, default=INTERVAL_S, help="duration of the producer measurement")
    parser.add_argument("--warm", type=float, default=WARM_UP_S, help="warm-up of the producers in seconds")
    parser.add_argument("--json", action="store_true", help="print a JSON object last")
    arguments = parser.parse_args()
    exit_on_sigterm()
    hosts, bmcs = ([int(number) for number in text.split(",") if number] for text in (arguments.hosts, arguments.bmcs))
    result: dict[str, Any] = {"stream": [], "producer": [], "interval_s": INTERVAL_S}
    with tempfile.TemporaryDirectory(prefix="rackstream-bench-") as directory:
        folder = Path(directory)
        with EmbeddedKafka(folder / "kafka") as broker:

            def with_prefix(prefix: str) -> KafkaSettings:
                return KafkaSettings.read(
                    bootstrap=broker.bootstrap, topic_prefix=prefix, partitions=PARTITIONS, data_dir=folder
                )

            print(f"{'hosts':>7} {'':10}{'CPU s per host and hour':>24}{'peak MiB':>10}")
            for count in hosts:
                row = measure_stream(with_prefix(f"grow{count}."), count, arguments.records)
                result["stream"].append(row)
                for name in ("processor", "sink"):
                    print_row(count, name, row[name])
                delete_groups(broker.bootstrap)
            if bmcs:
                result["producer"] = measure_producers(
                    with_prefix("poll."), folder, bmcs, arguments.seconds, arguments.warm
                )
            for row in result["producer"]:
                print_row(row["bmcs"], "producer", row)
    if arguments.json:
        print(json.dumps(result))


def print_row(count: int, name: str, row: Row) -> None:
    """Prints a line of the table."""
    print(f"{count:>7,} {name:10}{row['cpu_s_per_host_hour']:>24.3f}{row['rss_mib']:>10.0f}", flush=True)


def delete_groups(bootstrap: str) -> None:
    """Deletes the consumer groups, whose names are the same for all sizes."""
    admin = kafka.create_admin_client(KafkaSettings.read(bootstrap=bootstrap))
    for group in admin.delete_consumer_groups([PROCESSOR_GROUP, SINK_GROUP]).values():
        group.result(30)


if __name__ == "__main__":
    main()
