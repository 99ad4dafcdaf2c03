"""`make chaos`: injects faults, then audits all topics and stores. Exit code 0 if nothing is lost, doubled or false.

make chaos                            every fault at full length, about 50 minutes
make chaos ARGS="--short --json"      as in CI; the last line is a JSON object
make chaos ARGS="--self-check"        tests the audit: it must find data tampered with on purpose
make chaos ARGS="--short --only kill" only faults whose names begin with it
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import structlog

from chaos import audit_self_check, faults, influx_check, standalone_faults
from chaos.testbed import Testbed
from chaos.verdict import Verdict
from rackstream.audit.audit import Audit

Log = Callable[[str], None]
PAUSE_S = 4.0
"""Pause between two faults."""
READY_TIMEOUT_S = 180.0


def main() -> int:
    """Runs the command; returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="make chaos", description="Injects faults into a pipeline and audits the result."
    )
    parser.add_argument("--short", action="store_true", help="inject each fault for seconds only")
    parser.add_argument("--self-check", action="store_true", help="tamper with stored data, which the audit must find")
    parser.add_argument("--json", action="store_true", help="print only a JSON object to standard output")
    parser.add_argument("--only", metavar="NAME", help="only faults whose names begin with it")
    parser.add_argument(
        "--seed", type=int, default=random.SystemRandom().randrange(10**6), help="seed of random choices"
    )
    parser.add_argument("--directory", type=Path, help="new directory, which is kept  [default: a temporary one]")
    options = parser.parse_args()
    for name in [name for name in os.environ if name.startswith(("KAFKA_", "INFLUX_", "RACKSTREAM_"))]:
        if name != "RACKSTREAM_INFLUXD":
            del os.environ[name]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # Only the verdict goes to standard output.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    began_s = time.monotonic()

    def log(text: str) -> None:
        print(f"{time.monotonic() - began_s:6.1f} s  {text}", file=sys.stderr, flush=True)

    with _directory(options.directory) as directory:
        verdict = _self_check(directory, log) if options.self_check else _run(directory, options, log)
    out = sys.stderr if options.json else sys.stdout
    for note in verdict.notes:
        print(f"  {note}", file=out)
    if not options.json:
        print(
            f"{verdict.records} records audited: {verdict.lost} lost, {verdict.stored_twice} stored twice, "
            f"{verdict.out_of_order} out of order, {verdict.false_alerts} false alerts"
        )
    print(verdict.as_json(), flush=True)
    if options.self_check:
        return 0 if (verdict.lost, verdict.stored_twice, verdict.false_alerts) == (1, 1, 1) else 1
    return 0 if verdict.passed else 1


@contextlib.contextmanager
def _directory(path: Path | None) -> Iterator[Path]:
    if path is not None:
        path.mkdir(parents=True)
        yield path.resolve()
        return
    temporary = Path(tempfile.mkdtemp(prefix="rackstream-chaos-"))
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _self_check(directory: Path, log: Log) -> Verdict:
    with Testbed(directory, log, small=True) as testbed:
        return audit_self_check.check(testbed, log)


def _run(directory: Path, options: argparse.Namespace, log: Log) -> Verdict:
    def is_selected(name: str) -> bool:
        return options.only is None or name.startswith(options.only)

    verdict, rng = Verdict(), random.Random(options.seed)
    log(f"chaos: seed {options.seed}")
    selected = [fault for fault in faults.FAULTS if is_selected(fault.name)]
    if selected:
        _run_on_testbed(directory / "pipeline", selected, rng, verdict, short=options.short, log=log)
    if is_selected("leader lost"):
        standalone_faults.leader_lost(directory / "leader", log, verdict, rounds=1 if options.short else 5)
    if is_selected("retention"):
        standalone_faults.retention_overtakes(directory / "retention", log, verdict)
    return verdict


def _run_on_testbed(
    directory: Path, selected: list[faults.Fault], rng: random.Random, verdict: Verdict, *, short: bool, log: Log
) -> None:
    """Injects faults into one pipeline, one after the other, and audits it."""
    with Testbed(directory, log, disk_mb=512 if short else 4096) as testbed:
        testbed.wait(PAUSE_S)
        for fault in selected:
            if requirement := fault.missing_requirement(testbed):
                log(f"chaos: {fault.name}: skipped, it requires {requirement}")
                continue
            seconds = fault.short_s if short else fault.full_s
            log(f"chaos: {fault.name}, {seconds:g} s")
            fault.inject(testbed, seconds, rng)
            testbed.wait_until(testbed.all_ready, f"all processes ready after: {fault.name}", timeout_s=READY_TIMEOUT_S)
            testbed.wait(PAUSE_S)
        verdict.add_missing("pipeline", testbed.failed_parts())
        testbed.drain()
        log("chaos: audit")
        result = Audit(testbed.pipeline.settings).run()
        expected_alerts = testbed.expected_alerts()
        verdict.add_audit("pipeline", result, expected_alerts=expected_alerts)
        for alert in result.raised.keys() & expected_alerts:
            log(f"chaos: {alert} is a true alert: the producer was down long enough")
        print(result.as_text(), file=sys.stderr)
        if testbed.influx is None:
            log("chaos: no influxd on PATH or in RACKSTREAM_INFLUXD: only files were written and audited")
            return
        differences = influx_check.reconcile(testbed.pipeline.settings)
        verdict.lost += differences.lost + differences.wrong + differences.invented
        verdict.stored_twice += differences.twice
        verdict.notes += [f"InfluxDB: {example}" for example in differences.examples]
        log(
            f"chaos: InfluxDB: {differences.lost} points lost, {differences.wrong} with other values, "
            f"{differences.invented} without a record"
        )


if __name__ == "__main__":
    sys.exit(main())
