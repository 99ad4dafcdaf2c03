"""Everything that bench/ measures, in one run and one table: what ours costs next to what else one would use.

    make bench                         everything, in about 15 minutes; builds the peers in the user's cache at first
    make bench ARGS="--only sinks"     one part (or several, comma-separated); ONLY=bench/sinks.py has all its options
    make bench ARGS="--only sinks --sizes='--polls 20 --rounds 1'"
    make bench ARGS="--save"           and puts the figures into bench/results/, from which docs/ are made
    make bench ARGS="--quick"          tiny sizes and no peers: that everything still runs, no figures

Costs are CPU seconds of the process that is measured, with its threads: user and system time. The broker, the server
written to and the BMCs are others. A ratio above 1 says that ours costs less, one below 1 that the other does. A peer
that cannot be had here (no Go, no JDK, no way to a registry) is left out, with the reason.
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
from bench.support.result_tables import comparison, plain, single

FULL = {
    "redfish": "--bmcs 10 --rounds 3",
    "libvirt": "--vms 10,30 --domains 1000 --rounds 6",
    "processors": "--records 4000 --rounds 3 --hosts 1000 --seconds 20",
    "sinks": "--polls 60 --rounds 2",
    "latency": "--samples 30",
    "growth": "--bmcs=",
    "polling": "--hosts=",
}
PROGRAMS = {"polling": "growth"}
"""Parts that are not named as their program is."""
QUICK = {
    "redfish": "--bmcs 2 --rounds 1 --latency 0",
    "libvirt": "--vms= --domains 10 --rounds 2",
    "processors": "--only cpu --cases step,bare,faust --records 100 --rounds 1",
    "sinks": "--polls 2 --rounds 1",
    "growth": "--hosts 5 --records 20 --bmcs=",
}
RESULTS = ROOT / "bench" / "results" / "reference.json"
PACKAGES = ("rackstream", "faust-streaming", "confluent-kafka", "fastavro", "requests", "libvirt-python")


def run(name: str, arguments: str, *, quick: bool) -> dict[str, Any]:
    """What a part finds, and how it was asked.

    Raises:
        RuntimeError: it failed; with the end of what it said.
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
    shown = f'make bench ONLY={command[0]} ARGS="{arguments}"'
    return {"command": shown, "took_s": took_s, "result": json.loads(done.stdout.splitlines()[-1])}


def machine() -> dict[str, Any]:
    """Where and with what it was measured."""
    told = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next((line.partition(":")[2].strip() for line in told if line.startswith("model name")), "unknown")
    memory_kib = int(Path("/proc/meminfo").read_text(encoding="utf-8").split()[1])
    found: dict[str, Any] = {"cpu": model, "cpus": os.cpu_count(), "memory_gib": round(memory_kib / 2**20, 1)}
    found |= {"kernel": platform.release(), "python": platform.python_version()}
    return found | {"load_before": round(os.getloadavg()[0], 1), "versions": _versions()}


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", help=f"of {', '.join(FULL)}; comma-separated")
    parser.add_argument("--sizes", help="options of the one part of --only, instead of those it has here")
    parser.add_argument("--quick", action="store_true", help="tiny sizes and no peers")
    parser.add_argument("--save", action="store_true", help="put the figures into bench/results/")
    parser.add_argument("--json", action="store_true", help="print one object last")
    options = parser.parse_args()
    sizes = QUICK if options.quick else FULL
    names = options.only.split(",") if options.only else list(sizes)
    if unknown := [name for name in names if name not in sizes]:
        parser.error(f"no part {', '.join(unknown)}: there are {', '.join(sizes)}")
    if options.sizes is not None:
        if len(names) != 1:
            parser.error("--sizes goes with --only and one part")
        sizes = {names[0]: options.sizes}
    if options.quick and options.save:
        parser.error("--quick makes no figures to save")
    parts: dict[str, Any] = {}
    failed: list[str] = []
    about = machine() | {"date": datetime.now(UTC).date().isoformat()}
    # Figures are taken one after the other; that something runs at all is seen in less time side by side.
    with ThreadPoolExecutor(len(names) if options.quick else 1) as pool:
        running = {name: pool.submit(run, name, sizes[name], quick=options.quick) for name in names}
        for name, each in running.items():
            try:
                parts[name] = each.result() | {"machine": about}
            except RuntimeError as error:  # the others are worth having
                failed.append(name)
                print(error, flush=True)
                continue
            print(f"{name}: {parts[name]['took_s']:.0f} s", flush=True)
            if options.save:
                save({name: parts[name]})
    print()
    print(plain(comparison(parts), single(parts)))
    if options.json:
        print(json.dumps(parts))
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


def save(parts: dict[str, Any]) -> None:
    """Puts the parts into the file of results, where other parts stay."""
    RESULTS.parent.mkdir(exist_ok=True)
    kept = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    RESULTS.write_text(json.dumps(kept | parts, indent=1, sort_keys=True) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
