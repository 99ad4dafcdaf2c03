"""The benchmarks still run: tiny sizes, no peers, no figures that mean anything."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PARTS = {"redfish", "libvirt", "processors", "sinks", "growth"}


@pytest.mark.soak
def test_every_part_of_the_benchmarks_runs_and_fills_its_rows():
    done = subprocess.run(
        [sys.executable, "bench/run.py", "--quick", "--json"], cwd=ROOT, capture_output=True, text=True, timeout=240
    )

    assert 0 == done.returncode, done.stderr[-3000:]
    *table, last = done.stdout.splitlines()
    assert json.loads(last).keys() == PARTS
    for work in ("Redfish, seven categories", "VM step, 20 VMs", "Kafka → InfluxDB", "processor, 5 hosts"):
        assert [line for line in table if line.startswith(work)], work
