"""Reports results as text or JSON: each check, where data stops, and how to fix it. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Final, TypedDict

from rackstream.doctor.check import SKIPPED, CheckResult, Results
from rackstream.text.sanitize import printable

TARGET_CHECKS: Final = frozenset(
    {"target", "name", "port", "TLS", "service", "login", "capabilities", "BMC's clock", "connection"}
)
"""Checks that this machine makes on the target itself. Its producer may run elsewhere, and succeed."""
LABELS: Final = {"ok": "ok", "warn": "warn", "fail": "FAIL", "skipped": "–"}


class ReportedCheck(TypedDict):
    """A check, in JSON."""

    check: str
    state: str
    seen: str
    do: str
    more: list[str]


class DoctorReport(TypedDict):
    """The whole report, in JSON."""

    host: str | None
    healthy: bool
    stops_at: str | None
    verdict: str
    do: str
    findings: list[ReportedCheck]


def is_healthy(results: Results) -> bool:
    """True if no check failed or warned."""
    return all(result.state in ("ok", "skipped") for result in results.values())


def stopping_check(results: Results) -> str | None:
    """Returns the first failed check, unless records arrive all the same."""
    failed = [name for name, result in results.items() if result.state == "fail"]
    return next((name for name in failed if not _records_arrive(name, results)), None)


def _records_arrive(name: str, results: Results) -> bool:
    """True if records of the same source arrive although the target is unreachable from here."""
    source, separator, bare_name = name.rpartition(": ")
    records = results.get(f"{source}{separator}records")
    return bare_name in TARGET_CHECKS and records is not None and records.state == "ok"


def verdict(results: Results) -> tuple[str, str]:
    """Returns the summary, and how to fix it; the latter is empty if all is well."""
    name = stopping_check(results)
    if name is not None:
        return f"Data stops here: {_summary(name, results[name])}{_others(name, results)}", results[name].advice
    failed = next((name for name in results if results[name].state == "fail"), None)
    if failed is not None:
        summary = _summary(failed, results[failed])
        return f"Data arrives in Kafka. From this machine, however: {summary}", results[failed].advice
    warned = [name for name in results if results[name].state == "warn"]
    if warned:
        others = f" (and {len(warned) - 1} more, above)" if len(warned) > 1 else ""
        return f"Data flows. Warning: {_summary(warned[0], results[warned[0]])}{others}", results[warned[0]].advice
    return "Data flows; no problems found.", ""


def _others(first: str, results: Results) -> str:
    """Names the other checks that failed and need fixing too."""
    names = [name for name, result in results.items() if result.state == "fail" and name != first]
    return f". Also failed: {', '.join(names)}" if names else ""


def _summary(name: str, result: CheckResult) -> str:
    return f"{name}: {result.observed}"


def to_json(host: str | None, results: Results) -> DoctorReport:
    """Converts the results to JSON's types."""
    summary, advice = verdict(results)
    return {
        "host": host,
        "healthy": is_healthy(results),
        "stops_at": stopping_check(results),
        "verdict": summary,
        "do": advice,
        "findings": [
            {
                "check": name,
                "state": result.state,
                "seen": result.observed,
                "do": result.advice,
                "more": list(result.details),
            }
            for name, result in results.items()
        ],
    }


def render_lines(host: str | None, results: Results, width: int) -> Iterator[str]:
    """Renders the report as text, at most `width` columns wide."""
    yield f"rackstream doctor  {printable(host) if host else 'the whole installation'}"
    yield ""
    name_width = max(map(len, results))
    indent = " " * (name_width + 8)
    skipped = [name for name, result in results.items() if result.observed.startswith(SKIPPED)]
    for name, result in results.items():
        if name in skipped:
            continue
        start = f"{name:<{name_width}}  {LABELS[result.state]:<4}  "
        yield from _wrap(printable(result.observed), start, indent, width)
        for line in result.details:
            yield from _wrap(printable(line), indent + "  ", indent + "    ", width)
    if skipped:
        yield ""
        yield from _wrap(", ".join(skipped), "Skipped, because an earlier check failed: ", "  ", width)
    summary, advice = verdict(results)
    yield ""
    yield from _wrap(printable(summary), "", "  ", width)
    if advice:
        yield from _wrap(printable(advice), "What to do: ", "  ", width)


def _wrap(text: str, start: str, indent: str, width: int) -> Iterator[str]:
    yield from textwrap.wrap(
        text, width, initial_indent=start, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    ) or [start.rstrip()]
