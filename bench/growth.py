"""What a host costs as a fleet grows: producer, processor and sink, in CPU seconds per host and hour, and in memory.

    make bench ONLY=bench/growth.py ARGS="--hosts 10,100,1000,10000 --bmcs 10,100,1000 --json"

`stream`   `rackstream processor` (all steps) and `rackstream sink influx` (into a server that counts lines) work on the
           records of so many hosts: 20 VMs and a BMC with 20 sensors each, six samples of VMs to one of sensors, as at
           intervals of 10 s and 60 s. The first sample of every host is not measured: with it comes its state.
           Processor and sink get the records as fast as they take them, so batches are full
`producer` `rackstream producer redfish` polls so many simulated BMCs (in a process of their own) at 60 s, the slower
           categories at 6 to 30 times that, for real time. Measured from the moment when every BMC has been polled. One
           process polls up to 1,000 here: 10,000 would need more open files than this machine's limit, and several
           processes divide them (`fleet.targets`)

Measured is user and system time of the process with its threads, and its peak memory, from /proc.
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

from bench.support.external_process import ROOT, cpu_s, end, orderly, rss_mib
from bench.support.fleet_records import Hypervisor, thermal, wire
from bench.support.line_counter_server import Counter as LineCounter
from rackstream.local.broker import EmbeddedKafka
from rackstream.topics.lag import await_none
from runtime import kafka, topics
from runtime.settings import KafkaSettings
from tests.e2e.support import fleets

PARTITIONS = 4
RECORDS = 6000
"""VM samples that are measured, at least; of every host one or more."""
SENSORS = 20
PER_HOUR = 360 + 60
"""Records of a host: VMs every 10 s, sensors every 60 s."""
INTERVAL_S = 60.0
WARM_S = 75.0
RAW = ("raw-libvirt", "raw-redfish")
DERIVED = ("vm-totals", "vm-features", "device-rates")
PROCESSORS, SINK = "bench-growth", "rackstream-influx"
Row = dict[str, Any]


@contextmanager
def started(settings: KafkaSettings, name: str, *arguments: str, **more: str) -> Iterator[subprocess.Popen[bytes]]:
    """A `rackstream` command on these topics; ended on exit.

    Raises:
        RuntimeError: it ended by itself; with the end of its log.
    """
    environment = (
        os.environ
        | {
            "KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap,
            "RACKSTREAM_TOPIC_PREFIX": settings.topic_prefix,
            "RACKSTREAM_DATA_DIR": str(settings.data_dir),
            "RACKSTREAM_PROCESSOR_GROUP": PROCESSORS,
        }
        | more
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
        end(process)


def into(url: str) -> dict[str, str]:
    """The sink's settings for an InfluxDB."""
    return {"INFLUX_URL": url, "INFLUX_DB": "bench", "INFLUX_TOKEN": "bench:bench", "RACKSTREAM_INFLUX_API": "v2"}


def fill(settings: KafkaSettings, fleet: list[Hypervisor], polls: range) -> int:
    """Puts these polls of all hosts on the topics; every sixth with the BMC's sensors. Returns how many records."""
    publisher, count = kafka.Publisher(settings, "bench"), 0
    for n in polls:
        now = datetime.now(UTC)
        for number, each in enumerate(fleet):
            publisher.send(*wire(settings.catalog, "raw-libvirt", each.sample(n)), wait_s=30)
            count += 1
            if (n + number) % 6 == 0:
                hot = thermal(each.name, n, [50.0 + (n + at) % 20 for at in range(SENSORS)]) | {"observed_at": now}
                publisher.send(*wire(settings.catalog, "raw-redfish", hot), wait_s=30)
                count += 1
    assert publisher.flush(60) == 0
    return count


def stream(settings: KafkaSettings, hosts: int, records: int) -> Row:
    """A row of processor and sink."""
    topics.create(settings)
    topics.publish_schemas(settings)
    fleet = [Hypervisor(number) for number in range(hosts)]
    polls = max(1, records // hosts)
    with ExitStack() as stack:
        server = stack.enter_context(LineCounter())
        processor = stack.enter_context(started(settings, "processor", "processor"))
        influx = {
            "INFLUX_URL": server.url,
            "INFLUX_DB": "bench",
            "INFLUX_TOKEN": "bench",
            "RACKSTREAM_INFLUX_API": "v2",
        }
        sink = stack.enter_context(started(settings, "sink", "sink", "influx", **influx))
        fill(settings, fleet, range(1))
        drained(settings)
        began = {"processor": cpu_s(processor.pid), "sink": cpu_s(sink.pid)}
        lines, began_s = server.lines(), time.monotonic()
        count = fill(settings, fleet, range(1, polls + 1))
        drained(settings)
        wall_s = time.monotonic() - began_s
        row: Row = {"hosts": hosts, "records": count, "lines": server.lines() - lines, "wall_s": wall_s}
        for name, process in (("processor", processor), ("sink", sink)):
            used = cpu_s(process.pid) - began[name]
            row[name] = {
                "cpu_s_per_host_hour": used / count * PER_HOUR,
                "us_per_record": used / count * 1e6,
                "rss_mib": rss_mib(process.pid),
            }
    return row


def drained(settings: KafkaSettings) -> None:
    """Waits until everything is stepped, and then until everything is stored."""
    for group, aliases in (
        (PROCESSORS, ("raw-libvirt", "raw-redfish")),
        (SINK, ("raw-libvirt", "raw-redfish", *DERIVED)),
    ):
        if left := await_none(settings, group, aliases, timeout_s=400, tend=lambda: None):
            raise RuntimeError(f"{group} leaves {left} records")


def producers(settings: KafkaSettings, folder: Path, counts: list[int], seconds: float, warm_s: float) -> list[Row]:
    """A row per size of fleet; all at the same time, for each is measured by its own CPU time."""
    topics.create(settings)
    os.environ.setdefault(fleets.PASSWORD, "bench")
    rows: list[Row] = []
    with ExitStack() as stack:
        running = {}
        for count in counts:
            login = ("--username", "root", "--password-env", fleets.PASSWORD)
            told = stack.enter_context(fleets.simulated("--count", str(count), *login))
            addresses = {f"bmc-{count}-{bmc['number']}": bmc["url"] for bmc in told["bmcs"]}
            path = fleets.write(
                folder / f"fleet-{count}.yaml",
                addresses,
                interval_s=INTERVAL_S,
                intervals={"memory": 1800.0, "storage": 720.0, "processor": 360.0, "network": 360.0},
            )
            name = f"producer-{count}"
            command = ("producer", "redfish", "--fleet", str(path), "--name", name)
            running[count] = stack.enter_context(started(settings, name, *command))
        time.sleep(warm_s)
        began = {count: cpu_s(process.pid) for count, process in running.items()}
        before = polled(settings)
        time.sleep(seconds)
        used = {count: cpu_s(process.pid) - began[count] for count, process in running.items()}
        after = polled(settings)
        for count, process in running.items():
            rows.append(
                {
                    "bmcs": count,
                    "polls": after[count] - before[count],
                    "cpu_s_per_host_hour": used[count] / count * 3600 / seconds,
                    "rss_mib": rss_mib(process.pid),
                }
            )
    return rows


def polled(settings: KafkaSettings) -> Counter[int]:
    """Records so far, by size of fleet."""
    messages = kafka.read_all(settings, settings.catalog["raw-redfish"].name)
    return Counter(int(message.key().split(b"-")[1]) for message in messages)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hosts", default="10,100,1000,10000", help="of `stream`  [default: %(default)s]")
    parser.add_argument("--bmcs", default="10,100,1000", help="of `producer`  [default: %(default)s]")
    parser.add_argument("--records", type=int, default=RECORDS, help="VM samples measured, at least")
    parser.add_argument("--seconds", type=float, default=INTERVAL_S, help="that producers are watched")
    parser.add_argument("--warm", type=float, default=WARM_S, help="seconds before that")
    parser.add_argument("--json", action="store_true", help="print one object last")
    arguments = parser.parse_args()
    orderly()
    hosts, bmcs = ([int(each) for each in text.split(",") if each] for text in (arguments.hosts, arguments.bmcs))
    result: dict[str, Any] = {"stream": [], "producer": [], "interval_s": INTERVAL_S}
    with tempfile.TemporaryDirectory(prefix="rackstream-bench-") as directory:
        folder = Path(directory)
        with EmbeddedKafka(folder / "kafka") as broker:

            def on(prefix: str) -> KafkaSettings:
                return KafkaSettings.read(
                    bootstrap=broker.bootstrap, topic_prefix=prefix, partitions=PARTITIONS, data_dir=folder
                )

            print(f"{'hosts':>7} {'':10}{'CPU s per host and hour':>24}{'peak MiB':>10}")
            for count in hosts:
                row = stream(on(f"grow{count}."), count, arguments.records)
                result["stream"].append(row)
                for name in ("processor", "sink"):
                    show(count, name, row[name])
                clean(broker.bootstrap)
            if bmcs:
                result["producer"] = producers(on("poll."), folder, bmcs, arguments.seconds, arguments.warm)
            for row in result["producer"]:
                show(row["bmcs"], "producer", row)
    if arguments.json:
        print(json.dumps(result))


def show(count: int, name: str, row: Row) -> None:
    """A line of the table."""
    print(f"{count:>7,} {name:10}{row['cpu_s_per_host_hour']:>24.3f}{row['rss_mib']:>10.0f}", flush=True)


def clean(bootstrap: str) -> None:
    """Forgets the groups, whose names are the same for every size."""
    admin = kafka.admin(KafkaSettings.read(bootstrap=bootstrap))
    for group in admin.delete_consumer_groups([PROCESSORS, SINK]).values():
        group.result(30)


if __name__ == "__main__":
    main()
