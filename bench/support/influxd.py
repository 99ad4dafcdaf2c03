"""A real InfluxDB 1.8, started in a folder."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self

from bench.support.external_process import built

COUNTED = {"vm_metrics": "cpu_count", "vm_totals": "cpus", "vm_features": "memory_angle_deg", "host_totals": "vm_count"}
"""A field that every line of a measurement has. vm_devices: one of either kind."""


class Influxd:
    """A real InfluxDB 1.8, whose stored points of the four measurements are counted."""

    def __init__(self, folder: Path) -> None:
        os.environ["RACKSTREAM_INFLUXD"] = built("get-influxd")
        from tests.e2e.support.influxdb import Influx

        folder.mkdir()
        self.server = Influx(folder)

    def __enter__(self) -> Self:
        self.server.start()
        self.url = self.server.url
        self.query("CREATE DATABASE bench")
        return self

    def __exit__(self, *_: object) -> None:
        self.server.kill()

    def lines(self) -> int:
        asked = [f'SELECT count({field}) FROM "{name}"' for name, field in COUNTED.items()]
        asked += [f'SELECT count({field}) FROM "vm_devices"' for field in ("rxbytes", "rd_bytes")]
        return sum(row["count"] for text in asked for row in self.query(text))

    def query(self, text: str) -> list[dict[str, Any]]:
        """The rows of an InfluxQL query."""
        return self.server.query(text, db="bench")
