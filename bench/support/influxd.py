"""InfluxDB 1.8 as a destination of benchmarks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Self

from bench.support.external_process import build_peer

COUNTED_FIELDS = {
    "vm_metrics": "cpu_count",
    "vm_totals": "cpus",
    "vm_features": "memory_angle_deg",
    "host_totals": "vm_count",
}
"""Measurement → a field that every line of it has; vm_devices has one per kind of device."""


class Influxd:
    """Runs InfluxDB 1.8 in a folder and counts its stored points."""

    def __init__(self, folder: Path) -> None:
        os.environ["RACKSTREAM_INFLUXD"] = build_peer("get-influxd")
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

    def count_lines(self) -> int:
        queries = [f'SELECT count({field}) FROM "{name}"' for name, field in COUNTED_FIELDS.items()]
        queries += [f'SELECT count({field}) FROM "vm_devices"' for field in ("rxbytes", "rd_bytes")]
        return sum(row["count"] for text in queries for row in self.query(text))

    def query(self, text: str) -> list[dict[str, Any]]:
        """Returns the rows of an InfluxQL query."""
        return self.server.query(text, db="bench")
