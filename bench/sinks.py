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
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))  # what is measured is this checkout
# ruff: noqa: E402

from confluent_kafka.admin import NewTopic
from pyarrow import parquet

from bench.parts.counting import Counter
from bench.parts.influxd import Influxd
from bench.parts.outside import Missing, built, cpu_s, end, orderly, rss_mib
from processors import vms
from processors.drive import Partition
from rackstream.broker import EmbeddedKafka
from runtime import kafka, topics
from runtime.settings import KafkaSettings
from schemas import catalog, codec
from schemas.testing import item, raw
from sinks import datasets, formats
from sinks.influx import InfluxSink
from sinks.line import Encoder, timestamp_ns
from sinks.settings import InfluxSettings
from sinks.sink import Item

PARTITIONS, HOSTS, VMS = 4, 20, 10
ALIASES = ("raw-libvirt", "vm-totals", "vm-features")
NAMES = {"lines": "bench-lines"} | {alias: f"bench-json-{alias}" for alias in ALIASES}
"""Topics that only Telegraf reads."""
NIC = "rxbytes rxpackets rxerrors rxdrops txbytes txpackets txerrors txdrops"
DISK = "rd_req rd_bytes wr_reqs wr_bytes errors"


def counters(names: str, device: int, n: int) -> dict[str, int]:
    """Those of traffic move at their own pace; errors stand still."""
    return {
        name: 3 if name.endswith(("errors", "drops")) else (device * 7919 + 104729 * place) * (n + 1000)
        for place, name in enumerate(names.split(), 1)
    }


def sample(n: int, host: int) -> dict[str, Any]:
    """10 VMs with 2 NICs and 3 disks each."""
    domains = []
    for vm in range(VMS):
        busy = host * VMS + vm + 1
        nics = [item("DomainNic", device=f"one-{vm}-{at}", **counters(NIC, busy + at, n)) for at in range(2)]
        disks = [item("DomainDisk", device=f"vd{'abc'[at]}", **counters(DISK, busy + at, n)) for at in range(3)]
        cpu = {"cputime": busy * n * 10**6, "timeusr": busy * n * 10**5, "timesys": busy * n * 10**4, "cpus": 4}
        memory = {"memactual": 4194304, "memrss": 2000000 + busy % 5000 + n, "memusable": 3000000 - n,
                  "memavailable": 4000000, "memory_max_kb": 4194304, "memory_used_kb": 3000000 + n,
                  "memswap_in": n, "memswap_out": 0, "memmajor_fault": busy + n, "memminor_fault": busy * n,
                  "memdisk_cache": 500000, "memlast_update": 1767225600 + n}  # fmt: skip
        who = {"vmid": str(vm), "name": f"one-{vm}", "uuid": f"9b2b7f1a-0000-4000-8000-{host:06d}{vm:06d}"}
        domains.append(item("Domain", **who, **cpu, **memory, domain_id=vm, state=1, nics=nics, disks=disks))
    where = {"host": f"kvm-{host}", "category": "domains", "uri": "qemu:///system", "labels": {"rack": f"r{host % 4}"}}
    return raw("LibvirtSample", at_s=n, **where, domains=domains)


def cycles(count: int) -> Iterator[tuple[str, str, bytes]]:
    """Host, topic's alias and bytes of all records of `count` polls, in the order of their making."""
    partitions = {host: Partition(catalog.load(), [vms.STEP]) for host in range(HOSTS)}
    schema = catalog.schema("LibvirtSample")
    for n in range(count):
        for host, partition in partitions.items():
            value = codec.encode(schema, record := sample(n, host))
            yield f"kvm-{host}", "raw-libvirt", value
            for output in partition.apply(record).outputs:
                if output.alias in ALIASES:
                    yield f"kvm-{host}", output.alias, output.value


Started = tuple[subprocess.Popen[bytes], Path]
"""A client, and its log."""
Client = Callable[[KafkaSettings, Path, str, argparse.Namespace], Started]


def idle_cpu_s(client: Client, settings: KafkaSettings, folder: Path, url: str, options: argparse.Namespace) -> float:
    """What a client takes to start, with nothing to read."""
    process, _ = client(settings, folder, url, options)
    time.sleep(6)
    used = cpu_s(process.pid)
    end(process)
    return used


def measured(started: Started, server: Any, total: int, idle_s: float) -> dict[str, float]:
    """What a client takes until the server has `total` lines."""
    process, log = started
    began, deadline = time.monotonic(), time.monotonic() + 900
    early: float | None = None
    try:
        while (lines := server.lines()) < total:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{lines} of {total} lines; {log.read_text()[-2000:]}")
            if early is None and lines >= total / 10:
                early = rss_mib(process.pid)
            time.sleep(0.01 if isinstance(server, Counter) else 0.5)
        used, wall, peak = cpu_s(process.pid) - idle_s, time.monotonic() - began, rss_mib(process.pid)
    finally:
        end(process)
    return {"lines": lines, "lines_per_cpu_s": lines / used, "lines_per_s": lines / wall, "rss_mib": peak,
            "rss_mib_at_a_tenth": early or peak}  # fmt: skip


def rackstream(settings: KafkaSettings, folder: Path, url: str, options: argparse.Namespace) -> Started:
    """The sink, as a person starts it."""
    admin = kafka.admin(settings)
    with contextlib.suppress(Exception):  # the first round has no group to forget
        admin.delete_consumer_groups(["rackstream-influx"])["rackstream-influx"].result(10)
    environment = os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap, "RACKSTREAM_TOPIC_PREFIX": settings.topic_prefix,
        "RACKSTREAM_DATA_DIR": str(folder), "INFLUX_URL": url, "INFLUX_DB": "bench", "INFLUX_TOKEN": "user:password",
        "RACKSTREAM_INFLUX_API": "v2", "RACKSTREAM_INFLUX_COMPRESSION": options.compression, "BATCH_MAX_LINES": "5000",
    }  # fmt: skip
    log = folder / "sink.log"
    with log.open("wb") as out:
        command = [sys.executable, "-m", "rackstream", "sink", "influx"]
        return subprocess.Popen(command, env=environment, stdout=out, stderr=out, cwd=ROOT), log


def telegraf_lines(settings: KafkaSettings, folder: Path, url: str, options: argparse.Namespace) -> Started:
    return telegraf(
        settings, folder, url, options, {"lines": 'data_format = "influx"\n  influx_parser_type = "upstream"\n'}
    )


def telegraf_records(settings: KafkaSettings, folder: Path, url: str, options: argparse.Namespace) -> Started:
    inputs = {}
    for alias in ALIASES:
        inputs[alias] = 'data_format = "xpath_json"\n' + "".join(
            xpath(each, part.path, number) for each in datasets.of(alias) for number, part in enumerate(each.parts)
        )
    return telegraf(settings, folder, url, options, inputs)


def xpath(dataset: datasets.Dataset, path: tuple[str, ...], number: int) -> str:
    """Telegraf's rules that make the lines of one part of a dataset."""
    kind = ("nic", "disk")[number] if dataset.kind else None
    up = "../../" * (len(path) - 1)
    names = {"VMID": "vmid", "cpu_count": "cpus", "cputime_ns": "cputime"}
    tags = {"host": "/host", "label_rack": "/labels/rack"}
    if dataset.name != "host_totals":
        tags |= {"VMID": f"{up}vmid", "name": f"{up}name", "uuid": f"{up}uuid"}
    if kind:
        tags |= {"devtype": f"'{kind}'", "device": "device"}
    fields: dict[str, list[str]] = {"fields": [], "fields_int": []}
    for column in dataset.columns:
        if column.in_lines and not column.tag and column.kind in (None, kind):
            where = names.get(column.name, column.name) if dataset.name == "vm_metrics" else column.name
            text = "'running'" if dataset.name == "vm_metrics" and column.name == "state" else where
            ending = "number({})" if column.type == "double" else "{}"
            fields["fields_int" if column.type == "long" else "fields"].append(
                f'      {column.name} = "{ending.format(text)}"\n'
            )
    selection = "/" + "/".join(f"{each}/*" for each in path)
    return (
        f"  [[inputs.kafka_consumer.xpath]]\n    metric_name = \"'{dataset.name}'\"\n"
        f'    metric_selection = "{selection}"\n    timestamp = "/observed_at"\n    timestamp_format = "unix_ns"\n'
        "    [inputs.kafka_consumer.xpath.tags]\n"
        + "".join(f'      {name} = "{where}"\n' for name, where in tags.items())
        + "".join(
            f"    [inputs.kafka_consumer.xpath.{group}]\n{''.join(each)}" for group, each in fields.items() if each
        )
    )


def telegraf(
    settings: KafkaSettings, folder: Path, url: str, options: argparse.Namespace, inputs: dict[str, str]
) -> Started:
    """Telegraf with batches and buffers as large as the sink's."""
    parts = [
        f"""[agent]
  interval = "1s"
  flush_interval = "1s"
  metric_batch_size = 5000
  metric_buffer_limit = 200000
  omit_hostname = true
[[outputs.influxdb]]
  urls = ["{url}"]
  database = "bench"
  skip_database_creation = true
  content_encoding = "{"gzip" if options.compression == "gzip" else "identity"}"
"""
    ]
    parts += [f"""[[inputs.kafka_consumer]]
  brokers = ["{settings.bootstrap}"]
  topics = ["{settings.topic_prefix}{NAMES[what]}"]
  consumer_group = "telegraf-{what}-{time.monotonic_ns()}"
  kafka_version = "3.6.0"
  offset = "oldest"
  max_undelivered_messages = 10000
  {data_format}""" for what, data_format in inputs.items()]  # fmt: skip
    config, log = folder / "telegraf.conf", folder / "telegraf.log"
    config.write_text("\n".join(parts))
    with log.open("wb") as out:
        return subprocess.Popen([built("get-telegraf"), "--config", str(config)], stdout=out, stderr=out), log


def bare(records: list[tuple[str, bytes]]) -> dict[str, float]:
    """Decoding records, and making lines of them: the sink's work without Kafka and HTTP."""
    sink = InfluxSink(InfluxSettings.read(_env_file=None, url="http://127.0.0.1:9", database="bench", token="bench"))
    decode = {alias: codec.Decoder(catalog.schema(catalog.load()[alias].schema)).decode for alias in ALIASES}
    decode_s, encode_s, lines = [], [], 0
    for _ in range(3):
        began = time.process_time()
        items = [Item(alias, (alias, 0), 0, decode[alias](value)) for alias, value in records]
        between = time.process_time()
        lines = sum(len(sink.lines(each)) for each in items)
        decode_s.append(between - began)
        encode_s.append(time.process_time() - between)
    sink.close()
    return {"decode_lines_per_cpu_s": lines / min(decode_s), "encode_lines_per_cpu_s": lines / min(encode_s)}


def empty(settings: KafkaSettings) -> None:
    """All topics of a prefix, without records."""
    topics.create(settings)
    topics.publish_schemas(settings)
    admin = kafka.admin(settings)
    wide = {"max.message.bytes": "8388608"}
    made = admin.create_topics(
        [NewTopic(f"{settings.topic_prefix}{name}", PARTITIONS, 1, config=wide) for name in NAMES.values()]
    )
    for each in made.values():
        each.result(30)


def _plain(value: object) -> object:
    return timestamp_ns(value) if isinstance(value, datetime) else str(value)


def fill(settings: KafkaSettings, count: int, *, all_inputs: bool = True) -> tuple[int, int]:
    """Puts `count` polls on the topics, and what Telegraf reads; returns how many records and lines."""
    publisher = kafka.Publisher(settings, "bench")
    encoders = {alias: [(each, Encoder(each)) for each in datasets.of(alias)] for alias in ALIASES}
    decode = {alias: codec.Decoder(catalog.schema(catalog.load()[alias].schema)).decode for alias in ALIASES}
    records = lines = 0
    for host, alias, value in cycles(count):
        record = decode[alias](value)
        own = [line for dataset, write in encoders[alias] for row in dataset.rows(record) if (line := write(row))]
        publisher.send(settings.catalog[alias].name, host.encode(), value, wait_s=30)
        if all_inputs:
            text = json.dumps(record, default=_plain).encode()
            publisher.send(settings.topic_prefix + NAMES["lines"], host.encode(), b"\n".join(own), wait_s=30)
            publisher.send(settings.topic_prefix + NAMES[alias], host.encode(), text, wait_s=30)
        records, lines = records + 1, lines + len(own)
    assert publisher.flush(60) == 0
    return records, lines


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
        print(f"{name:18}{median[name]:>16,.0f}{max(run['lines_per_s'] for run in each):>12,.0f}"
              f"{max(run['rss_mib'] for run in each):>10,.0f}{idle[name]:>10.1f}")  # fmt: skip
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
            for number, ((dataset, _), each) in enumerate(made.items()):
                path = folder / f"bench-{number}.{kind}"
                if kind == "parquet":
                    parquet.write_table(formats.table(dataset, each), path, compression="zstd")
                else:
                    path.write_bytes(formats.lines(dataset, each))
            best = min(best, time.perf_counter() - began)
        found[f"{kind}_rows_per_s"] = rows / best
        print(f"{kind}: {rows / best:,.0f} rows/s")
    return found


def replay(settings: KafkaSettings, folder: Path, records: int) -> dict[str, float]:
    """Records/s of a replay of raw records, and of what the steps make of them, into files."""
    environment = os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap, "RACKSTREAM_TOPIC_PREFIX": settings.topic_prefix,
        "RACKSTREAM_DATA_DIR": str(folder), "RACKSTREAM_FILES_ROOT": str(folder / "replayed"),
    }  # fmt: skip
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
