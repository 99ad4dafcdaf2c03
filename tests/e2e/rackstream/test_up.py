"""`rackstream up`: which sinks it runs, and how it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from rackstream.local import ports
from rackstream.local.broker import EmbeddedKafka
from rackstream.local.supervisor import Supervisor
from runtime.settings import KafkaSettings
from tests.e2e.support import parts

pytestmark = pytest.mark.kafka


def test_up_keeps_an_archive_where_its_root_is_set(kafka: KafkaSettings, tmp_path: Path) -> None:
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text("host:\n  targets:\n    - host: here\n      interval: 1\n")
    up = parts.part(
        kafka, "up", "up", "--fleet", str(fleet),
        RACKSTREAM_ARCHIVE_ROOT=str(tmp_path / "archive"), RACKSTREAM_ARCHIVE_MAX_SEC="1",
        RACKSTREAM_CONSOLE_PORT=str(ports.free_port()), RACKSTREAM_PARTITIONS=str(kafka.partitions),
    )  # fmt: skip
    supervisor = Supervisor()
    try:
        supervisor.start(up, wait=False)
        parts.until(lambda: list((tmp_path / "archive").rglob("*.avro")), timeout_s=90)
        process = supervisor.parts["up"].process
        assert process is not None
        process.send_signal(signal.SIGTERM)
        assert process.wait(90) == 0
    except BaseException:
        print(up.log_tail(40))
        raise
    finally:
        supervisor.close()


def processes_of(directory: Path) -> list[psutil.Process]:
    """Processes, Java included, whose command line names a directory."""
    return [each for each in psutil.process_iter(["cmdline"]) if str(directory) in " ".join(each.info["cmdline"] or [])]


def java_of(directory: Path) -> list[psutil.Process]:
    return [
        each for each in processes_of(directory) if f"-Drackstream.data={directory / 'kafka'}" in each.info["cmdline"]
    ]


@pytest.fixture
def up(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """`rackstream up` with a Kafka of its own, at the moment at which Java runs but does not answer yet."""
    data = tmp_path / "data"
    fleet = tmp_path / "fleet.yaml"
    fleet.write_text("host:\n  targets:\n    - host: here\n      interval: 1\n")
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("KAFKA_", "RACKSTREAM_"))}
    environment = clean | {"RACKSTREAM_CONSOLE_PORT": str(ports.free_port())}
    command = [sys.executable, "-m", "rackstream", "up", "--fleet", str(fleet), "--data-dir", str(data)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            parts.until(lambda: java_of(data), timeout_s=60)
            yield process
        finally:
            process.kill()
            for each in processes_of(tmp_path):
                each.kill()


def test_two_ctrl_c_while_kafka_starts_leave_no_process_and_the_next_start_is_not_refused(
    up: subprocess.Popen[str], tmp_path: Path
) -> None:
    up.send_signal(signal.SIGINT)
    up.send_signal(signal.SIGINT)
    began_s = time.monotonic()
    up.wait(10)
    parts.until(lambda: not java_of(tmp_path / "data"), timeout_s=5)

    assert time.monotonic() - began_s < 10
    with EmbeddedKafka(tmp_path / "data") as broker:
        assert broker.alive()


def test_one_ctrl_c_while_kafka_starts_stops_it_and_says_so(up: subprocess.Popen[str], tmp_path: Path) -> None:
    up.send_signal(signal.SIGINT)
    text, _ = up.communicate(timeout=60)

    assert 0 == up.returncode
    assert "stopped while Kafka was starting" in text
    assert [] == java_of(tmp_path / "data")
