"""What storing costs: the InfluxDB sink next to Telegraf and to bare encoding; the formats of files; replay.

    make bench ONLY=bench/sinks.py ARGS="--json"

`influx`   `rackstream sink influx` and Telegraf (kafka_consumer → influxdb) each read prefilled topics of an embedded
           Kafka and write to an HTTP server that only counts lines, in a process of its own. Measured is user and
           system time of the client, less what it takes to start. The lines are the same: those of seed 003's cycles,
           10 VMs with 2 NICs and 3 disks each, and one of the host. Telegraf has two inputs:
           `records`  the sink's own records, as JSON: one per host and poll, to be taken apart by its XPath parser
           `lines`    the lines themselves, ready-made, as many in a message as a record makes. Telegraf parses them
                      and writes them again: the sink's work has been done by someone else
           Both escape, and neither compresses, or both do (`--compression gzip`). `encode` and `decode` are the sink's
           work without Kafka and HTTP. With `--real`, all write to a real InfluxDB 1.8, and what it stored is counted.
`files`    rows/s of each format, from decoded records to a file that is closed
`replay`   records/s of `rackstream replay --into files`
`--rss`    peak memory of the sink after ten million lines, and after a tenth of them: takes minutes
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
sys.path.insert(0, str(ROOT))  # what is measured is this checkout
# ruff: noqa: E402

from pyarrow import parquet

from bench.support.external_process import Missing, built, orderly
from bench.support.influxd import Influxd
from bench.support.line_counter_server import Counter
from bench.support.sink_programs import Client, idle_cpu_s, measured, rackstream, telegraf_lines, telegraf_records
from bench.support.workload import ALIASES, HOSTS, PARTITIONS, VMS, cycles, empty, fill
from rackstream.local.broker import EmbeddedKafka
from runtime.settings import KafkaSettings
from schemas import catalog, codec
from sinks.files import formats
from sinks.influx.sink import Lines
from sinks.sink import Item


def bare(records: list[tuple[str, bytes]]) -> dict[str, float]:
    """Decoding records, and making lines of them: the sink's work without Kafka and HTTP."""
    made = Lines()
    decode = {alias: codec.Decoder(catalog.schema(catalog.load()[alias].schema)).decode for alias in ALIASES}
    decode_s, encode_s, lines = [], [], 0
    for _ in range(3):
        began = time.process_time()
        items = [Item(alias, (alias, 0), 0, decode[alias](value)) for alias, value in records]
        between = time.process_time()
        lines = sum(len(made(item)) for item in items)
        decode_s.append(between - began)
        encode_s.append(time.process_time() - between)
    return {"decode_lines_per_cpu_s": lines / min(decode_s), "encode_lines_per_cpu_s": lines / min(encode_s)}


def influx(settings: KafkaSettings, folder: Path, lines: int, options: argparse.Namespace) -> dict[str, Any]:
    """All clients, in rounds."""
    clients: dict[str, Client] = {"rackstream": rackstream}
    found: dict[str, Any] = {"reason": None}
    try:
        built("get-telegraf")
        clients |= {"telegraf_records": telegraf_records, "telegraf_lines": telegraf_lines}
    except Missing as error:
        found["reason"] = f"no Telegraf: {error}"
    nothing = settings.model_copy(update={"topic_prefix": "idle."})
    empty(nothing)
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in clients}
    with Counter() as server:
        idle = {name: idle_cpu_s(each, nothing, folder, server.url, options) for name, each in clients.items()}
    for at in range(options.rounds):
        for name, client in clients.items():
            with Influxd(folder / f"influxd-{name}-{at}") if options.real else Counter() as server:
                runs[name].append(measured(client(settings, folder, server.url, options), server, lines, idle[name]))
    median = {name: statistics.median(run["lines_per_cpu_s"] for run in each) for name, each in runs.items()}
    print(f"{'influx':18}{'lines per CPU s':>16}{'lines/s':>12}{'peak MiB':>10}   CPU s to start")
    for name, each in runs.items():
        print(
            f"{name:18}{median[name]:>16,.0f}{max(run['lines_per_s'] for run in each):>12,.0f}"
            f"{max(run['rss_mib'] for run in each):>10,.0f}{idle[name]:>10.1f}"
        )
    for key, name in (("", "telegraf_records"), ("_given_lines", "telegraf_lines")):
        ratio = median["rackstream"] / median[name] if name in median else None
        found[f"influx_lines_per_cpu_s_vs_telegraf{key}"] = ratio
        print(f"rackstream over {name}: {f'{ratio:.2f}' if ratio else found['reason']}")
    return found | {"influx_lines_per_cpu_s": median, "runs": runs}


def files(records: list[tuple[str, bytes]], folder: Path) -> dict[str, float]:
    """Rows/s of each format."""
    decode = {alias: codec.Decoder(catalog.schema(catalog.load()[alias].schema)).decode for alias in ALIASES}
    items = [Item(alias, (alias, 0), at, decode[alias](value)) for at, (alias, value) in enumerate(records)]
    found = {}
    for kind in ("parquet", "jsonl"):
        best, rows = float("inf"), 0
        for _ in range(3):
            began = time.perf_counter()
            made, _ = formats.tables(items)
            rows = sum(len(each) for each in made.values())
            for number, ((dataset, _), item) in enumerate(made.items()):
                path = folder / f"bench-{number}.{kind}"
                if kind == "parquet":
                    parquet.write_table(formats.table(dataset, item), path, compression="zstd")
                else:
                    path.write_bytes(formats.lines(dataset, item))
            best = min(best, time.perf_counter() - began)
        found[f"{kind}_rows_per_s"] = rows / best
        print(f"{kind}: {rows / best:,.0f} rows/s")
    return found


def replay(settings: KafkaSettings, folder: Path, records: int) -> dict[str, float]:
    """Records/s of a replay of raw records, and of what the steps make of them, into files."""
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


def memory(settings: KafkaSettings, folder: Path, options: argparse.Namespace) -> dict[str, float]:
    """Peak memory of the sink at the end, and at a tenth of the lines."""
    polls = options.rss // (HOSTS * (8 * VMS + 1)) + 1
    _, lines = fill(settings, polls, all_inputs=False)
    with Counter() as server:
        run = measured(rackstream(settings, folder, server.url, options), server, lines, 0)
    early, peak = run["rss_mib_at_a_tenth"], run["rss_mib"]
    print(f"peak memory: {early:.0f} MiB at {lines / 10:,.0f} lines, {peak:.0f} at {lines:,}")
    return {"rss_mib_at_a_tenth": early, "rss_mib": peak, "lines": lines}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one object last")
    parser.add_argument("--polls", type=int, default=100, help="of each of 20 hosts; 81 lines each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--compression", choices=("none", "gzip"), default="none")
    parser.add_argument("--real", action="store_true", help="into a real InfluxDB 1.8")
    parser.add_argument("--rss", type=int, nargs="?", const=10_000_000, metavar="LINES", help="only the peak memory")
    options = parser.parse_args()
    orderly()
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="rackstream-bench-") as directory:
        folder = Path(directory)
        with EmbeddedKafka(folder / "kafka") as broker:
            settings = KafkaSettings.read(
                bootstrap=broker.bootstrap, topic_prefix="bench.", partitions=PARTITIONS, data_dir=folder
            )
            empty(settings)
            if options.rss:
                result = memory(settings, folder, options)
            else:
                records, lines = fill(settings, options.polls)
                some = [(alias, value) for _, alias, value in cycles(20)]
                result = influx(settings, folder, lines, options) | bare(some) | files(some, folder)
                for name in ("decode", "encode"):
                    print(f"bare {name}: {result[f'{name}_lines_per_cpu_s']:,.0f} lines per CPU s")
                result |= replay(settings, folder, records)
    if options.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
