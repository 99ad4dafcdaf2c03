"""`python -m bench.support.pages` makes docs/comparison.md and docs/capacity.md of bench/results/; `--check` looks."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from bench.support.result_tables import Parts, comparison, costs, figure, single
from runtime import codegen

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "bench" / "results" / "reference.json"
SECONDS_PER_HOUR = 3600
FLEET = 10_000
COMPARISON = """# Next to others

What a piece of work costs in CPU time (user and system, of the process that does it with all its threads; not of the
broker, the BMCs or the database), by Rackstream and by what else one would use: the same input, both sides of a table
in one run on one machine, whose load is told, for CPU time rises with it. **A ratio above 1 says that ours costs less,
one below 1 that theirs does.** What differs is in the last column. `make bench` measures all of it again; `make bench
ARGS=--save` writes the figures that this page is made of.
"""
CAPACITY = """# Capacity

What a host costs, and how many hosts one core carries, as a fleet grows. To processor and sink a host is a hypervisor
with 20 VMs, polled every 10 s, and its BMC, polled every 60 s; to the producer it is a BMC: system, sensors and power
every 60 s, the rest more rarely. Hosts are simulated; processes and Kafka are real.

One core carries 3,600 s / (CPU s per host and hour): with a core for each process, and nothing in reserve. Plan for
half of it.
"""
GROWTH = """The producer's memory grows with its targets. 10,000 BMCs are divided among several processes, which share
`fleet.targets`. At few hosts a process costs what it takes to be there: waking, heartbeats, commits."""


def compared(parts: Parts) -> str:
    """The page of ratios."""
    lines = [COMPARISON]
    rows = comparison(parts)
    for part in dict.fromkeys(row.part for row in rows):
        lines += [f"## {part}", "", f"`{parts[part]['command']}`", "", *_where(parts[part]), ""]
        lines += ["| work | ours | next to | theirs | ratio | what differs |", "| --- | --- | --- | --- | --- | --- |"]
        for row in rows:
            if row.part == part:
                ratio = "–" if row.ratio is None else f"{row.ratio:.2f}"
                theirs = "–" if row.theirs is None else f"{figure(row.theirs)} {row.unit.partition(' ')[0]}"
                ours = f"{figure(row.ours)} {row.unit}"
                lines.append(f"| {row.what} | {ours} | {row.peer} | {theirs} | {ratio} | {row.note} |")
        lines.append("")
    losses = [row for row in rows if row.ratio is not None and row.ratio < 1]
    lines += ["## Where others cost less", ""]
    lines += [f"- {row.what}: {row.peer} takes {row.ratio:.2f} of ours ({row.note})." for row in losses] or ["Nowhere."]
    return "\n".join(lines) + "\n"


def capacity(parts: Parts) -> str:
    """The page of how many hosts a core carries."""
    measured = [parts[name] for name in ("polling", "growth") if name in parts]
    lines = [
        CAPACITY,
        *(line for part in measured for line in (f"`{part['command']}`", "", *_where(part), "")),
        "| process | hosts | CPU s per host and hour | one core carries | peak memory, MiB |",
        "| --- | --- | --- | --- | --- |",
    ]
    largest: dict[str, float] = {}
    for name, hosts, told in (row for part in measured for row in costs(part["result"])):
        each = told["cpu_s_per_host_hour"]
        largest[name] = each
        carries = figure(_round(SECONDS_PER_HOUR / each))
        lines.append(f"| {name} | {hosts:,} | {figure(each)} | {carries} hosts | {told['rss_mib']:.0f} |")
    if "libvirt" in parts:
        lines += list(_libvirt(parts["libvirt"], largest))
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
    lines += [f"| {name} | {figure(each * FLEET / SECONDS_PER_HOUR)} |" for name, each in largest.items()]
    if waits := [row for row in single(parts) if row.unit == "s"]:
        lines += ["", "## Time from a sample", "", "| what | seconds |", "| --- | --- |"]
        lines += [f"| {row.what} | {figure(row.value)} |" for row in waits]
        lines += ["", *(f"`{parts[name]['command']}`\n" for name in dict.fromkeys(row.part for row in waits))]
        lines += ["A row waits for the sink's batch: up to `BATCH_MAX_SEC`, 1 s as it comes."]
    return "\n".join(lines) + "\n"


def _libvirt(part: Mapping[str, Any], largest: dict[str, float]) -> Iterator[str]:
    rows = [row for row in part["result"]["rows"] if row["way"] == "reader" and row["part"] == "real QEMU"]
    for row in rows:
        each = row["cpu_ms"] / 1000 * SECONDS_PER_HOUR / 10
        largest["producer, libvirt"] = each
        carries = figure(_round(SECONDS_PER_HOUR / each))
        what = f"producer, libvirt ({row['vms']} VMs; by bench/libvirt.py)"
        yield f"| {what} | 1 | {figure(each)} | {carries} hosts | – |"


def _where(part: Mapping[str, Any]) -> list[str]:
    about = part["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in sorted(about["versions"].items()))
    load = f"{about['load_before']} before" if about["load_before"] else f"{about['load_after']} after"
    where = f"{about['cpus']} × {about['cpu']}, {about['memory_gib']} GiB, Linux {about['kernel']}"
    return [f"Measured {about['date']} on {where}, load {load}.", "", f"Python {about['python']}, {versions}."]


def _round(value: float) -> float:
    """Two digits: more would say more than was measured."""
    return float(f"{value:.2g}")


PAGES = {"comparison.md": (compared, "processors"), "capacity.md": (capacity, "growth")}
"""How each is made, and the part without which there is none."""


def main(arguments: list[str]) -> int:
    """Exit code: 1 where a page is stale and is not to be written."""
    parts = json.loads(RESULTS.read_text(encoding="utf-8"))
    made = {ROOT / "docs" / name: make(parts) for name, (make, needed) in PAGES.items() if needed in parts}
    return codegen.write(made, "bench.support.pages", arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
