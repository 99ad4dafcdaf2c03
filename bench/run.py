"""Runs all benchmarks and prints one table: the costs of Rackstream compared with those of other software.

    make bench                         all parts, in about 15 minutes; at first also builds the peers
    make bench ARGS="--only sinks"     one part (or several, comma-separated); ONLY=bench/sinks.py has more options
    make bench ARGS="--only sinks --sizes='--polls 20 --rounds 1'"
    make bench ARGS="--save"           also saves the results in bench/results/, for docs/
    make bench ARGS="--quick"          tiny sizes and no peers: checks that everything runs

Costs are CPU seconds (user and system) of the measured process with its threads, without the broker, the destination
server and the BMCs. A ratio above 1 means that Rackstream costs less. A peer that is not available (no Go, no JDK, no
access to a registry) is skipped, with the reason.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.support.external_process import NO_PEERS, ROOT
from bench.support.result_tables import comparisons, measurements, text_table

FULL_OPTIONS = {
    "redfish": "--bmcs 10 --rounds 3",
    "libvirt": "--vms 10,30 --domains 1000 --rounds 6",
    "processors": "--records 4000 --rounds 3 --hosts 1000 --seconds 20",
    "sinks": "--polls 60 --rounds 2",
    "latency": "--samples 30",
    "growth": "--bmcs=",
    "polling": "--hosts=",
}
PROGRAMS = {"polling": "growth"}
"""Part → program, where the names differ."""
QUICK_OPTIONS = {
    "redfish": "--bmcs 2 --rounds 1 --latency 0",
    "libvirt": "--vms= --domains 10 --rounds 2",
    "processors": "--only cpu --cases step,bare,faust --records 100 --rounds 1",
    "sinks": "--polls 2 --rounds 1",
    "growth": "--hosts 5 --records 20 --bmcs=",
}
RESULTS = ROOT / "bench" / "results" / "reference.json"
PACKAGES = ("rackstream", "faust-streaming", "confluent-kafka", "fastavro", "requests", "libvirt-python")


def run_part(name: str, arguments: str, *, quick: bool) -> dict[str, Any]:
    """Runs a part; returns its result, command and duration.

    Raises:
        RuntimeError: It failed; the message has the end of its output.
    """
    command = [f"bench/{PROGRAMS.get(name, name)}.py", *arguments.split()]
    environment = os.environ | ({NO_PEERS: "yes"} if quick else {})
    began_s = time.monotonic()
    done = subprocess.run(
        [sys.executable, *command, "--json"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{(done.stdout + done.stderr)[-3000:]}")
    took_s = round(time.monotonic() - began_s, 1)
    make_command = f'make bench ONLY={command[0]} ARGS="{arguments}"'
    return {"command": make_command, "took_s": took_s, "result": json.loads(done.stdout.splitlines()[-1])}


def describe_machine() -> dict[str, Any]:
    """Describes this machine and the versions of the packages."""
    cpu_lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in cpu_lines if line.startswith("model name")), "unknown")
    memory_kib = int(Path("/proc/meminfo").read_text(encoding="utf-8").split()[1])
    description: dict[str, Any] = {"cpu": model, "cpus": os.cpu_count(), "memory_gib": round(memory_kib / 2**20, 1)}
    description |= {"kernel": platform.release(), "python": platform.python_version()}
    return description | {"load_before": round(os.getloadavg()[0], 1), "versions": _versions()}


def _versions() -> dict[str, str]:
    versions = {}
    for name in PACKAGES:
        try:
            versions[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            versions[name] = "not installed"
    return versions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help=f"parts to run, comma-separated: {', '.join(FULL_OPTIONS)}")
    parser.add_argument("--sizes", help="options for the part of --only, in place of the defaults")
    parser.add_argument("--quick", action="store_true", help="tiny sizes and no peers")
    parser.add_argument("--save", action="store_true", help="save the results in bench/results/")
    parser.add_argument("--json", action="store_true", help="print a JSON object last")
    options = parser.parse_args()
    sizes = QUICK_OPTIONS if options.quick else FULL_OPTIONS
    names = options.only.split(",") if options.only else list(sizes)
    if unknown := [name for name in names if name not in sizes]:
        parser.error(f"unknown part {', '.join(unknown)}: choose from {', '.join(sizes)}")
    if options.sizes is not None:
        if len(names) != 1:
            parser.error("--sizes requires --only with one part")
        sizes = {names[0]: options.sizes}
    if options.quick and options.save:
        parser.error("--quick has no results to save")
    parts: dict[str, Any] = {}
    failed: list[str] = []
    machine = describe_machine() | {"date": datetime.now(UTC).date().isoformat()}
    # Measurements run one after the other; the quick check runs all parts at once.
    with ThreadPoolExecutor(len(names) if options.quick else 1) as pool:
        running = {name: pool.submit(run_part, name, sizes[name], quick=options.quick) for name in names}
        for name, future in running.items():
            try:
                parts[name] = future.result() | {"machine": machine}
            except RuntimeError as error:  # the other results are still useful
                failed.append(name)
                print(error, flush=True)
                continue
            print(f"{name}: {parts[name]['took_s']:.0f} s", flush=True)
            if options.save:
                save_results({name: parts[name]})
    print()
    print(text_table(comparisons(parts), measurements(parts)))
    if options.json:
        print(json.dumps(parts))
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def save_results(parts: dict[str, Any]) -> None:
    """Saves the results of some parts; those of other parts stay in the file."""
    RESULTS.parent.mkdir(exist_ok=True)
    saved = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps(saved | parts, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
