"""The VM step on the frameworks that others use: each found or built in the user's cache, or missing with a reason."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka.admin import NewTopic

from bench.support.external_process import ROOT, Missing, built, wanted
from bench.support.fleet_records import HOSTS, Hypervisor
from processors import vms
from processors.engine.partition import Partition
from rackstream.local import kafka_download
from runtime import kafka
from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings
from schemas import catalog, codec

JVM_WARM = 30_000
"""Records until the JVM has compiled what runs most."""
STREAMS = (f"org.apache.kafka:kafka-streams:{kafka_download.VERSION}", "org.apache.avro:avro:1.12.0")


@dataclass(frozen=True)
class Peer:
    """A command that steps the first `records` of raw-libvirt, of which `warm` are not measured."""

    command: Sequence[str]
    environment: dict[str, str]
    records: int


def quix(settings: KafkaSettings, group: str, prefix: str, records: int) -> Peer:
    """Quix Streams, with our step and codec."""
    python = built("get-quix", sys.executable)
    program = [python, "-m", "bench.support.quix", settings.bootstrap, group, str(settings.data_dir / group)]
    environment = {"RACKSTREAM_BENCH_PATH": os.pathsep.join(each for each in sys.path if "site-packages" in each)}
    command = [*program, settings.catalog["raw-libvirt"].name, prefix, str(records)]
    return Peer(command, environment | {"PYTHONPATH": str(ROOT)}, records)


def streams(settings: KafkaSettings, group: str, prefix: str, records: int) -> Peer:
    """Kafka Streams, with the step written in Java: `VmStep.java`."""
    wanted()
    compiler = shutil.which("javac")
    if compiler is None:
        raise Missing("javac is not on PATH")
    try:
        path = kafka_download.kept(f"kafka-streams-{kafka_download.VERSION}", _jars)
        java = kafka_download.find_java()
    except (ImportError, OSError, RuntimeError, ValueError, SyntaxError, Misconfigured) as error:
        raise Missing(f"the jars of Kafka Streams: {error}") from error
    folder = settings.data_dir / "streams"
    folder.mkdir(exist_ok=True)
    classes = os.pathsep.join([str(folder), *map(str, path)])
    if not (folder / "VmStep.class").exists():
        source = Path(__file__).with_name("VmStep.java")
        compiled = [compiler, "-cp", classes, "-d", str(folder), str(source)]
        done = subprocess.run(compiled, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise Missing(f"javac: {done.stderr.strip()[-500:]}")
    for alias in ("raw-libvirt", *vms.STEP.outputs):
        schema = catalog.schema(catalog.load()[alias].schema)
        (folder / f"{alias}.avsc").write_text(json.dumps(schema.definition))
        (folder / f"{alias}.id").write_text(str(codec.wire_id(schema)))
    warm = min(JVM_WARM, records * 5)
    flags = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-cp", classes, "VmStep"]
    given = [settings.bootstrap, group, str(settings.data_dir / group), settings.catalog["raw-libvirt"].name, prefix]
    return Peer([str(java), *flags, *given, str(folder), str(warm), str(records)], {}, warm + records)


def _jars() -> list[Path]:
    found = {}
    for endpoint in STREAMS:
        for each in kafka_download.resolve(endpoint):
            found.setdefault((each.groupId, each.artifactId), each)
    return [kafka_download.jar(each) for each in found.values()]


PEERS: dict[str, Callable[[KafkaSettings, str, str, int], Peer]] = {"quix": quix, "streams": streams}


def differing(settings: KafkaSettings, prefix: str, records: int) -> tuple[int, list[str]]:
    """How many of a peer's outputs of the first `records` are ours, number by number, and which are not.

    A peer that reads one partition before another, and ends before all, lacks some.
    """
    fold = Partition(settings.catalog, [vms.STEP])
    fleet = [Hypervisor(number) for number in range(HOSTS)]
    decode = {alias: codec.Decoder(catalog.schema(settings.catalog[alias].schema)).decode for alias in vms.STEP.outputs}
    expected = {}
    for number in range(records):
        record = fleet[number % HOSTS].sample(number // HOSTS)
        for output in fold.apply(record).outputs:
            key = (output.alias, record["host"], record["sequence"])
            expected[key] = _plain(decode[output.alias](output.value))
    equal, wrong = 0, []
    for alias in vms.STEP.outputs:
        for message in kafka.read_all(settings, prefix + alias):
            found = decode[alias](message.value())
            key = (alias, found["host"], found["sequence"])
            if key in expected and expected[key] == _plain(found):
                equal += 1
            elif key in expected:
                wrong.append(" ".join(map(str, key)))
    return equal, wrong


def _plain(value: Any, name: str = "") -> Any:
    """With devices in an order of their own, and numbers to 12 digits: neither is part of what a record says."""
    if isinstance(value, dict):
        return {key: _plain(each, key) for key, each in value.items()}
    if isinstance(value, list):
        found = [_plain(each) for each in value]
        return sorted(found, key=lambda each: (each["uuid"], each["device"])) if name == "devices" else found
    return float(f"{value:.12g}") if isinstance(value, float) else value


def topics(settings: KafkaSettings, prefix: str) -> None:
    """The topics that a peer writes to."""
    wide = {"max.message.bytes": "8388608"}
    partitions = settings.partitions
    made = [NewTopic(prefix + alias, partitions, 1, config=wide) for alias in vms.STEP.outputs]
    admin = kafka.admin(settings)  # by name: what it promises ends with it
    for each in admin.create_topics(made).values():
        each.result(30)
