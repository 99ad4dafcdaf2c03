"""A real InfluxDB 1.8.10 for tests, found on PATH or by RACKSTREAM_INFLUXD."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import time
import urllib.parse
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

INFLUXD = os.environ.get("RACKSTREAM_INFLUXD") or shutil.which("influxd")
MARKS = [
    pytest.mark.influx,
    pytest.mark.skipif(not INFLUXD, reason="no influxd on PATH or in RACKSTREAM_INFLUXD: "
                       "go install github.com/influxdata/influxdb/cmd/influxd@v1.8.10"),
]  # fmt: skip


def free_port() -> int:
    with socket.socket() as each:
        each.bind(("127.0.0.1", 0))
        return int(each.getsockname()[1])


@dataclass
class Influx:
    """One influxd with its data in a folder of its own."""

    folder: Path
    ports: tuple[int, int] = field(default_factory=lambda: (free_port(), free_port()))
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.ports[0]}"

    def start(self) -> None:
        config = self.folder / "influxd.conf"
        config.write_text(
            f'reporting-disabled = true\nbind-address = "127.0.0.1:{self.ports[1]}"\n'
            f'[meta]\ndir = "{self.folder}/meta"\n'
            f'[data]\ndir = "{self.folder}/data"\nwal-dir = "{self.folder}/wal"\nquery-log-enabled = false\n'
            "max-values-per-tag = 0\n"  # events of applications have an id each, which is a tag
            f'[http]\nbind-address = "127.0.0.1:{self.ports[0]}"\nlog-enabled = false\n'
        )
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen([str(INFLUXD), "-config", str(config)], stdout=log, stderr=log)
        for _ in range(300):
            try:
                urllib.request.urlopen(f"{self.url}/ping", timeout=1).close()
            except OSError:
                assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
                time.sleep(0.1)
            else:
                return
        raise AssertionError("influxd does not answer")

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def query(self, text: str, db: str = "lab") -> list[dict[str, Any]]:
        """The rows of all series, as dictionaries."""
        return [dict(zip(s["columns"], v, strict=True)) for s in self.series(text, db) for v in s.get("values", [])]

    def series(self, text: str, db: str = "lab") -> list[dict[str, Any]]:
        """The series as they are, with their tags and values."""
        body = urllib.parse.urlencode({"q": text, "db": db, "epoch": "ns"}).encode()
        with urllib.request.urlopen(f"{self.url}/query", data=body, timeout=10) as answer:
            [result] = json.load(answer)["results"]
        assert "error" not in result, result
        found: list[dict[str, Any]] = result.get("series", [])
        return found
