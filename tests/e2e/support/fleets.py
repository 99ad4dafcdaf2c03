"""Fleets of simulated BMCs for tests: the simulator as a process, the fleet file, and which polls were missed."""

from __future__ import annotations

import contextlib
import itertools
import json
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import yaml

from producers.redfish.reader import CATEGORIES

PASSWORD = "RACKSTREAM_TEST_BMC_PASSWORD"


@contextlib.contextmanager
def simulated(*arguments: str) -> Iterator[dict[str, Any]]:
    """What `rackstream simulate redfish --json` says while it runs; after that also its `counts`."""
    command = [sys.executable, "-m", "rackstream", "simulate", "redfish", "--json", *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            told = json.loads(process.stdout.readline())
            yield told
        finally:
            process.send_signal(signal.SIGINT)
            rest, _ = process.communicate(timeout=60)
        told |= json.loads(rest)


def write(
    path: Path,
    addresses: Mapping[str, str],
    *,
    interval_s: float,
    verify: bool | str = True,
    intervals: Mapping[str, float] = MappingProxyType({}),
) -> Path:
    """A fleet file: host → address; all categories are polled at one interval, or at their own in `intervals`."""
    targets = [
        {
            "host": host,
            "address": address,
            "username": "root",
            "password": f"env:{PASSWORD}",
            "verify": verify,
            "interval": interval_s,
            "intervals": dict.fromkeys(CATEGORIES, interval_s) | dict(intervals),
        }
        for host, address in addresses.items()
    ]
    path.write_text(yaml.safe_dump({"redfish": {"targets": targets}}))
    return path


def missed(
    records: Iterable[Mapping[str, Any]],
    hosts: Iterable[str],
    *,
    interval_s: float,
    from_s: float,
    to_s: float,
    categories: Iterable[str] = tuple(CATEGORIES),
) -> dict[tuple[str, str], int]:
    """Host and category → polls that there should be a record of between two times (Unix), and is none; not those at 0.

    The first is due within one interval; one that is less than half an interval late is not missed.
    """
    seen: dict[tuple[str, str], list[float]] = defaultdict(list)
    for record in records:
        seen[record["host"], record["category"]].append(record["observed_at"].timestamp())
    found = {}
    for host in hosts:
        for category in categories:
            times = sorted(each for each in seen[host, category] if from_s <= each <= to_s)
            # As if one had come just before the start and one just after the end.
            steps = [from_s, *times, to_s]
            gaps = [after - before for before, after in itertools.pairwise(steps)]
            gone = sum(max(0, round(gap / interval_s) - 1) for gap in gaps[1:-1])
            gone += sum(int(gap / (1.5 * interval_s)) for gap in (gaps[0], gaps[-1]))
            if gone:
                found[host, category] = gone
    return found
