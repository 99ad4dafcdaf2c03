"""Measures storing: the InfluxDB sink compared with Telegraf and with bare encoding, file formats, and replay.

    make bench ONLY=bench/sinks.py ARGS="--json"

`influx`   `rackstream sink influx` and Telegraf (kafka_consumer → influxdb) read prefilled topics of an embedded Kafka
           and write to an HTTP server in its own process that only counts lines. CPU is user and system time of the
           client, minus that of starting it. Both write the same lines, as the scripting API does: 10 VMs with 2 NICs
           and 3 disks each, and one line of the host. Telegraf has two inputs:
           `records`  the records of the sink as JSON, one per host and poll, for its XPath parser
           `lines`    ready-made lines, as many per message as a record makes, which Telegraf parses and writes again:
                      the encoding is done beforehand
           Both escape; neither compresses, or both do (`--compression gzip`). `encode` and `decode` are the work of the
           sink without Kafka and HTTP. With `--real`, all write to InfluxDB 1.8, and the stored points are counted.
`files`    rows/s of each format, from decoded records to a closed file
`replay`   records/s of `rackstream replay --into files`
`--rss`    peak memory of the sink after ten million lines, and after a tenth of them; takes minutes
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # measures this checkout
# ruff: noqa: E402

from pyarrow import parquet

from bench.support.external_process import MissingPeer, build_peer, exit_on_sigterm
from bench.support.influxd import Influxd
from bench.support.line_counter_server import LineCounterServer
from bench.support.sink_programs import Client, idle_cpu_s, measure, rackstream, telegraf_lines, telegraf_records
from bench.support.workload import ALIASES, HOSTS, PARTITIONS, VMS, create_topics, fill, poll_records
from rackstream.local.broker import EmbeddedKafka
from runtime.settings import KafkaSettings
from schemas import catalog, codec
from sinks.files import formats
from sinks.influx.sink import RecordLines
from sinks.sink import Item


def measure_codec(records: list[tuple[str, bytes]]) -> dict[str, float]:
    """Measures decoding records and encoding lines: the work of the sink without Kafka and HTTP."""
    record_lines = RecordLines()
    decode = {alias: codec.Decoder(catalog.schema(catalog.load()[alias].schema)).decode for alias in ALIASES}
    decode_s, encode_s, lines = [], [], 0
    for _ in range(3):
        began = time.process_time()
        items = [Item(alias, (alias, 0), 0, decode[alias](value)) for alias, value in records]
        decoded = time.process_time()
        lines = sum(len(record_lines(item)) for item in items)
        decode_s.append(decoded - began)
        encode_s.append(time.process_time() - decoded)
    return {"decode_lines_per_cpu_s": lines / min(decode_s), "encode_lines_per_cpu_s": lines / min(encode_s)}


def measure_influx(settings: KafkaSettings, folder: Path, lines: int, options: argparse.Namespace) -> dict[str, Any]:
    """Measures all clients in rounds, prints the table and returns the result."""
    clients: dict[str, Client] = {"rackstream": rackstream}
    result: dict[str, Any] = {"reason": None}
    try:
        build_peer("get-telegraf")
        clients |= {"telegraf_records": telegraf_records, "telegraf_lines": telegraf_lines}
    except MissingPeer as error:
        result["reason"] = f"no Telegraf: {error}"
    idle_settings = settings.model_copy(update={"topic_prefix": "idle."})
    create_topics(idle_settings)
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in clients}
    with LineCounterServer() as server:
        idle_s = {
            name: idle_cpu_s(client, idle_settings, folder, server.url, options) for name, client in clients.items()
        }
    for at in range(options.rounds):
        for name, client in clients.items():
            with Influxd(folder / f"influxd-{name}-{at}") if options.real else LineCounterServer() as server:
                runs[name].append(measure(client(settings, folder, server.url, options), server, lines, idle_s[name]))
    median = {name: statistics.median(run["lines_per_cpu_s"] for run in results) for name, results in runs.items()}
    print(f"{'influx':18}{'lines per CPU s':>16}{'lines/s':>12}{'peak MiB':>10}   CPU s to start")
    for name, results in runs.items():
        print(
            f"{name:18}{median[name]:>16,.0f}{max(run['lines_per_s'] for run in results):>12,.0f}"
            f"{max(run['rss_mib'] for run in results):>10,.0f}{idle_s[name]:>10.1f}"
        )
    for key, name in (("", "telegraf_records"), ("_given_lines", "telegraf_lines")):
        ratio = median["rackstream"] / median[name] if name in median else None
        result[f"influx_lines_per_cpu_s_vs_telegraf{key}"] = ratio
        print(f"rackstream relative to {name}: {f'{ratio:.2f}' if ratio else result['reason']}")
    return result | {"influx_lines_per_cpu_s": median, "runs": runs}


def measure_formats(records: list[tuple[str, bytes]], folder: Path) -> dict[str, float]:
    """Measures rows/s of each file format."""
    decode = {alias: codec.Decoder(catalog.schema(catalog.load()[alias].schema)).decode for alias in ALIASES}
    items = [Item(alias, (alias, 0), at, decode[alias](value)) for at, (alias, value) in enumerate(records)]
    result = {}
    for kind in ("parquet", "jsonl"):
        best, rows = float("inf"), 0
        for _ in range(3):
            began = time.perf_counter()
            rows_by_file, _ = formats.rows_by_file(items)
            rows = sum(len(file_rows) for file_rows in rows_by_file.values())
            for number, ((dataset, _), file_rows) in enumerate(rows_by_file.items()):
                path = folder / f"bench-{number}.{kind}"
                if kind == "parquet":
                    parquet.write_table(formats.arrow_table(dataset, file_rows), path, compression="zstd")
                else:
                    path.write_bytes(formats.json_lines(dataset, file_rows))
            best = min(best, time.perf_counter() - began)
        result[f"{kind}_rows_per_s"] = rows / best
        print(f"{kind}: {rows / best:,.0f} rows/s")
    return result


def measure_replay(settings: KafkaSettings, folder: Path, records: int) -> dict[str, float]:
    """Measures a replay of raw and derived records into files, in records/s."""
    environment = os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap,
        "RACKSTREAM_TOPIC_PREFIX": settings.topic_prefix,
        "RACKSTREAM_DATA_DIR": str(folder),
        "RACKSTREAM_FILES_ROOT": str(folder / "replayed"),
    }
    command = [sys.executable, "-m", "rackstream", "replay", "--from", "2025-12-31", "--to", "2026-02-01"]
    began = time.perf_counter()
    subprocess.run([*command, "--into", "files"], env=environment, cwd=ROOT, check=True, capture_output=True)
    rate = records / (time.perf_counter() - began)
    print(f"replay: {rate:,.0f} records/s")
    return {"replay_records_per_s": rate}


def measure_memory(settings: KafkaSettings, folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """Measures the peak memory of the sink at the end, and at a tenth of the lines."""
    polls = options.rss // (HOSTS * (8 * VMS + 1)) + 1
    _, lines = fill(settings, polls, all_inputs=False)
    with LineCounterServer() as server:
        run = measure(rackstream(settings, folder, server.url, options), server, lines, 0)
    early_mib, peak_mib = run["rss_mib_at_a_tenth"], run["rss_mib"]
    print(f"peak memory: {early_mib:.0f} MiB at {lines / 10:,.0f} lines, {peak_mib:.0f} at {lines:,}")
    return {"rss_mib_at_a_tenth": early_mib, "rss_mib": peak_mib, "lines": lines}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print a JSON object last")
    parser.add_argument("--polls", type=int, default=100, help="polls of each of 20 hosts, 81 lines each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compression", choices=("none", "gzip"), default="none")
    parser.add_argument("--real", action="store_true", help="write to InfluxDB 1.8")
    parser.add_argument(
        "--rss", type=int, nargs="?", const=10_000_000, metavar="LINES", help="measure only the peak memory"
    )
    options = parser.parse_args()
    exit_on_sigterm()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="rackstream-bench-") as directory:
        folder = Path(directory)
        with EmbeddedKafka(folder / "kafka") as broker:
            settings = KafkaSettings.read(
                bootstrap=broker.bootstrap, topic_prefix="bench.", partitions=PARTITIONS, data_dir=folder
            )
            create_topics(settings)
            if options.rss:
                result = measure_memory(settings, folder, options)
            else:
                records, lines = fill(settings, options.polls)
                sample = [(alias, value) for _, alias, value in poll_records(20)]
                result = (
                    measure_influx(settings, folder, lines, options)
                    | measure_codec(sample)
                    | measure_formats(sample, folder)
                )
                for name in ("decode", "encode"):
                    print(f"bare {name}: {result[f'{name}_lines_per_cpu_s']:,.0f} lines per CPU s")
                result |= measure_replay(settings, folder, records)
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
