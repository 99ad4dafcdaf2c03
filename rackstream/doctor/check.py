"""Checks, their results, and the scheduler that runs them by dependencies and timeouts."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Final, Literal

from confluent_kafka import KafkaException

from runtime.errors import Failure

State = Literal["ok", "warn", "fail", "skipped"]


@dataclass(frozen=True)
class CheckResult:
    """Result of one check."""

    state: State
    """fail: data stops here. warn: data flows, but something needs attention. skipped: not checked."""
    observed: str
    """The observation, or why the check was skipped."""
    advice: str = ""
    """How to fix it."""
    details: tuple[str, ...] = ()
    """The single items concerned, worst first."""


@dataclass(frozen=True)
class DoctorCheck:
    """A check of the table."""

    name: str
    run: Callable[[], CheckResult]
    """May raise Failure or KafkaException, which become results too."""
    needs: tuple[str, ...] = ()
    """Checks that must not have failed; names that are not in the table are ignored."""
    timeout_s: float = 8.0
    timeout_advice: str = "try again; check its load and the network in between"
    """Advice if the check exceeds its timeout."""
    timeout_state: State = "fail"
    """Result if it does; not `fail` where data would flow all the same."""


Results = Mapping[str, CheckResult]
"""Check → result, in the table's order."""
SKIPPED: Final = "skipped, because this check failed: "
"""Prefix of the observation of a check that was skipped because another failed."""
UNITS: Final = ((120.0, 1.0, "s"), (7200.0, 60.0, "min"), (172800.0, 3600.0, "h"), (float("inf"), 86400.0, "d"))
"""Upper limit in seconds, seconds per unit, unit."""


def ok(observed: str) -> CheckResult:
    """Creates the result of a check without findings."""
    return CheckResult("ok", observed)


def warn(observed: str, advice: str, details: Sequence[str] = ()) -> CheckResult:
    """Creates a result for a problem that does not stop data."""
    return CheckResult("warn", observed, advice, tuple(details))


def fail(observed: str, advice: str, details: Sequence[str] = ()) -> CheckResult:
    """Creates a result for a problem that stops data."""
    return CheckResult("fail", observed, advice, tuple(details))


def skipped(reason: str) -> CheckResult:
    """Creates the result of a check that was not made."""
    return CheckResult("skipped", reason)


def from_failure(error: Failure) -> CheckResult:
    """Converts one of our own errors; its text after a semicolon is the advice."""
    observed, _, advice = str(error).partition("; ")
    return fail(observed, advice)


def duration_text(seconds: float) -> str:
    """Formats a duration: 40 s, 12 min, 3 h, 5 d."""
    return next(f"{seconds / unit:.0f} {name}" for limit, unit, name in UNITS if abs(seconds) < limit)


def run_checks(checks: Sequence[DoctorCheck]) -> dict[str, CheckResult]:
    """Runs checks in parallel, each as soon as the checks it needs are done.

    A check that hangs is abandoned in its thread.
    """
    results: dict[str, CheckResult] = {}
    deadlines: dict[str, float] = {}
    inbox: SimpleQueue[tuple[str, CheckResult]] = SimpleQueue()
    names = {check.name for check in checks}
    while len(results) < len(checks):
        for check in checks:
            if check.name in results or check.name in deadlines or not names & set(check.needs) <= results.keys():
                continue
            if failed := next((need for need in check.needs if _has_failed(results.get(need))), None):
                results[check.name] = skipped(f"{SKIPPED}{failed}")
                continue
            deadlines[check.name] = time.monotonic() + check.timeout_s
            threading.Thread(target=_run, args=(check, inbox), daemon=True, name=f"doctor-{check.name}").start()
        running = {name: deadline_s for name, deadline_s in deadlines.items() if name not in results}
        if not running:
            continue
        try:
            name, result = inbox.get(timeout=max(0.0, min(running.values()) - time.monotonic()))
            results.setdefault(name, result)
        except Empty:
            for check in checks:
                if running.get(check.name, float("inf")) <= time.monotonic():
                    observed = f"no answer within {check.timeout_s:g} s"
                    results[check.name] = CheckResult(check.timeout_state, observed, check.timeout_advice)
    return {check.name: results[check.name] for check in checks}


def _has_failed(result: CheckResult | None) -> bool:
    return result is not None and result.state in ("fail", "skipped")


def _run(check: DoctorCheck, inbox: SimpleQueue[tuple[str, CheckResult]]) -> None:
    try:
        result = check.run()
    except Failure as error:
        result = from_failure(error)
    except KafkaException as error:
        result = fail(f"Kafka did not answer: {error.args[0].str()}", check.timeout_advice)
    except TimeoutError:
        result = fail("no answer in time", check.timeout_advice)
    except Exception as error:  # noqa: BLE001  the other checks go on
        result = warn(f"check crashed: {type(error).__name__}", "this is a bug in rackstream doctor: please report it")
    inbox.put((check.name, result))
