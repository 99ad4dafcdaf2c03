"""One producer process over many simulated BMCs: no healthy one misses a poll, whatever the others do."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from producers.redfish.reader import CATEGORIES
from rackstream.simulators.faults import FAULT_KINDS
from tests.e2e.support import fleets
from tests.e2e.support.parts import part, records, running, until

pytestmark = pytest.mark.kafka
NOT_UP = ("dead", "hang", "drip", "truncated", "reset", "garbage", "empty", "401", "404", "5xx")
"""Faults with which nothing can be read."""
UNREAD = ("unreachable", "auth_failed")


@dataclass(frozen=True)
class Run:
    """One run."""

    bmcs: int
    interval_s: float
    duration_s: float
    latency_s: float
    faults: tuple[str, ...]
    processes: int = 1


DEAD_AND_SLOW = ("dead=10%", "slow=10%:20")
MIXED = tuple(f"{kind}=4%" for kind in FAULT_KINDS)
SHORT = Run(20, 4, 10, 0.05, DEAD_AND_SLOW, processes=2)
FULL = Run(1000, 60, 300, 1.0, DEAD_AND_SLOW)
ALL_FAULTS = Run(100, 10, 120, 0.1, MIXED)


@pytest.mark.parametrize(
    "run",
    [
        pytest.param(SHORT, id="20 BMCs at 4 s for 10 s"),
        pytest.param(
            FULL, id="1,000 BMCs at 60 s for five minutes", marks=[pytest.mark.soak, pytest.mark.timeout(900)]
        ),
        pytest.param(
            ALL_FAULTS, id="every fault mixed for two minutes", marks=[pytest.mark.soak, pytest.mark.timeout(600)]
        ),
    ],
)
def test_no_healthy_bmc_misses_a_poll(kafka, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run: Run) -> None:
    monkeypatch.setenv(fleets.PASSWORD, "sécret")
    arguments = ["--count", str(run.bmcs), "--shape", "mix", "--tls", "--latency", str(run.latency_s)]
    arguments += ["--username", "root", "--password-env", fleets.PASSWORD, "--processes", str(run.processes)]
    for fault in run.faults:
        arguments += ["--fault", fault]
    with fleets.simulated(*arguments) as simulated:
        faults = {f"bmc-{bmc['number']}": bmc["fault"] for bmc in simulated["bmcs"]}
        addresses = {f"bmc-{bmc['number']}": bmc["url"] for bmc in simulated["bmcs"]}
        fleet = fleets.write(tmp_path / "fleet.yaml", addresses, interval_s=run.interval_s, verify=simulated["ca"])
        producer = part(kafka, "producer", "producer", "redfish", "--fleet", str(fleet))
        with running(producer) as supervisor:
            from_s = time.time()
            ends_s = time.monotonic() + run.duration_s
            until(lambda: time.monotonic() > ends_s, timeout_s=run.duration_s + 60, tend=supervisor.run_periodic)
            to_s = time.time()
            used = usage(producer.pid)
            statuses = {record["host"]: record for record in records(kafka, "state-targets")}
            assert 1 == producer.starts
    healthy = [host for host, fault in faults.items() if fault is None]
    found = records(kafka, "raw-redfish")
    missed = fleets.missed(found, healthy, interval_s=run.interval_s, from_s=from_s, to_s=to_s)
    tell(run, healthy, found, statuses, {**used, **simulated["counts"]})
    assert {} == missed
    assert set(addresses) == set(statuses)
    told = {host: each["status"] for host, each in statuses.items()}
    assert {} == {host: told[host] for host in healthy if told[host] in UNREAD}
    assert {} == {
        host: told[host] for host, fault in faults.items() if kind(fault) in NOT_UP and told[host] not in UNREAD
    }


def kind(fault: str | None) -> str:
    return (fault or "").partition(":")[0]


def usage(pid: int | None) -> dict[str, Any]:
    """CPU seconds and memory of the producer so far."""
    stat = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    cpu_s = (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")
    [rss] = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmHWM")]
    threads = len(list(Path(f"/proc/{pid}/task").iterdir()))
    return {"cpu_s": cpu_s, "rss_mib": int(rss.split()[1]) // 1024, "threads": threads}


def tell(run: Run, healthy: list[str], found: list[dict], statuses: dict[str, dict], used: dict[str, Any]) -> None:
    mine = [each for each in found if each["host"] in set(healthy)]
    expected = int(len(healthy) * len(CATEGORIES) * run.duration_s / run.interval_s)
    counted = dict(Counter(status["status"] for status in statuses.values()))
    print(
        f"{run.bmcs} BMCs, {len(healthy)} healthy: {len(mine)} records of theirs, about {expected} due; {counted}; "
        f"producer {used['cpu_s']:.0f} CPU s, {used['rss_mib']} MiB, {used['threads']} threads; "
        f"{used['requests']} requests, {used['logins']} logins, {used['sessions_open']} sessions left"
    )
