"""Programs that write records from Kafka to InfluxDB: `rackstream sink influx` and Telegraf, and their measurement."""

from __future__ import annotations

import argparse
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.support.external_process import ROOT, build_peer, cpu_s, rss_mib, terminate
from bench.support.line_counter_server import LineCounterServer
from bench.support.workload import ALIASES, TELEGRAF_TOPICS
from runtime import kafka
from runtime.settings import KafkaSettings
from sinks import datasets

Started = tuple[subprocess.Popen[bytes], Path]
"""A running client and its log file."""
Client = Callable[[KafkaSettings, Path, str, argparse.Namespace], Started]
"""Starts a client, given the Kafka settings, a folder, the URL of the server, and the options of the benchmark."""


def idle_cpu_s(client: Client, settings: KafkaSettings, folder: Path, url: str, options: argparse.Namespace) -> float:
    """Measures the CPU time that a client needs to start, with nothing to read."""
    process, _ = client(settings, folder, url, options)
    time.sleep(6)
    used = cpu_s(process.pid)
    terminate(process)
    return used


def measure(started: Started, server: Any, total: int, idle_s: float) -> dict[str, float]:
    """Measures a client until the server has received `total` lines."""
    process, log = started
    began, deadline = time.monotonic(), time.monotonic() + 900
    early: float | None = None
    try:
        while (lines := server.count_lines()) < total:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{lines} of {total} lines; {log.read_text()[-2000:]}")
            if early is None and lines >= total / 10:
                early = rss_mib(process.pid)
            time.sleep(0.01 if isinstance(server, LineCounterServer) else 0.5)
        used, wall, peak = cpu_s(process.pid) - idle_s, time.monotonic() - began, rss_mib(process.pid)
    finally:
        terminate(process)
    return {
        "lines": lines,
        "lines_per_cpu_s": lines / used,
        "lines_per_s": lines / wall,
        "rss_mib": peak,
        "rss_mib_at_a_tenth": early or peak,
    }


def rackstream(settings: KafkaSettings, folder: Path, url: str, options: argparse.Namespace) -> Started:
    """Starts the InfluxDB sink."""
    admin = kafka.create_admin_client(settings)
    with contextlib.suppress(Exception):  # the first round has no group to delete
        admin.delete_consumer_groups(["rackstream-influx"])["rackstream-influx"].result(10)
    environment = os.environ | {
        "KAFKA_BOOTSTRAP_SERVERS": settings.bootstrap,
        "RACKSTREAM_TOPIC_PREFIX": settings.topic_prefix,
        "RACKSTREAM_DATA_DIR": str(folder),
        "INFLUX_URL": url,
        "INFLUX_DB": "bench",
        "INFLUX_TOKEN": "user:password",
        "RACKSTREAM_INFLUX_API": "v2",
        "RACKSTREAM_INFLUX_COMPRESSION": options.compression,
        "BATCH_MAX_LINES": "5000",
    }
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
            xpath(dataset, part.path, number)
            for dataset in datasets.for_topic(alias)
            for number, part in enumerate(dataset.parts)
        )
    return telegraf(settings, folder, url, options, inputs)


def xpath(dataset: datasets.Dataset, path: tuple[str, ...], number: int) -> str:
    """Returns Telegraf's XPath rules for the lines of one part of a dataset."""
    kind = ("nic", "disk")[number] if dataset.kind_column else None
    parent = "../../" * (len(path) - 1)
    names = {"VMID": "vmid", "cpu_count": "cpus", "cputime_ns": "cputime"}
    tags = {"host": "/host", "label_rack": "/labels/rack"}
    if dataset.name != "host_totals":
        tags |= {"VMID": f"{parent}vmid", "name": f"{parent}name", "uuid": f"{parent}uuid"}
    if kind:
        tags |= {"devtype": f"'{kind}'", "device": "device"}
    fields: dict[str, list[str]] = {"fields": [], "fields_int": []}
    for column in dataset.columns:
        if column.in_lines and not column.is_tag and column.row_kind in (None, kind):
            source = names.get(column.name, column.name) if dataset.name == "vm_metrics" else column.name
            expression = "'running'" if dataset.name == "vm_metrics" and column.name == "state" else source
            wrapper = "number({})" if column.type == "double" else "{}"
            fields["fields_int" if column.type == "long" else "fields"].append(
                f'      {column.name} = "{wrapper.format(expression)}"\n'
            )
    selection = "/" + "/".join(f"{segment}/*" for segment in path)
    return (
        f"  [[inputs.kafka_consumer.xpath]]\n    metric_name = \"'{dataset.name}'\"\n"
        f'    metric_selection = "{selection}"\n    timestamp = "/observed_at"\n    timestamp_format = "unix_ns"\n'
        "    [inputs.kafka_consumer.xpath.tags]\n"
        + "".join(f'      {name} = "{source}"\n' for name, source in tags.items())
        + "".join(
            f"    [inputs.kafka_consumer.xpath.{group}]\n{''.join(lines)}" for group, lines in fields.items() if lines
        )
    )


def telegraf(
    settings: KafkaSettings, folder: Path, url: str, options: argparse.Namespace, inputs: dict[str, str]
) -> Started:
    """Starts Telegraf with batches and buffers as large as those of the sink."""
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
    parts += [
        f"""[[inputs.kafka_consumer]]
  brokers = ["{settings.bootstrap}"]
  topics = ["{settings.topic_prefix}{TELEGRAF_TOPICS[name]}"]
  consumer_group = "telegraf-{name}-{time.monotonic_ns()}"
  kafka_version = "3.6.0"
  offset = "oldest"
  max_undelivered_messages = 10000
  {data_format}"""
        for name, data_format in inputs.items()
    ]
    config, log = folder / "telegraf.conf", folder / "telegraf.log"
    config.write_text("\n".join(parts))
    with log.open("wb") as out:
        return subprocess.Popen([build_peer("get-telegraf"), "--config", str(config)], stdout=out, stderr=out), log
