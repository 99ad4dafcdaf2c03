"""Programs that take records from Kafka to a server of line protocol: our sink and Telegraf, and what each takes."""

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

from bench.support.external_process import ROOT, built, cpu_s, end, rss_mib
from bench.support.line_counter_server import Counter
from bench.support.workload import ALIASES, NAMES
from runtime import kafka
from runtime.settings import KafkaSettings
from sinks import datasets

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
    return {
        "lines": lines,
        "lines_per_cpu_s": lines / used,
        "lines_per_s": lines / wall,
        "rss_mib": peak,
        "rss_mib_at_a_tenth": early or peak,
    }


def rackstream(settings: KafkaSettings, folder: Path, url: str, options: argparse.Namespace) -> Started:
    """The sink, as a person starts it."""
    admin = kafka.admin(settings)
    with contextlib.suppress(Exception):  # the first round has no group to forget
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
    parts += [
        f"""[[inputs.kafka_consumer]]
  brokers = ["{settings.bootstrap}"]
  topics = ["{settings.topic_prefix}{NAMES[what]}"]
  consumer_group = "telegraf-{what}-{time.monotonic_ns()}"
  kafka_version = "3.6.0"
  offset = "oldest"
  max_undelivered_messages = 10000
  {data_format}"""
        for what, data_format in inputs.items()
    ]
    config, log = folder / "telegraf.conf", folder / "telegraf.log"
    config.write_text("\n".join(parts))
    with log.open("wb") as out:
        return subprocess.Popen([built("get-telegraf"), "--config", str(config)], stdout=out, stderr=out), log
