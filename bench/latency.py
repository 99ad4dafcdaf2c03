"""Measures the latency from sample to stored row, with default settings.

    make bench ONLY=bench/latency.py ARGS="--json"

`raw`      temperatures of a BMC: Kafka → `rackstream sink influx` → InfluxDB 1.8
`derived`  totals of a host over its VMs: Kafka → `rackstream processor` → Kafka → sink → InfluxDB

The latency is measured from passing the record to the Kafka client until a query, sent every 10 ms, finds the row. Most
of it is the time for which the sink collects a batch, BATCH_MAX_SEC (1 s), which `--batch-s` changes. For the latency
from sample to alert see bench/processors.py --only latency.
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

from bench.growth import influx_settings, run_rackstream
from bench.support.external_process import MissingPeer, exit_on_sigterm
from bench.support.fleet_records import Hypervisor, encode_for_kafka, thermal
from bench.support.influxd import Influxd
from rackstream.local.broker import EmbeddedKafka
from runtime import kafka, topics
from runtime.settings import KafkaSettings

ROW_TIMEOUT_S = 60.0
SAMPLE_INTERVAL_S = 0.37
"""Pause between two samples, which must not be a multiple or fraction of the batch time."""


def wait_for_row(server: Influxd, dataset: str, observed_at: datetime, timeout_s: float) -> float:
    """Waits until a query finds the row of this time; returns the monotonic time.

    Raises:
        RuntimeError: No query finds it within `timeout_s`.
    """
    at_ns = int(observed_at.timestamp() * 1e6) * 1000
    ends_s = time.monotonic() + timeout_s
    while time.monotonic() < ends_s:
        if server.query(f'SELECT * FROM "{dataset}" WHERE time >= {at_ns - 1000} AND time <= {at_ns + 1000}'):
            return time.monotonic()
        time.sleep(0.01)
    raise RuntimeError(f"no row of {dataset} within {timeout_s:g} s")


def samples(kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields topic alias and record of sample after sample."""
    fleet, n = Hypervisor(0), 0
    while True:
        raw = thermal("bmc-0", n, [50.0]) if kind == "raw" else fleet.sample(n)
        yield ("raw-redfish" if kind == "raw" else "raw-libvirt"), raw | {"observed_at": datetime.now(UTC)}
        n += 1


def measure(settings: KafkaSettings, server: Influxd, kind: str, count: int) -> dict[str, float]:
    """Measures one kind of rows; returns percentiles."""
    publisher = kafka.KafkaPublisher(settings, "bench", **{"linger.ms": 0})
    dataset = "redfish_temperature" if kind == "raw" else "host_totals"
    latencies_s = []
    for number, (alias, record) in zip(range(count + 1), samples(kind), strict=False):
        began_s = time.monotonic()
        publisher.send(*encode_for_kafka(settings.catalog, alias, record), wait_s=10)
        publisher.poll(0)
        stored_s = wait_for_row(server, dataset, record["observed_at"], ROW_TIMEOUT_S)
        if number:  # the first waits for processes to start
            latencies_s.append(stored_s - began_s)
        time.sleep(SAMPLE_INTERVAL_S)
    latencies_s.sort()
    return {"samples": count, "p50_s": latencies_s[count // 2], "p99_s": latencies_s[count * 99 // 100]}


@contextmanager
def pipeline(batch_s: float) -> Iterator[tuple[KafkaSettings, Influxd]]:
    """Runs broker, processor, sink and database."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="rackstream-bench-")))
        server = stack.enter_context(Influxd(folder / "influxd"))
        broker = stack.enter_context(EmbeddedKafka(folder / "kafka"))
        settings = KafkaSettings.read(bootstrap=broker.bootstrap, topic_prefix="late.", partitions=4, data_dir=folder)
        topics.create(settings)
        topics.publish_schemas(settings)
        stack.enter_context(run_rackstream(settings, "processor", "processor"))
        environment = influx_settings(server.url) | {"BATCH_MAX_SEC": str(batch_s)}
        stack.enter_context(run_rackstream(settings, "sink", "sink", "influx", **environment))
        yield settings, server


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--samples", type=int, default=30, help="samples of each kind")
    parser.add_argument("--batch-s", type=float, default=1.0, help="BATCH_MAX_SEC of the sink")
    parser.add_argument("--json", action="store_true", help="print a JSON object last")
    arguments = parser.parse_args()
    exit_on_sigterm()
    result: dict[str, Any] = {"batch_s": arguments.batch_s, "missing": None}
    try:
        with pipeline(arguments.batch_s) as (settings, server):
            for kind in ("raw", "derived"):
                result[kind] = percentiles = measure(settings, server, kind, arguments.samples)
                print(
                    f"{kind:8} sample → stored row: p50 {percentiles['p50_s']:.2f} s, p99 {percentiles['p99_s']:.2f} s"
                )
    except MissingPeer as error:
        result["missing"] = str(error)
        print(f"skipped: {error}")
    if arguments.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
