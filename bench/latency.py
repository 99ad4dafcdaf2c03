"""From a sample to its stored row: how long a reading is on its way, with every setting as it comes.

    make bench ONLY=bench/latency.py ARGS="--json"

`raw`      a BMC's temperature: Kafka → `rackstream sink influx` → InfluxDB 1.8, where a query finds it
`derived`  a host's totals over its VMs: Kafka → `rackstream processor` → Kafka → sink → InfluxDB

The clock starts when the record is handed to Kafka's client and stops when a query, asked every 10 ms, finds the row.
Most of it is waiting on purpose: BATCH_MAX_SEC (1 s) is how long the sink collects. `--batch-s` sets another.
From a sample to its alert: bench/processors.py --only latency.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.growth import into, started
from bench.support.external_process import Missing, orderly
from bench.support.fleet_records import Hypervisor, thermal, wire
from bench.support.influxd import Influxd
from rackstream.local.broker import EmbeddedKafka
from runtime import kafka, topics
from runtime.settings import KafkaSettings

WITHIN_S = 60.0
EVERY_S = 0.37
"""Pause between two samples: in no step with a batch."""


def sought(server: Influxd, dataset: str, observed_at: datetime, timeout_s: float) -> float:
    """When (monotonic) a query finds the row of this time.

    Raises:
        RuntimeError: none does within `timeout_s`.
    """
    at_ns = int(observed_at.timestamp() * 1e6) * 1000
    ends_s = time.monotonic() + timeout_s
    while time.monotonic() < ends_s:
        if server.query(f'SELECT * FROM "{dataset}" WHERE time >= {at_ns - 1000} AND time <= {at_ns + 1000}'):
            return time.monotonic()
        time.sleep(0.01)
    raise RuntimeError(f"no row of {dataset} within {timeout_s:g} s")


def records(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Topic and record of every next sample."""
    fleet, n = Hypervisor(0), 0
    while True:
        raw = thermal("bmc-0", n, [50.0]) if kind == "raw" else fleet.sample(n)
        yield ("raw-redfish" if kind == "raw" else "raw-libvirt"), raw | {"observed_at": datetime.now(UTC)}
        n += 1


def measured(settings: KafkaSettings, server: Influxd, kind: str, count: int) -> dict[str, float]:
    """Percentiles of one way."""
    publisher = kafka.Publisher(settings, "bench", **{"linger.ms": 0})
    dataset = "redfish_temperature" if kind == "raw" else "host_totals"
    took = []
    for number, (alias, record) in zip(range(count + 1), records(kind), strict=False):
        began_s = time.monotonic()
        publisher.send(*wire(settings.catalog, alias, record), wait_s=10)
        publisher.poll(0)
        found_s = sought(server, dataset, record["observed_at"], WITHIN_S)
        if number:  # the first waits for processes that start
            took.append(found_s - began_s)
        time.sleep(EVERY_S)
    took.sort()
    return {"samples": count, "p50_s": took[count // 2], "p99_s": took[count * 99 // 100]}


@contextmanager
def pipeline(batch_s: float) -> Iterator[tuple[KafkaSettings, Influxd]]:
    """Broker, processor, sink and database."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rackstream-bench-")))
        server = stack.enter_context(Influxd(folder / "influxd"))
        broker = stack.enter_context(EmbeddedKafka(folder / "kafka"))
        settings = KafkaSettings.read(bootstrap=broker.bootstrap, topic_prefix="late.", partitions=4, data_dir=folder)
        topics.create(settings)
        topics.publish_schemas(settings)
        stack.enter_context(started(settings, "processor", "processor"))
        collected = into(server.url) | {"BATCH_MAX_SEC": str(batch_s)}
        stack.enter_context(started(settings, "sink", "sink", "influx", **collected))
        yield settings, server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=30, help="of each way")
    parser.add_argument("--batch-s", type=float, default=1.0, help="BATCH_MAX_SEC of the sink")
    parser.add_argument("--json", action="store_true", help="print one object last")
    arguments = parser.parse_args()
    orderly()
    result: dict[str, Any] = {"batch_s": arguments.batch_s, "missing": None}
    try:
        with pipeline(arguments.batch_s) as (settings, server):
            for kind in ("raw", "derived"):
                result[kind] = told = measured(settings, server, kind, arguments.samples)
                print(f"{kind:8} sample → stored row: p50 {told['p50_s']:.2f} s, p99 {told['p99_s']:.2f} s")
    except Missing as error:
        result["missing"] = str(error)
        print(f"left out: {error}")
    if arguments.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
