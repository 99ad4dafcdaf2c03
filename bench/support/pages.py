"""Generates docs/comparison.md and docs/capacity.md from the measurements in bench/results/."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.support.result_tables import Parts, comparisons, costs, format_number, measurements

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "bench" / "results" / "reference.json"
SECONDS_PER_HOUR = 3600
FLEET = 10_000
COMPARISON = """# Comparison with other software

CPU time that the same work takes with Rackstream and with other software: user and system time of the process that does
it, with all its threads, without the broker, the BMCs or the database. Both sides of a table have the same input and
were measured in one run on one machine; its load is given because CPU time rises with it. **A ratio above 1 means that
Rackstream costs less; below 1, that the other side does.** The last column lists differences. `make bench` repeats all
measurements; `make bench ARGS=--save` saves the results from which this page is generated.
"""
CAPACITY = """# Capacity

Cost per host, and hosts per core, for fleets of different sizes. For processor and sink, a host is a hypervisor with 20
VMs, polled every 10 s, and its BMC, polled every 60 s. For the producer it is a BMC: system, sensors and power every
60 s, other categories less often. Hosts are simulated; processes and Kafka are real.

One core carries 3,600 s / (CPU s per host and hour) hosts, with a core for each process and no reserve. Plan for half
of that.
"""
GROWTH = """The producer's memory grows with its targets. 10,000 BMCs are divided among several processes, which share
`fleet.targets`. With few hosts, the fixed cost of a process dominates: wake-ups, heartbeats, commits."""


def comparison_page(parts: Parts) -> str:
    """Returns docs/comparison.md."""
    lines = [COMPARISON]
    rows = comparisons(parts)
    for part in dict.fromkeys(row.part for row in rows):
        lines += [f"## {part}", "", f"`{parts[part]['command']}`", "", *_environment_lines(parts[part]), ""]
        lines += [
            "| work | Rackstream | compared with | other | ratio | difference |",
            "| --- | --- | --- | --- | --- | --- |",
        ]
        for row in rows:
            if row.part == part:
                ratio = "–" if row.ratio is None else f"{row.ratio:.2f}"
                other = "–" if row.peer_cost is None else f"{format_number(row.peer_cost)} {row.unit.partition(' ')[0]}"
                own = f"{format_number(row.own_cost)} {row.unit}"
                lines.append(f"| {row.work} | {own} | {row.peer} | {other} | {ratio} | {row.note} |")
        lines.append("")
    losses = [row for row in rows if row.ratio is not None and row.ratio < 1]
    lines += ["## Cases in which other software costs less", ""]
    lines += [
        f"- {row.work}: {row.peer} takes {row.ratio:.2f} of the CPU time of Rackstream ({row.note})." for row in losses
    ] or ["None."]
    return "\n".join(lines) + "\n"


def capacity_page(parts: Parts) -> str:
    """Returns docs/capacity.md."""
    measured = [parts[name] for name in ("polling", "growth") if name in parts]
    lines = [
        CAPACITY,
        *(line for part in measured for line in (f"`{part['command']}`", "", *_environment_lines(part), "")),
        "| process | hosts | CPU s per host and hour | one core carries | peak memory, MiB |",
        "| --- | --- | --- | --- | --- |",
    ]
    largest: dict[str, float] = {}
    for name, hosts, cost in (row for part in measured for row in costs(part["result"])):
        cpu_s = cost["cpu_s_per_host_hour"]
        largest[name] = cpu_s
        carries = format_number(_two_digits(SECONDS_PER_HOUR / cpu_s))
        lines.append(f"| {name} | {hosts:,} | {format_number(cpu_s)} | {carries} hosts | {cost['rss_mib']:.0f} |")
    if "libvirt" in parts:
        lines += list(_libvirt_rows(parts["libvirt"], largest))
    lines += [
        "",
        *([GROWTH, ""] if "polling" in parts else []),
        f"## {FLEET:,} hosts",
        "",
        "Computed from the largest fleet measured, in proportion:",
        "",
        "| process | cores |",
        "| --- | --- |",
    ]
    lines += [f"| {name} | {format_number(cpu_s * FLEET / SECONDS_PER_HOUR)} |" for name, cpu_s in largest.items()]
    if waits := [row for row in measurements(parts) if row.unit == "s"]:
        lines += ["", "## Latency", "", "| path | seconds |", "| --- | --- |"]
        lines += [f"| {row.work} | {format_number(row.value)} |" for row in waits]
        lines += ["", *(f"`{parts[name]['command']}`\n" for name in dict.fromkeys(row.part for row in waits))]
        lines += ["A row waits for the sink's batch: up to `BATCH_MAX_SEC`, 1 s by default."]
    return "\n".join(lines) + "\n"


def _libvirt_rows(part: Mapping[str, Any], largest: dict[str, float]) -> Iterator[str]:
    rows = [row for row in part["result"]["rows"] if row["way"] == "reader" and row["part"] == "real QEMU"]
    for row in rows:
        cpu_s = row["cpu_ms"] / 1000 * SECONDS_PER_HOUR / 10
        largest["producer, libvirt"] = cpu_s
        carries = format_number(_two_digits(SECONDS_PER_HOUR / cpu_s))
        what = f"producer, libvirt ({row['vms']} VMs; from bench/libvirt.py)"
        yield f"| {what} | 1 | {format_number(cpu_s)} | {carries} hosts | – |"


def _environment_lines(part: Mapping[str, Any]) -> list[str]:
    machine = part["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(machine["versions"].items()))
    load = f"{machine['load_before']} before" if machine["load_before"] else f"{machine['load_after']} after"
    system = f"{machine['cpus']} × {machine['cpu']}, {machine['memory_gib']} GiB, Linux {machine['kernel']}"
    return [f"Measured {machine['date']} on {system}, load {load}.", "", f"Python {machine['python']}, {versions}."]


def _two_digits(value: float) -> float:
    """Rounds to two digits, the accuracy of the measurements."""
    return float(f"{value:.2g}")


PAGES = {"comparison.md": (comparison_page, "processors"), "capacity.md": (capacity_page, "growth")}
"""Page → function that makes it, and the part of the measurements that it requires."""


def generated_files() -> dict[Path, str]:
    """Returns the pages for which there are measurements."""
    parts = json.loads(RESULTS.read_text(encoding="utf-8"))
    return {ROOT / "docs" / name: make(parts) for name, (make, required) in PAGES.items() if required in parts}
