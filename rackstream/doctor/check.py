"""What a check found, and the walk over a table of checks: which one needs which, and how long each may take."""

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
class Finding:
    """What one check found."""

    state: State
    """fail: data stops here. warn: it flows, and something is amiss. skipped: not looked at."""
    seen: str
    """What was seen, or why nothing was looked at."""
    do: str = ""
    """What to do about it."""
    more: tuple[str, ...] = ()
    """Single things that it is about, the worst first."""


@dataclass(frozen=True)
class Check:
    """One thing to look at."""

    name: str
    run: Callable[[], Finding]
    """May raise Failure or KafkaException, which are findings too."""
    needs: tuple[str, ...] = ()
    """Checks that must not have failed; those that are not in the table do not count."""
    limit_s: float = 8.0
    late: str = "what is asked does not answer: try again, and look at its load and the network in between"
    """What to do when it takes longer than that."""
    late_is: State = "fail"
    """What it is then; not a failure where data would flow all the same."""


Found = Mapping[str, Finding]
"""Check → what it found, in the table's order."""
BARRED: Final = "not looked at, for there is no way past: "
"""How what is seen begins of a check that was not run, for another one failed."""
SHORT: Final = ((120.0, 1.0, "s"), (7200.0, 60.0, "min"), (172800.0, 3600.0, "h"), (float("inf"), 86400.0, "d"))


def ok(seen: str) -> Finding:
    """All is well."""
    return Finding("ok", seen)


def warn(seen: str, do: str, more: Sequence[str] = ()) -> Finding:
    """Data flows, and something is amiss."""
    return Finding("warn", seen, do, tuple(more))


def fail(seen: str, do: str, more: Sequence[str] = ()) -> Finding:
    """Data stops here."""
    return Finding("fail", seen, do, tuple(more))


def skipped(why: str) -> Finding:
    """Not looked at."""
    return Finding("skipped", why)


def of_failure(error: Failure) -> Finding:
    """An error of ours; what follows a semicolon says what to do."""
    seen, _, do = str(error).partition("; ")
    return fail(seen, do)


def ago(seconds: float) -> str:
    """A length of time as people say it: 40 s, 12 min, 3 h, 5 d."""
    return next(f"{seconds / unit:.0f} {name}" for under, unit, name in SHORT if abs(seconds) < under)


def count(number: int, what: str) -> str:
    """1 record, 2 records."""
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def walk(checks: Sequence[Check]) -> dict[str, Finding]:
    """Runs checks at once, each as soon as what it needs is known. One that hangs is left behind in its thread."""
    found: dict[str, Finding] = {}
    deadlines: dict[str, float] = {}
    inbox: SimpleQueue[tuple[str, Finding]] = SimpleQueue()
    names = {check.name for check in checks}
    while len(found) < len(checks):
        for check in checks:
            if check.name in found or check.name in deadlines or not names & set(check.needs) <= found.keys():
                continue
            if barred := next((need for need in check.needs if _bars(found.get(need))), None):
                found[check.name] = skipped(f"{BARRED}{barred}")
                continue
            deadlines[check.name] = time.monotonic() + check.limit_s
            threading.Thread(target=_run, args=(check, inbox), daemon=True, name=f"doctor-{check.name}").start()
        waiting = {name: at_s for name, at_s in deadlines.items() if name not in found}
        if not waiting:
            continue
        try:
            name, finding = inbox.get(timeout=max(0.0, min(waiting.values()) - time.monotonic()))
            found.setdefault(name, finding)
        except Empty:
            for check in checks:
                if waiting.get(check.name, float("inf")) <= time.monotonic():
                    found[check.name] = Finding(check.late_is, f"no answer within {check.limit_s:g} s", check.late)
    return {check.name: found[check.name] for check in checks}


def _bars(finding: Finding | None) -> bool:
    return finding is not None and finding.state in ("fail", "skipped")


def _run(check: Check, inbox: SimpleQueue[tuple[str, Finding]]) -> None:
    try:
        finding = check.run()
    except Failure as error:
        finding = of_failure(error)
    except KafkaException as error:
        finding = fail(f"Kafka did not answer: {error.args[0].str()}", check.late)
    except TimeoutError:
        finding = fail("no answer in time", check.late)
    except Exception as error:  # noqa: BLE001  the others have to be told all the same
        finding = warn(f"could not be looked at: {type(error).__name__}", "this is a fault of the doctor: report it")
    inbox.put((check.name, finding))
