"""Measures CPU per 20-VM record of the VM step: alone, in a confluent-kafka loop, in the Faust worker, in peers.

    make bench ONLY=bench/processors.py ARGS="--json"

Each case is a process with its own consumer group and reads the same topic of an embedded Kafka. Cases are interleaved
in rounds; the result is the median of the rounds. CPU is user and system time of the process with all its threads,
without the broker, after a warm-up. All cases have the same step, codec, compression and commit interval (0.5 s), and
the same batches (100 records or 0.1 s) if they have batches. Records count once their outputs are delivered:

- `step`     the pure step on decoded records: no codec, no Kafka
- `bare`     consume, decode, step, encode, produce, wait for every delivery report, commit
- `faust`    the worker of `rackstream processor` with this step only
- `naive`    a Faust agent with `events()` and `topic.send`, which waits for the deliveries of each event
- `unsafe`   the same without waiting: undelivered outputs are lost in a crash
- `whole`    the worker with all steps and joins; no ratios are computed for it
- `quix`     Quix Streams with our step and codec, its state in a dict (no store, no changelog)
- `streams`  Kafka Streams with the step in Java, its state in a map (no store, no changelog), after warming up
             the JVM with 5 times the records, at most 30,000. Its outputs are compared with ours

Further parts measure the latency from thermal sample to alert while VM records load half a CPU, and the memory and
recovery time of a fleet's alert states.
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

from bench.support.alert_engine import measure_latency, measure_states
from bench.support.cpu_meter import CpuMeter
from bench.support.external_process import MissingPeer, exit_on_sigterm
from bench.support.fleet_records import HOSTS, VMS, Hypervisor, encode_for_kafka
from bench.support.frameworks import CASES, PARTITIONS
from bench.support.peer_frameworks import JVM_WARM_UP_RECORDS, PEERS, compare_outputs
from bench.support.peer_frameworks import create_output_topics as topics_of
from processors.engine.worker import ProcessorSettings
from rackstream.local.broker import EmbeddedKafka
from runtime import kafka, topics
from runtime.settings import KafkaSettings

RATIO_NAMES = {
    "naive": "simple Faust agent (goal: at least 1.5)",
    "unsafe": "simple Faust agent without waiting",
    "quix": "Quix Streams",
    "streams": "Kafka Streams",
}
Runs = dict[str, list[dict[str, float]]]


def create_settings(bootstrap: str, data: Path, prefix: str) -> KafkaSettings:
    """Creates topics with a prefix; returns their settings."""
    settings = KafkaSettings.read(bootstrap=bootstrap, topic_prefix=prefix, partitions=PARTITIONS, data_dir=data)
    topics.create(settings)
    topics.publish_schemas(settings)
    return settings


def fill(settings: KafkaSettings, count: int) -> None:
    """Publishes the records."""
    publisher = kafka.KafkaPublisher(settings, "bench")
    fleet = [Hypervisor(number) for number in range(HOSTS)]
    for number in range(count):
        record = fleet[number % HOSTS].sample(number // HOSTS)
        publisher.send(*encode_for_kafka(settings.catalog, "raw-libvirt", record), wait_s=10)
    assert publisher.flush(60) == 0


def run_case(arguments: argparse.Namespace, settings: KafkaSettings, case: str) -> dict[str, float]:
    """Runs a case in its own process; returns its result."""
    command = [sys.executable, __file__, "--case", case, "--records", str(arguments.records)]
    command += ["--bootstrap", settings.bootstrap, "--data", str(settings.data_dir)]
    return last_json(case, subprocess.run(command, capture_output=True, text=True, timeout=600, check=False))


def run_peer(arguments: argparse.Namespace, settings: KafkaSettings, name: str, *, first: bool) -> dict[str, float]:
    """Runs a peer in its own consumer group; the outputs of its first run are compared with ours.

    Raises:
        MissingPeer: The peer is not available.
    """
    group = f"bench-{name}-{time.monotonic_ns()}"
    prefix = f"{name}."
    peer = PEERS[name](settings, group, prefix, arguments.records)
    if first:
        topics_of(settings, prefix)
    command, environment = peer.command, os.environ | peer.environment
    done = subprocess.run(
        command, env=environment, cwd=settings.data_dir, capture_output=True, text=True, timeout=600, check=False
    )
    result = last_json(name, done)
    if first:
        equal, different = compare_outputs(settings, prefix, min(500, arguments.records))
        if different or not equal:
            raise RuntimeError(f"{name}: {equal} equal outputs, {len(different)} different ones: {different[:3]}")
    return result


def last_json(case: str, done: subprocess.CompletedProcess[str]) -> dict[str, float]:
    """Returns the JSON object that a run printed last."""
    # Faust prints an escape sequence before the object.
    lines = [line[line.index("{") :] for line in done.stdout.splitlines() if "{" in line]
    if not lines:
        raise RuntimeError(f"{case} ended with {done.returncode}: {done.stdout[-500:]}{done.stderr[-2000:]}")
    result: dict[str, float] = json.loads(lines[-1])
    return result


def run_case_here(arguments: argparse.Namespace) -> None:
    """Runs a case in this process."""
    settings = ProcessorSettings.read(
        bootstrap=arguments.bootstrap,
        topic_prefix="bench.",
        data_dir=Path(arguments.data),
        group=f"bench-{arguments.case}-{os.getpid()}",
    )
    CASES[arguments.case](settings, CpuMeter(arguments.records))


def run_rounds(arguments: argparse.Namespace, settings: KafkaSettings) -> tuple[Runs, dict[str, str]]:
    """Runs all cases in rounds; returns their results, and the reasons for missing peers."""
    names = [name for name in (*CASES, *PEERS) if not arguments.cases or name in arguments.cases.split(",")]
    runs: Runs = {case: [] for case in names}
    missing: dict[str, str] = {}
    for case in names * arguments.rounds:
        if case in CASES:
            runs[case].append(run_case(arguments, settings, case))
        elif case not in missing:
            try:
                runs[case].append(run_peer(arguments, settings, case, first=not runs[case]))
            except MissingPeer as error:
                missing[case] = str(error)
    return {case: results for case, results in runs.items() if results}, missing


def measure_cpu(arguments: argparse.Namespace, settings: KafkaSettings) -> dict[str, Any]:
    """Measures all cases, prints the table and returns the result."""
    runs, missing = run_rounds(arguments, settings)
    print(f"{'case':8} {'µs CPU per record, median':>26} {'min':>7} {'max':>7} {'VM samples per CPU-s':>21}")
    us = {}
    for case, results in runs.items():
        run_us = [run["cpu_s"] / run["records"] * 1e6 for run in results]
        us[case] = statistics.median(run_us)
        print(f"{case:8} {us[case]:>26.0f} {min(run_us):>7.0f} {max(run_us):>7.0f} {VMS / us[case] * 1e6:>21,.0f}")
    for case, reason in missing.items():
        print(f"{case:8} skipped: {reason}")
    result: dict[str, Any] = {"us_per_record": us, "runs": runs, "missing": missing}
    if "faust" not in us:
        return result
    for case in us.keys() - {"faust", "whole"}:
        result[f"faust_vs_{case}"] = us[case] / us["faust"]
    for case, name in RATIO_NAMES.items():
        if case in us:
            print(f"{name}: {result[f'faust_vs_{case}']:.2f} times the CPU of the worker")
    if "bare" in us:
        result["faust_over_bare_us"] = us["faust"] - us["bare"]
        print(f"worker minus bare loop: {result['faust_over_bare_us']:.0f} µs per record (goal: at most 100)")
    return result


def main() -> None:
    """Runs the selected parts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", action="store_true", help="print a JSON object last")
    parser.add_argument("--records", type=int, default=6000, help="20-VM records per run")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--hosts", type=int, default=10_000, help="number of hosts for the alert states")
    parser.add_argument("--seconds", type=float, default=30.0, help="duration of the latency measurement")
    parser.add_argument("--per-s", type=float, help="VM records per s during it  [default: half the rate of `whole`]")
    parser.add_argument("--cases", help="cases to run, comma-separated")
    parser.add_argument("--only", choices=("cpu", "latency", "states"), help="part to run")
    for name in ("--case", "--bootstrap", "--data"):
        parser.add_argument(name, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    exit_on_sigterm()
    if arguments.case:
        run_case_here(arguments)
        return
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="rackstream-") as directory, EmbeddedKafka(Path(directory)) as broker:
        data, parts = Path(directory), (arguments.only,) if arguments.only else ("cpu", "latency", "states")
        if "cpu" in parts:
            settings = create_settings(broker.bootstrap, data, "bench.")
            jvm = not arguments.cases or "streams" in arguments.cases
            fill(settings, arguments.records + (min(JVM_WARM_UP_RECORDS, arguments.records * 5) if jvm else 0))
            result |= measure_cpu(arguments, settings)
        if "latency" in parts:
            rate_per_s = arguments.per_s or (
                0.5e6 / result["us_per_record"]["whole"] if "us_per_record" in result else 300.0
            )
            result["latency"] = latency = measure_latency(
                create_settings(broker.bootstrap, data, "late."), data, arguments.seconds, rate_per_s
            )
            ms = f"p50 {latency['p50_s'] * 1000:.0f} ms, p99 {latency['p99_s'] * 1000:.0f} ms"
            print(f"sample → alert with {rate_per_s:.0f} VM records per s: {ms}, of {latency['alerts']} alerts")
        if "states" in parts:
            states = measure_states(create_settings(broker.bootstrap, data, "states."), arguments.hosts, sensors=50)
            summary = f"{states['live_bytes_per_host']:.0f} B per host, recovered in {states['recovery_s']:.1f} s"
            print(f"alert states of {arguments.hosts:,} hosts with 50 sensors each: {summary}")
            result["states"] = states
    if arguments.json:
        print(json.dumps(result))


if __name__ == "__main__":
    main()
