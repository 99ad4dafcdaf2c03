"""What the faults play on: simulated sources, a pipeline and what it stores in, in one directory."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Self

import yaml

from processors.alerting.rule_pack import Presence
from processors.presence import SILENT
from producers.polling.loop import HEARTBEAT_S
from rackstream.demo import fleet as scene
from rackstream.local import ports
from rackstream.local.pipeline import INFLUX, Pipeline
from rackstream.local.supervisor import Part
from runtime.settings import KafkaSettings
from tests.e2e.support.influxdb import INFLUXD, Influx

BMCS: Final = 2
HEAT_PERIOD_S: Final = 40.0
PARTITIONS: Final = 4
FAKETIME: Final = (
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
)
DATABASE: Final = "chaos"


def libfaketime() -> str | None:
    """Where Debian's `faketime` keeps its library."""
    return next((path for path in FAKETIME if Path(path).exists()), None)


class Stage:
    """The pipeline, tended while a fault lasts. As a context manager: everything is ended, and unmounted, on exit."""

    def __init__(self, directory: Path, say: Callable[[str], None], *, disk_mb: int = 0, small: bool = False) -> None:
        """`disk_mb`: Kafka gets a disk of its own, of this size. `small`: no VMs, no application, no InfluxDB."""
        self._small = small
        self.directory, self._say = directory, say
        self._absent_since: dict[str, float] = {}
        self._absent: dict[str, float] = {}
        """Longest time that each producer was not there, in seconds."""
        self.is_down = False
        """Kafka is to stay down: what has died is started again, but not Kafka."""
        self.disk = directory / "kafka" / "data"
        self.disk.mkdir(parents=True)
        self._mounted = self._mount(disk_mb)
        self.clock = directory / "clock"
        self.clock.write_text("+0\n")
        self.influx = self._influx() if INFLUXD and not small else None
        self.pipeline = self._pipeline()

    def __enter__(self) -> Self:
        self.pipeline.supervisor.start(self._simulator)
        self.pipeline.start()
        if not self._small:
            self.pipeline.supervisor.start(self._application())
        return self

    def __exit__(self, *_: object) -> None:
        self.pipeline.close()
        if self.influx is not None:
            self.influx.kill()
            for name in INFLUX:
                del os.environ[name]  # of this server alone
        if self._mounted:
            subprocess.run(["umount", "--lazy", self.disk], check=False)

    @property
    def has_disk(self) -> bool:
        """Whether Kafka's disk is one of its own, that can be filled."""
        return self._mounted

    def tend(self) -> None:
        """One round."""
        (self.pipeline.supervisor if self.is_down else self.pipeline).tend()
        now_s = time.monotonic()
        for part in self.parts("producer-"):
            if part.state == "ready":
                self._absent_since.pop(part.name, None)
                continue
            since_s = self._absent_since.setdefault(part.name, now_s)
            self._absent[part.name] = max(self._absent.get(part.name, 0.0), now_s - since_s)

    def wait(self, seconds: float) -> None:
        """Lets time pass."""
        ends_s = time.monotonic() + seconds
        while time.monotonic() < ends_s:
            self.tend()
            time.sleep(0.1)

    def until(self, condition: Callable[[], bool], what: str, *, timeout_s: float = 120) -> None:
        """Waits for something.

        Raises:
            TimeoutError: it does not come.
        """
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"not within {timeout_s:g} s: {what}")
            self.wait(0.3)

    def whole(self) -> bool:
        """Whether all that should run is ready."""
        broker = self.pipeline.broker
        parts = self.pipeline.supervisor.parts.values()
        return (broker is None or broker.alive()) and all(part.state in ("ready", "stopped") for part in parts)

    def failed(self) -> list[str]:
        """Parts that are not started again."""
        return [f"{part.name}: {part.last_lines(3)}" for part in self.parts() if part.state == "failed"]

    def parts(self, *prefixes: str) -> list[Part]:
        """Those whose names begin so; default: all."""
        return [part for name, part in self.pipeline.supervisor.parts.items() if name.startswith(prefixes or "")]

    def kill(self, name: str) -> None:
        """SIGKILL to a part, which starts again as if it had not failed before.

        By the back-off of many kills a producer would be away for 30 s, which is what `producer-silent` means.
        """
        self.pipeline.supervisor.parts[name].failures = 0
        self.pipeline.supervisor.kill(name)

    def silences(self) -> list[str]:
        """Alerts that a fault has brought about rightly: of producers that were down, by us and by their back-off."""
        late_s = (Presence().beats - 1) * HEARTBEAT_S  # the last heartbeat may be almost an interval older
        return [
            f"{SILENT} {name.removeprefix('producer-')}-{socket.gethostname()}"
            for name, seconds in self._absent.items()
            if seconds >= late_s
        ]

    def producers(self) -> list[Part]:
        """Everything that publishes."""
        return self.parts("producer-", "application")

    def drain(self) -> None:
        """Stops producing, and stops the rest once it has worked off what was produced."""
        self.pipeline.supervisor.stop(["application"])
        self.pipeline.drain()

    def _mount(self, disk_mb: int) -> bool:
        if not disk_mb or os.geteuid() != 0 or shutil.which("mount") is None:
            return False
        command = ["mount", "-t", "tmpfs", "-o", f"size={disk_mb}m", "none", str(self.disk)]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def _influx(self) -> Influx:
        folder = self.directory / "influx"
        folder.mkdir()
        server = Influx(folder)
        server.start()
        server.query(f"CREATE DATABASE {DATABASE}")
        given = dict(zip(INFLUX, (server.url, DATABASE, "user:password"), strict=True))
        os.environ |= given | {"RACKSTREAM_INFLUX_API": "v2"}
        return server

    def _pipeline(self) -> Pipeline:
        row = ports.free_row(BMCS)
        os.environ.setdefault(scene.PASSWORD, secrets.token_urlsafe(12))
        certificate, key, authority = scene.certificates(self.directory)
        fleet = scene.fleet(self.directory, row, authority, self._say)
        if self._small:
            document = yaml.safe_load(fleet.read_text())
            document.pop("libvirt", None)
            fleet.write_text(yaml.safe_dump(document))
        pipeline = Pipeline(
            KafkaSettings.read(data_dir=self.directory, partitions=PARTITIONS),
            fleet,
            console=False,
            on_event=self._say,
            environment={"RACKSTREAM_FILES_MAX_SEC": "2", "RACKSTREAM_PARTITIONS": str(PARTITIONS)},
        )
        if library := libfaketime():
            pipeline.part_environment["producer-host"] = {
                "LD_PRELOAD": library,
                "FAKETIME_TIMESTAMP_FILE": str(self.clock),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
        arguments = ["--count", str(BMCS), "--port", str(row[0]), "--heat-period", str(HEAT_PERIOD_S)]
        arguments += ["--shape", "mix", "--cert", str(certificate), "--key", str(key)]
        arguments += ["--username", "demo", "--password-env", scene.PASSWORD]
        self._simulator = pipeline.part("simulator", "simulate", "redfish", *arguments, metrics=False)
        return pipeline

    def _application(self) -> Part:
        part = self.pipeline.part("application", metrics=False)
        part.command = [sys.executable, "-m", "chaos.application"]
        return part
