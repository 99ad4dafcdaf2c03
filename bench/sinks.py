"""What storing costs: the InfluxDB sink next to Telegraf and to bare encoding; the formats of files; replay.

    make bench ONLY=bench/sinks.py ARGS="--json"

`influx`   `rackstream sink influx` and Telegraf (kafka_consumer → influxdb) each read a prefilled topic of an embedded
           Kafka and write to an HTTP server that only counts lines, in a process of its own: what is measured is user and
           system time of the client, from a fifth of the lines on. The lines are those of seed 003's cycles: 10 VMs with
           2 NICs and 3 disks each, 80 lines. Rackstream reads its Avro records and makes the lines. Telegraf reads the
           same lines as text, as many in a message as a record makes: its cheapest input, since its Avro parser makes one
           point of a record. Both escape, both bodies are uncompressed or gzip. `encode` is the sink's work without
           Kafka and HTTP. With `--real`, both write to a real InfluxDB 1.8, and what it stored is counted.
`files`    rows/s of each format, from decoded records to files that are synced and renamed
`replay`   records/s of `rackstream replay --into files`
`--rss N`  peak memory of the sink after N lines, and after a tenth of them: by hand, 10 million take minutes
"""

from __future__ import annotations

import argparse
import contextlib
import json
import multiprocessing
import os
import shutil
import signal
import socketserver
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from processors import vms
from processors.drive import Partition
from rackstream.broker import EmbeddedKafka
from runtime import kafka, topics
from runtime.settings import KafkaSettings
from schemas import catalog, codec
from schemas.testing import START, item, raw
from sinks import datasets, formats
from sinks.influx import InfluxSink
from sinks.line import Encoder
from sinks.settings import InfluxSettings
from sinks.sink import Item

PARTITIONS, HOSTS, VMS = 4, 20, 10
ALIASES = ("raw-libvirt", "vm-totals", "vm-features")
MEASUREMENTS = ("vm_metrics", "vm_devices", "vm_totals", "vm_features")
LINES = "bench-lines"
TICK_S = 1 / os.sysconf("SC_CLK_TCK")
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
                  "memory_max_kb": 4194304, "memory_used_kb": 3000000 + n}  # fmt: skip
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


class Counting(socketserver.StreamRequestHandler):
    """Counts the lines of every body and acknowledges it. HTTP only as far as the two clients speak it."""

    wbufsize = -1
    disable_nagle_algorithm = True

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            while self.rfile.readline(65536):
                headers = {}
                while (line := self.rfile.readline(65536)) not in (b"\r\n", b""):
                    name, _, value = line.partition(b":")
                    headers[name.lower()] = value.strip()
                body = self.body(headers)
                if body[:2] == b"\x1f\x8b":
                    import zlib

                    body = zlib.decompress(body, 31)
                lines = body.count(b"\n") + (not body.endswith(b"\n"))
                with self.server.counted.get_lock():  # type: ignore[attr-defined]
                    self.server.counted.value += lines  # type: ignore[attr-defined]
                self.wfile.write(b"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n")
                self.wfile.flush()

    def body(self, headers: dict[bytes, bytes]) -> bytes:
        if b"content-length" in headers:
            return self.rfile.read(int(headers[b"content-length"]))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)


def serve(counted: Any, pipe: Any) -> None:
    socketserver.ThreadingTCPServer.daemon_threads = True
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Counting) as server:
        server.counted = counted  # type: ignore[attr-defined]
        pipe.send(server.server_address[1])
        server.serve_forever()


class Counter:
    """The counting server, in a process of its own."""

    def __enter__(self) -> Counter:
        spawn = multiprocessing.get_context("spawn")
        self.counted = spawn.Value("q", 0)
        ours, theirs = spawn.Pipe()
        self.process = spawn.Process(target=serve, args=(self.counted, theirs), daemon=True)
        self.process.start()
        self.url = f"http://127.0.0.1:{ours.recv()}"
        return self

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.join()

    def lines(self) -> int:
        return int(self.counted.value)


class Influxd:
    """A real InfluxDB 1.8, whose stored points of the four measurements are counted."""

    def __init__(self, folder: Path) -> None:
        os.environ["RACKSTREAM_INFLUXD"] = built("get-influxd")
        from tests.e2e.influxdb import Influx

        self.server = Influx(folder)

    def __enter__(self) -> Influxd:
        self.server.start()
        self.url = self.server.url
        self.server.query("CREATE DATABASE bench")
        return self

    def __exit__(self, *_: object) -> None:
        self.server.kill()

    def lines(self) -> int:
        fields = {"vm_metrics": "cputime_ns", "vm_totals": "cputime", "vm_features": "memory_angle_deg"}
        asked = [f'SELECT count({field}) FROM "{name}"' for name, field in fields.items()]
        asked += [f'SELECT count({field}) FROM "vm_devices"' for field in ("rxbytes", "rd_bytes")]
        return sum(row["count"] for text in asked for row in self.server.query(text, db="bench"))


def built(script: str) -> str:
    """The path that a script prints.

    Raises:
        RuntimeError: why there is none.
    """
    done = subprocess.run([ROOT / "scripts" / script], capture_output=True, text=True, timeout=1800, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"{script} failed")
    return done.stdout.strip()


def cpu_s(pid: int) -> float:
    """User and system time of a process with all its threads, s."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) * TICK_S


def rss_mib(pid: int) -> float:
    """Peak resident memory, MiB."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("VmHWM:")[1].split()[0]) / 1024


def measured(process: subprocess.Popen[bytes], server: Any, total: int, log: Path) -> dict[str, float]:
    """CPU per line of a client until the server has `total` lines, counted from a fifth of them on."""
    started = None
    deadline = time.monotonic() + 120
    try:
        while (lines := server.lines()) < total:
            if started is None and lines >= total / 5:
                started = (lines, cpu_s(process.pid), time.monotonic(), rss_mib(process.pid))
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{lines} of {total} lines; {log.read_text()[-2000:]}")
            time.sleep(0.005 if isinstance(server, Counter) else 0.5)
        assert started is not None
        used, wall = cpu_s(process.pid) - started[1], time.monotonic() - started[2]
        peak = rss_mib(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        process.kill()
        process.wait()
    count = lines - started[0]
    return {"lines": lines, "lines_per_cpu_s": count / used, "lines_per_s": count / wall, "rss_mib": peak,
            "rss_mib_at_a_fifth": started[3]}  # fmt: skip


def rackstream(settings: KafkaSettings, folder: Path, url: str, options: argparse.Namespace) -> tuple[Any, Path]:
    """The sink, as a person starts it."""
    with contextlib.suppress(Exception):  # the first round has no group to forget
        admin = kafka.admin(settings)
        admin.delete_consumer_groups(["rackstream-influx"])["rackstream-influx"].result(10)
    environment = os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap, "RACKSTREAM_TOPIC_PREFIX": settings.topic_prefix,
        "RACKSTREAM_DATA_DIR": str(folder), "INFLUX_URL": url, "INFLUX_DB": "bench", "INFLUX_TOKEN": "user:password",
        "RACKSTREAM_INFLUX_API": "v2", "RACKSTREAM_INFLUX_COMPRESSION": options.compression, "BATCH_MAX_LINES": "5000",
    }  # fmt: skip
    log = folder / "sink.log"
    command = [sys.executable, "-m", "rackstream", "sink", "influx"]
    with log.open("wb") as out:
        return subprocess.Popen(command, env=environment, stdout=out, stderr=out, cwd=ROOT), log


def telegraf(settings: KafkaSettings, folder: Path, url: str, options: argparse.Namespace) -> tuple[Any, Path]:
    """Telegraf with the batches and buffers that made it fastest here."""
    encoding = "gzip" if options.compression == "gzip" else "identity"
    config = folder / "telegraf.conf"
    config.write_text(f"""
[agent]
  interval = "1s"
  flush_interval = "1s"
  metric_batch_size = 5000
  metric_buffer_limit = 200000
  omit_hostname = true
  quiet = true
[[inputs.kafka_consumer]]
  brokers = ["{settings.bootstrap}"]
  topics = ["{settings.topic_prefix}{LINES}"]
  consumer_group = "telegraf-{time.monotonic_ns()}"
  kafka_version = "3.6.0"
  offset = "oldest"
  max_undelivered_messages = 10000
  data_format = "influx"
  influx_parser_type = "upstream"
[[outputs.influxdb]]
  urls = ["{url}"]
  database = "bench"
  skip_database_creation = true
  content_encoding = "{encoding}"
""")
    log = folder / "telegraf.log"
    with log.open("wb") as out:
        return subprocess.Popen([built("get-telegraf"), "--config", str(config)], stdout=out, stderr=out), log


def bare(records: list[tuple[str, bytes]]) -> dict[str, float]:
    """Decoding records and making lines of them: the sink's work without Kafka and HTTP."""
    sink = InfluxSink(InfluxSettings.read(_env_file=None, url="http://127.0.0.1:9", database="bench", token="bench"))
    schemas = {alias: catalog.schema(catalog.load()[alias].schema) for alias in ALIASES}
    found = {}
    for what in ("decode", "encode"):
        best = float("inf")
        for _ in range(3):
            decode = {alias: decoder(alias, schemas[alias]) for alias in ALIASES}
            began = time.process_time()
            if what == "decode":
                items = [Item(alias, (alias, 0), 0, decode[alias](value)) for alias, value in records]
            else:
                lines = sum(len(sink.lines(each)) for each in items)
            best = min(best, time.process_time() - began)
        found[what] = best
    sink.close()
    return {f"{what}_lines_per_cpu_s": lines / seconds for what, seconds in found.items()}


def decoder(alias: str, schema: catalog.Schema) -> Any:
    return codec.Decoder(schema).decode


def fill(settings: KafkaSettings, count: int) -> tuple[int, int]:
    """Puts the records and, for Telegraf, their lines on topics; returns how many of each."""
    from confluent_kafka.admin import NewTopic

    name = f"{settings.topic_prefix}{LINES}"
    admin = kafka.admin(settings)
    admin.create_topics([NewTopic(name, PARTITIONS, 1, config={"max.message.bytes": "8388608"})])[name].result(30)
    publisher = kafka.Publisher(settings, "bench")
    encoders = {alias: [(each, Encoder(each)) for each in datasets.of(alias)] for alias in ALIASES}
    decode = {alias: codec.Decoder(catalog.schema(catalog.load()[alias].schema)).decode for alias in ALIASES}
    records = lines = 0
    for host, alias, value in cycles(count):
        record = decode[alias](value)
        own = [line for dataset, write in encoders[alias] for row in dataset.rows(record) if (line := write(row))]
        publisher.send(settings.catalog[alias].name, host.encode(), value, wait_s=30)
        publisher.send(name, host.encode(), b"\n".join(own), wait_s=30)
        records, lines = records + 1, lines + len(own)
    assert publisher.flush(60) == 0
    return records, lines


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--cycles", type=int, default=40)
    parser.add_argument("--compression", default="none")
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory, EmbeddedKafka(Path(directory) / "kafka") as broker:
        folder = Path(directory)
        settings = KafkaSettings.read(bootstrap=broker.bootstrap, topic_prefix="bench.", partitions=PARTITIONS, data_dir=folder)
        topics.create(settings)
        topics.publish_schemas(settings)
        t = time.monotonic()
        records, lines = fill(settings, arguments.cycles)
        print(records, lines, time.monotonic() - t)
        print(bare([(a, v) for _, a, v in cycles(5)]))
        for client in (rackstream, telegraf) * arguments.rounds:
            with Counter() as server:
                print(client.__name__, measured(*[(p, server, lines, log) for p, log in [client(settings, folder, server.url, arguments)]][0]))


if __name__ == "__main__":
    main()
