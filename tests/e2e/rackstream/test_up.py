"""`rackstream up`: which sinks it runs."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from rackstream.local import ports
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
