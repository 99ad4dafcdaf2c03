"""Runs the VM step on other stream frameworks, installed in the user's cache if necessary."""

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

from bench.support.external_process import ROOT, MissingPeer, build_peer, require_peers
from bench.support.fleet_records import HOSTS, Hypervisor
from processors import vms
from processors.engine.partition import Partition
from rackstream.local import kafka_download
from runtime import kafka
from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings
from schemas import catalog, codec

JVM_WARM_UP_RECORDS = 30_000
"""Records until the JVM has compiled the hot code."""
STREAMS_JARS = (f"org.apache.kafka:kafka-streams:{kafka_download.VERSION}", "org.apache.avro:avro:1.12.0")


@dataclass(frozen=True)
class PeerCommand:
    """A command that processes the first `records` records of raw-libvirt."""

    command: Sequence[str]
    environment: dict[str, str]
    records: int


def quix(settings: KafkaSettings, group: str, prefix: str, records: int) -> PeerCommand:
    """Returns the command for Quix Streams, with our step and codec."""
    python = build_peer("get-quix", sys.executable)
    program = [python, "-m", "bench.support.quix", settings.bootstrap, group, str(settings.data_dir / group)]
    environment = {"RACKSTREAM_BENCH_PATH": os.pathsep.join(path for path in sys.path if "site-packages" in path)}
    command = [*program, settings.catalog["raw-libvirt"].name, prefix, str(records)]
    return PeerCommand(command, environment | {"PYTHONPATH": str(ROOT)}, records)


def streams(settings: KafkaSettings, group: str, prefix: str, records: int) -> PeerCommand:
    """Returns the command for Kafka Streams, with the step in Java (`VmStep.java`), which it compiles."""
    require_peers()
    compiler = shutil.which("javac")
    if compiler is None:
        raise MissingPeer("javac is not on PATH")
    try:
        path = kafka_download.cached_class_path(f"kafka-streams-{kafka_download.VERSION}", _jars)
        java = kafka_download.find_java()
    except (ImportError, OSError, RuntimeError, ValueError, SyntaxError, Misconfigured) as error:
        raise MissingPeer(f"the jars of Kafka Streams: {error}") from error
    folder = settings.data_dir / "streams"
    folder.mkdir(exist_ok=True)
    classes = os.pathsep.join([str(folder), *map(str, path)])
    if not (folder / "VmStep.class").exists():
        source = Path(__file__).with_name("VmStep.java")
        command = [compiler, "-cp", classes, "-d", str(folder), str(source)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise MissingPeer(f"javac: {done.stderr.strip()[-500:]}")
    for alias in ("raw-libvirt", *vms.STEP.outputs):
        schema = catalog.schema(catalog.load()[alias].schema)
        (folder / f"{alias}.avsc").write_text(json.dumps(schema.definition))
        (folder / f"{alias}.id").write_text(str(codec.wire_id(schema)))
    warm_up = min(JVM_WARM_UP_RECORDS, records * 5)
    flags = ["-Xmx512m", "-XX:+UseSerialGC", "-XX:-UsePerfData", "-cp", classes, "VmStep"]
    arguments = [
        settings.bootstrap,
        group,
        str(settings.data_dir / group),
        settings.catalog["raw-libvirt"].name,
        prefix,
    ]
    return PeerCommand([str(java), *flags, *arguments, str(folder), str(warm_up), str(records)], {}, warm_up + records)


def _jars() -> list[Path]:
    artifacts: dict[tuple[str, str], Any] = {}
    for coordinates in STREAMS_JARS:
        for artifact in kafka_download.resolve(coordinates):
            artifacts.setdefault((artifact.groupId, artifact.artifactId), artifact)
    return [kafka_download.jar_file(artifact) for artifact in artifacts.values()]


PEERS: dict[str, Callable[[KafkaSettings, str, str, int], PeerCommand]] = {"quix": quix, "streams": streams}


def compare_outputs(settings: KafkaSettings, prefix: str, records: int) -> tuple[int, list[str]]:
    """Compares a peer's outputs for the first `records` records with ours.

    Outputs may be missing, because a peer may end before it has read all partitions.

    Returns:
        The number of equal outputs, and the keys of those that differ.
    """
    partition = Partition(settings.catalog, [vms.STEP])
    fleet = [Hypervisor(number) for number in range(HOSTS)]
    decode = {alias: codec.Decoder(catalog.schema(settings.catalog[alias].schema)).decode for alias in vms.STEP.outputs}
    expected = {}
    for number in range(records):
        record = fleet[number % HOSTS].sample(number // HOSTS)
        for output in partition.apply(record).outputs:
            key = (output.alias, record["host"], record["sequence"])
            expected[key] = _normalize(decode[output.alias](output.value))
    equal, different = 0, []
    for alias in vms.STEP.outputs:
        for message in kafka.read_all(settings, prefix + alias):
            output_record = decode[alias](message.value())
            key = (alias, output_record["host"], output_record["sequence"])
            if key in expected and expected[key] == _normalize(output_record):
                equal += 1
            elif key in expected:
                different.append(" ".join(map(str, key)))
    return equal, different


def _normalize(value: Any, name: str = "") -> Any:
    """Sorts devices and rounds numbers to 12 digits, in which equal records may differ."""
    if isinstance(value, dict):
        return {key: _normalize(member, key) for key, member in value.items()}
    if isinstance(value, list):
        items = [_normalize(item) for item in value]
        return sorted(items, key=lambda device: (device["uuid"], device["device"])) if name == "devices" else items
    return float(f"{value:.12g}") if isinstance(value, float) else value


def create_output_topics(settings: KafkaSettings, prefix: str) -> None:
    """Creates the output topics of a peer."""
    config = {"max.message.bytes": "8388608"}
    partitions = settings.partitions
    new_topics = [NewTopic(prefix + alias, partitions, 1, config=config) for alias in vms.STEP.outputs]
    admin = kafka.create_admin_client(settings)  # must outlive the futures: its end would cancel them
    for future in admin.create_topics(new_topics).values():
        future.result(30)
