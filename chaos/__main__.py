"""`make chaos`: the faults, then the audit of everything on topics and in stores. Exit 0: all that must be 0 is.

make chaos                            every fault at full length, about 50 minutes
make chaos ARGS="--short --json"      as CI runs it; the last line is one JSON object
make chaos ARGS="--self-check"        the audit on trial: it has to find what is spoiled on purpose
make chaos ARGS="--short --only kill" only faults whose names begin so
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
from chaos.testbed import Stage
from chaos.verdict import Verdict
from rackstream.audit.audit import Audit

Say = Callable[[str], None]
BETWEEN_S = 4.0
"""Between two faults, in which all must be ready again."""
READY_S = 180.0


def main() -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="make chaos", description="The pipeline under faults, and the audit of it.")
    parser.add_argument("--short", action="store_true", help="each fault for seconds only")
    parser.add_argument("--self-check", action="store_true", help="spoil what is stored; the audit has to find it")
    parser.add_argument("--json", action="store_true", help="nothing but one JSON object on standard output")
    parser.add_argument("--only", metavar="NAME", help="only faults whose names begin so")
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6), help="of what is random")
    parser.add_argument("--directory", type=Path, help="kept; it must not exist  [default: a temporary one]")
    given = parser.parse_args()
    for name in [each for each in os.environ if each.startswith(("KAFKA_", "INFLUX_", "RACKSTREAM_"))]:
        if name != "RACKSTREAM_INFLUXD":
            del os.environ[name]
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    structlog.configure(
        logger_factory=structlog.PrintLoggerFactory(sys.stderr)
    )  # the verdict alone goes to standard output
    began_s = time.monotonic()

    def say(text: str) -> None:
        print(f"{time.monotonic() - began_s:6.1f} s  {text}", file=sys.stderr, flush=True)

    with _directory(given.directory) as directory:
        verdict = _self_check(directory, say) if given.self_check else _run(directory, given, say)
    out = sys.stderr if given.json else sys.stdout
    for note in verdict.notes:
        print(f"  {note}", file=out)
    if not given.json:
        print(
            f"{verdict.records} records audited: {verdict.lost} lost, {verdict.stored_twice} stored twice, "
            f"{verdict.out_of_order} out of order, {verdict.false_alerts} false alerts"
        )
    print(verdict.as_json(), flush=True)
    if given.self_check:
        return 0 if (verdict.lost, verdict.stored_twice, verdict.false_alerts) == (1, 1, 1) else 1
    return 0 if verdict.healthy else 1


@contextlib.contextmanager
def _directory(given: Path | None) -> Iterator[Path]:
    if given is not None:
        given.mkdir(parents=True)
        yield given.resolve()
        return
    made = Path(tempfile.mkdtemp(prefix="rackstream-chaos-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _self_check(directory: Path, say: Say) -> Verdict:
    with Stage(directory, say, small=True) as stage:
        return audit_self_check.check(stage, say)


def _run(directory: Path, given: argparse.Namespace, say: Say) -> Verdict:
    def wanted(name: str) -> bool:
        return given.only is None or name.startswith(given.only)

    verdict, chance = Verdict(), random.Random(given.seed)
    say(f"chaos: seed {given.seed}")
    chosen = [each for each in faults.ALL if wanted(each.name)]
    if chosen:
        _pipeline(directory / "pipeline", chosen, chance, verdict, short=given.short, say=say)
    if wanted("leader lost"):
        standalone_faults.leader_lost(directory / "leader", say, verdict, rounds=1 if given.short else 5)
    if wanted("retention"):
        standalone_faults.overtaken(directory / "retention", say, verdict)
    return verdict


def _pipeline(
    directory: Path, chosen: list[faults.Fault], chance: random.Random, verdict: Verdict, *, short: bool, say: Say
) -> None:
    """The faults that one pipeline goes through."""
    with Stage(directory, say, disk_mb=512 if short else 4096) as stage:
        stage.wait(BETWEEN_S)
        for fault in chosen:
            if lacking := fault.lacks(stage):
                say(f"chaos: {fault.name}: skipped, it needs {lacking}")
                continue
            seconds = fault.short_s if short else fault.full_s
            say(f"chaos: {fault.name}, {seconds:g} s")
            fault.play(stage, seconds, chance)
            stage.until(stage.whole, f"all parts ready after: {fault.name}", timeout_s=READY_S)
            stage.wait(BETWEEN_S)
        verdict.miss("pipeline", stage.failed())
        stage.drain()
        say("chaos: audit")
        found = Audit(stage.pipeline.settings).run()
        silences = stage.silences()
        verdict.add("pipeline", found, true=silences)
        for each in found.raised.keys() & silences:
            say(f"chaos: {each} is a true alert: it was down for so long")
        print(found.as_text(), file=sys.stderr)
        if stage.influx is None:
            say("chaos: no influxd on PATH or in RACKSTREAM_INFLUXD: only files were stored in and audited")
            return
        tally = influx_check.recount(stage.pipeline.settings)
        verdict.lost += tally.lost + tally.wrong + tally.invented
        verdict.stored_twice += tally.twice
        verdict.notes += [f"InfluxDB: {example}" for example in tally.examples]
        say(
            f"chaos: InfluxDB: {tally.lost} points lost, {tally.wrong} with other values, "
            f"{tally.invented} that no record leads to"
        )


if __name__ == "__main__":
    sys.exit(main())
