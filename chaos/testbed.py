"""Testbed for faults: simulated sources, a pipeline and its stores, in one directory."""

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

from processors.alerting.rule_pack import PresenceSettings
from producers.polling.loop import HEARTBEAT_INTERVAL_S
from rackstream.demo import fleet as scene
from rackstream.local import ports
from rackstream.local.pipeline import LocalPipeline
from rackstream.local.supervisor import PipelinePart
from runtime.settings import KafkaSettings
from schemas.alerts import PRODUCER_SILENT
from sinks.settings import INFLUX_VARIABLES
from tests.e2e.support.influxdb import INFLUXD, Influx

BMCS: Final = 2
HEAT_PERIOD_S: Final = 40.0
PARTITIONS: Final = 4
LIBFAKETIME_PATHS: Final = (
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
)
DATABASE: Final = "chaos"


def find_libfaketime() -> str | None:
    """Returns the path of the library of Debian's `faketime`, if it is installed."""
    return next((path for path in LIBFAKETIME_PATHS if Path(path).exists()), None)


class Testbed:
    """A pipeline under test. As a context manager, it starts everything and stops and unmounts it on exit."""

    def __init__(self, directory: Path, log: Callable[[str], None], *, disk_mb: int = 0, small: bool = False) -> None:
        """Prepares the pipeline.

        Args:
            directory: Directory of all data.
            log: Called with progress messages.
            disk_mb: If set and possible, Kafka gets its own disk of this size.
            small: Leaves out VMs, the application and InfluxDB.
        """
        self._small = small
        self.directory, self._log = directory, log
        self._absent_since_s: dict[str, float] = {}
        self._longest_absence_s: dict[str, float] = {}
        """Producer → its longest absence in seconds."""
        self.keep_kafka_down = False
        """While True, Kafka is not restarted; other processes are."""
        self.disk = directory / "kafka" / "data"
        self.disk.mkdir(parents=True)
        self._mounted = self._mount(disk_mb)
        self.clock_file = directory / "clock"
        self.clock_file.write_text("+0\n")
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
            for name in INFLUX_VARIABLES:
                del os.environ[name]  # they refer to this server
        if self._mounted:
            subprocess.run(["umount", "--lazy", self.disk], check=False)

    @property
    def has_disk(self) -> bool:
        """True if Kafka has its own disk, which a fault can fill."""
        return self._mounted

    def run_periodic(self) -> None:
        """Restarts failed processes and measures the absence of producers."""
        (self.pipeline.supervisor if self.keep_kafka_down else self.pipeline).run_periodic()
        now_s = time.monotonic()
        for part in self.parts("producer-"):
            if part.state == "ready":
                self._absent_since_s.pop(part.name, None)
                continue
            since_s = self._absent_since_s.setdefault(part.name, now_s)
            self._longest_absence_s[part.name] = max(self._longest_absence_s.get(part.name, 0.0), now_s - since_s)

    def wait(self, seconds: float) -> None:
        """Supervises the pipeline for some seconds."""
        ends_s = time.monotonic() + seconds
        while time.monotonic() < ends_s:
            self.run_periodic()
            time.sleep(0.1)

    def wait_until(self, condition: Callable[[], bool], description: str, *, timeout_s: float = 120) -> None:
        """Supervises the pipeline until a condition holds.

        Raises:
            TimeoutError: It does not hold within `timeout_s`.
        """
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            if time.monotonic() > deadline_s:
                raise TimeoutError(f"not within {timeout_s:g} s: {description}")
            self.wait(0.3)

    def all_ready(self) -> bool:
        """True if Kafka and all processes that should run are ready."""
        broker = self.pipeline.broker
        parts = self.pipeline.supervisor.parts.values()
        return (broker is None or broker.alive()) and all(part.state in ("ready", "stopped") for part in parts)

    def failed_parts(self) -> list[str]:
        """Returns processes that the supervisor has given up on, with their last log lines."""
        return [f"{part.name}: {part.log_tail(3)}" for part in self.parts() if part.state == "failed"]

    def parts(self, *prefixes: str) -> list[PipelinePart]:
        """Returns the parts of the pipeline whose names begin with a prefix; by default all."""
        return [part for name, part in self.pipeline.supervisor.parts.items() if name.startswith(prefixes or "")]

    def kill(self, name: str) -> None:
        """Kills a part by SIGKILL and resets its back-off.

        With the back-off of many kills, a producer would be away for 30 s, which rightly raises `producer-silent`.
        """
        self.pipeline.supervisor.parts[name].failures = 0
        self.pipeline.supervisor.kill(name)

    def expected_alerts(self) -> list[str]:
        """Returns the alerts, as rule and host, that faults caused rightly: those about producers that were down."""
        late_s = (
            PresenceSettings().beats - 1
        ) * HEARTBEAT_INTERVAL_S  # the last heartbeat may be almost an interval older
        return [
            f"{PRODUCER_SILENT} {name.removeprefix('producer-')}-{socket.gethostname()}"
            for name, seconds in self._longest_absence_s.items()
            if seconds >= late_s
        ]

    def producers(self) -> list[PipelinePart]:
        """Returns the parts that publish raw records."""
        return self.parts("producer-", "application")

    def drain(self) -> None:
        """Stops the sources, then the other parts once they have processed all records."""
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
        influx_settings = dict(zip(INFLUX_VARIABLES, (server.url, DATABASE, "user:password"), strict=True))
        os.environ |= influx_settings | {"RACKSTREAM_INFLUX_API": "v2"}
        return server

    def _pipeline(self) -> LocalPipeline:
        row = ports.free_ports(BMCS)
        os.environ.setdefault(scene.PASSWORD_VARIABLE, secrets.token_urlsafe(12))
        certificate, key, authority = scene.create_certificates(self.directory)
        fleet = scene.write_fleet_file(self.directory, row, authority, self._log)
        if self._small:
            document = yaml.safe_load(fleet.read_text())
            document.pop("libvirt", None)
            fleet.write_text(yaml.safe_dump(document))
        pipeline = LocalPipeline(
            KafkaSettings.read(data_dir=self.directory, partitions=PARTITIONS),
            fleet,
            console=False,
            on_event=self._log,
            environment={"RACKSTREAM_FILES_MAX_SEC": "2", "RACKSTREAM_PARTITIONS": str(PARTITIONS)},
        )
        if library := find_libfaketime():
            pipeline.part_environment["producer-host"] = {
                "LD_PRELOAD": library,
                "FAKETIME_TIMESTAMP_FILE": str(self.clock_file),
                "FAKETIME_NO_CACHE": "1",
                "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            }
        arguments = ["--count", str(BMCS), "--port", str(row[0]), "--heat-period", str(HEAT_PERIOD_S)]
        arguments += ["--shape", "mix", "--cert", str(certificate), "--key", str(key)]
        arguments += ["--username", "demo", "--password-env", scene.PASSWORD_VARIABLE]
        self._simulator = pipeline.part("simulator", "simulate", "redfish", *arguments, metrics=False)
        return pipeline

    def _application(self) -> PipelinePart:
        part = self.pipeline.part("application", metrics=False)
        part.command = [sys.executable, "-m", "chaos.application"]
        return part
