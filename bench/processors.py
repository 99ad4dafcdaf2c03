"""CPU per 20-VM record of the VM step: bare, in a confluent-kafka loop, in the Faust worker, in what others use.

    make bench ONLY=bench/processors.py ARGS="--json"

Each case is a process of its own with a consumer group of its own and reads the same topic of an embedded Kafka; cases
are interleaved in rounds, and the median of the rounds counts. Measured is user and system time of the process with all
its threads (not the broker's), after a warm-up. Same step, codec, compression and commit interval (0.5 s) in all, the
same batches (100 records or 0.1 s) where there are batches; what is sent is waited for before it counts as read:

- `step`     the pure step on decoded records: no codec, no Kafka
- `bare`     consume, decode, step, encode, produce, wait for every delivery report, commit
- `faust`    the worker as `rackstream processor` runs it, with this step alone
- `naive`    a Faust agent over `events()` with `topic.send`, which waits for each event's deliveries
- `unsafe`   the same, but it does not wait: what is not delivered yet is lost at a crash
- `whole`    the worker with every step and join; the ratios are not about it
- `quix`     Quix Streams with our step and codec, its state in a dict (no store, no changelog)
- `streams`  Kafka Streams with the step in Java, its state in a map (no store, no changelog), after 5 times
             the records, at most 30,000, to warm the JVM up. That its outputs are the same is checked, number by number

Then the latency from a thermal sample to its alert, in such a worker to which VM records come at half the rate that a
CPU would do; and what the alert states of a fleet weigh and take to read back.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from bench.support.alert_engine import latency, states
from bench.support.cpu_meter import Meter
from bench.support.external_process import Missing, orderly
from bench.support.fleet_records import HOSTS, VMS, Hypervisor, wire
from bench.support.frameworks import CASES, PARTITIONS
from bench.support.peer_frameworks import JVM_WARM, PEERS, differing
from bench.support.peer_frameworks import topics as topics_of
from processors.engine.worker import ProcessorSettings
from rackstream.local.broker import EmbeddedKafka
from runtime import kafka, topics
from runtime.settings import KafkaSettings

TIMES = {
    "naive": "naive Faust (at least 1.5 is the aim)",
    "unsafe": "naive Faust that does not wait",
    "quix": "Quix Streams",
    "streams": "Kafka Streams",
}
Runs = dict[str, list[dict[str, float]]]


def prepared(bootstrap: str, data: Path, prefix: str) -> KafkaSettings:
    """Settings for topics of their own, created."""
    settings = KafkaSettings.read(bootstrap=bootstrap, topic_prefix=prefix, partitions=PARTITIONS, data_dir=data)
    topics.create(settings)
    topics.publish_schemas(settings)
    return settings


def fill(settings: KafkaSettings, count: int) -> None:
    """Puts the records on their topic."""
    publisher = kafka.Publisher(settings, "bench")
    fleet = [Hypervisor(number) for number in range(HOSTS)]
    for number in range(count):
        record = fleet[number % HOSTS].sample(number // HOSTS)
        publisher.send(*wire(settings.catalog, "raw-libvirt", record), wait_s=10)
    assert publisher.flush(60) == 0


def measured(arguments: argparse.Namespace, settings: KafkaSettings, case: str) -> dict[str, float]:
    """One run of one case."""
    command = [sys.executable, __file__, "--case", case, "--records", str(arguments.records)]
    command += ["--bootstrap", settings.bootstrap, "--data", str(settings.data_dir)]
    return told(case, subprocess.run(command, capture_output=True, text=True, timeout=600, check=False))


def peer(arguments: argparse.Namespace, settings: KafkaSettings, name: str, *, first: bool) -> dict[str, float]:
    """One run of a peer, in a consumer group of its own; the outputs of the first run are compared with ours.

    Raises:
        Missing: it cannot be had here.
    """
    group = f"bench-{name}-{time.monotonic_ns()}"
    prefix = f"{name}."
    found = PEERS[name](settings, group, prefix, arguments.records)
    if first:
        topics_of(settings, prefix)
    command, environment = found.command, os.environ | found.environment
    done = subprocess.run(
        command, env=environment, cwd=settings.data_dir, capture_output=True, text=True, timeout=600, check=False
    )
    figures = told(name, done)
    if first:
        equal, wrong = differing(settings, prefix, min(500, arguments.records))
        if wrong or not equal:
            raise RuntimeError(f"{name}: {equal} outputs are ours and {len(wrong)} are not: {wrong[:3]}")
    return figures


def told(case: str, done: subprocess.CompletedProcess[str]) -> dict[str, float]:
    """What a run printed last."""
    lines = [
        line[line.index("{") :] for line in done.stdout.splitlines() if "{" in line
    ]  # Faust hides the cursor first
    if not lines:
        raise RuntimeError(f"{case} ended with {done.returncode}: {done.stdout[-500:]}{done.stderr[-2000:]}")
    found: dict[str, float] = json.loads(lines[-1])
    return found


def run(arguments: argparse.Namespace) -> None:
    """One case, here."""
    settings = ProcessorSettings.read(
        bootstrap=arguments.bootstrap,
        topic_prefix="bench.",
        data_dir=Path(arguments.data),
        group=f"bench-{arguments.case}-{os.getpid()}",
    )
    CASES[arguments.case](settings, Meter(arguments.records))


def rounds(arguments: argparse.Namespace, settings: KafkaSettings) -> tuple[Runs, dict[str, str]]:
    """Every case's runs; and why some peers have none."""
    names = [name for name in (*CASES, *PEERS) if not arguments.cases or name in arguments.cases.split(",")]
    runs: Runs = {case: [] for case in names}
    missing: dict[str, str] = {}
    for case in names * arguments.rounds:
        if case in CASES:
            runs[case].append(measured(arguments, settings, case))
        elif case not in missing:
            try:
                runs[case].append(peer(arguments, settings, case, first=not runs[case]))
            except Missing as error:
                missing[case] = str(error)
    return {case: found for case, found in runs.items() if found}, missing


def throughput(arguments: argparse.Namespace, settings: KafkaSettings) -> dict[str, Any]:
    """Every case, in rounds."""
    runs, missing = rounds(arguments, settings)
    print(f"{'case':8} {'µs CPU per record, median':>26} {'least':>7} {'most':>7} {'VM samples per CPU-s':>21}")
    us = {}
    for case, found in runs.items():
        each = [one["cpu_s"] / one["records"] * 1e6 for one in found]
        us[case] = statistics.median(each)
        print(f"{case:8} {us[case]:>26.0f} {min(each):>7.0f} {max(each):>7.0f} {VMS / us[case] * 1e6:>21,.0f}")
    for case, reason in missing.items():
        print(f"{case:8} left out: {reason}")
    result: dict[str, Any] = {"us_per_record": us, "runs": runs, "missing": missing}
    if "faust" not in us:
        return result
    for case in us.keys() - {"faust", "whole"}:
        result[f"faust_vs_{case}"] = us[case] / us["faust"]
    for case, what in TIMES.items():
        if case in us:
            print(f"{what} costs {result[f'faust_vs_{case}']:.2f} times ours")
    if "bare" in us:
        result["faust_over_bare_us"] = us["faust"] - us["bare"]
        print(f"Faust over the bare loop: {result['faust_over_bare_us']:.0f} µs per record; at most 100 is the aim")
    return result


def main() -> None:
    """Measures what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print one object last")
    parser.add_argument("--records", type=int, default=6000, help="20-VM records of a run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--hosts", type=int, default=10_000, help="hosts of the alert states")
    parser.add_argument("--seconds", type=float, default=30.0, help="of the latency measurement")
    parser.add_argument("--per-s", type=float, help="VM records per s in it; default: half of what `whole` does")
    parser.add_argument("--cases", help="only these, comma-separated")
    parser.add_argument("--only", choices=("cpu", "latency", "states"), help="only this part")
    for name in ("--case", "--bootstrap", "--data"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    orderly()
    if arguments.case:
        run(arguments)
        return
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="rackstream-") as directory, EmbeddedKafka(Path(directory)) as broker:
        data, parts = Path(directory), (arguments.only,) if arguments.only else ("cpu", "latency", "states")
        if "cpu" in parts:
            settings = prepared(broker.bootstrap, data, "bench.")
            jvm = not arguments.cases or "streams" in arguments.cases
            fill(settings, arguments.records + (min(JVM_WARM, arguments.records * 5) if jvm else 0))
            result |= throughput(arguments, settings)
        if "latency" in parts:
            half = arguments.per_s or (0.5e6 / result["us_per_record"]["whole"] if "us_per_record" in result else 300.0)
            result["latency"] = told = latency(prepared(broker.bootstrap, data, "late."), data, arguments.seconds, half)
            ms = f"p50 {told['p50_s'] * 1000:.0f} ms, p99 {told['p99_s'] * 1000:.0f} ms"
            print(f"sample → alert with {half:.0f} VM records per s: {ms}, of {told['alerts']} alerts")
        if "states" in parts:
            told = states(prepared(broker.bootstrap, data, "states."), arguments.hosts, sensors=50)
            weigh = f"{told['live_bytes_per_host']:.0f} B per host, read back in {told['recovery_s']:.1f} s"
            print(f"alert states of {arguments.hosts:,} hosts with 50 sensors each: {weigh}")
            result["states"] = told
    if arguments.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
