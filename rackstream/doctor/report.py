"""What was found, for people and for programs: a line per check, then where data stops and what to do. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from typing import Any, Final

from rackstream.doctor.check import BARRED, Finding, Found
from rackstream.text.sanitize import printable

AT_SOURCE: Final = frozenset(
    {"target", "name", "port", "TLS", "service", "login", "capabilities", "BMC's clock", "connection"}
)
"""What this machine asks the target itself. Its producer may be elsewhere, and fare better."""
WORDS: Final = {"ok": "ok", "warn": "warn", "fail": "FAIL", "skipped": "–"}


def healthy(found: Found) -> bool:
    """Whether nothing is amiss."""
    return all(each.state in ("ok", "skipped") for each in found.values())


def stop(found: Found) -> str | None:
    """The check where data stops: the first that failed, but for what a producer elsewhere evidently gets past."""
    failed = [name for name, each in found.items() if each.state == "fail"]
    return next((name for name in failed if not _got_past(name, found)), None)


def _got_past(name: str, found: Found) -> bool:
    """Whether records of the same source arrive though the target is not reached from here."""
    source, mark, bare = name.rpartition(": ")
    records = found.get(f"{source}{mark}records")
    return bare in AT_SOURCE and records is not None and records.state == "ok"


def verdict(found: Found) -> tuple[str, str]:
    """Where data stops, or what is amiss; and what to do. The second is empty where nothing is."""
    name = stop(found)
    if name is not None:
        return f"Where data stops: {_told(name, found[name])}{_others(name, found)}", found[name].do
    here = next((each for each in found if found[each].state == "fail"), None)
    if here is not None:
        return f"Data arrives at Kafka all the same. From here, though: {_told(here, found[here])}", found[here].do
    amiss = [each for each in found if found[each].state == "warn"]
    if amiss:
        others = f" (and {len(amiss) - 1} more, above)" if len(amiss) > 1 else ""
        return f"Data flows. What is amiss: {_told(amiss[0], found[amiss[0]])}{others}", found[amiss[0]].do
    return "Data flows; nothing is amiss.", ""


def _others(first: str, found: Found) -> str:
    """What failed besides, and has to be mended too."""
    names = [name for name, each in found.items() if each.state == "fail" and name != first]
    return f". After that: {', '.join(names)}" if names else ""


def _told(name: str, finding: Finding) -> str:
    return f"{name}: {finding.seen}"


def as_plain(host: str | None, found: Found) -> dict[str, Any]:
    """For JSON."""
    where, do = verdict(found)
    return {
        "host": host,
        "healthy": healthy(found),
        "stops_at": stop(found),
        "verdict": where,
        "do": do,
        "findings": [
            {"check": name, "state": each.state, "seen": each.seen, "do": each.do, "more": list(each.more)}
            for name, each in found.items()
        ],
    }


def lines(host: str | None, found: Found, width: int) -> Iterator[str]:
    """For people, at most `width` columns wide."""
    yield f"rackstream doctor  {printable(host) if host else 'the whole installation'}"
    yield ""
    names = max(map(len, found))
    indent = " " * (names + 8)
    barred = [name for name, each in found.items() if each.seen.startswith(BARRED)]
    for name, each in found.items():
        if name in barred:
            continue
        start = f"{name:<{names}}  {WORDS[each.state]:<4}  "
        yield from _wrapped(printable(each.seen), start, indent, width)
        for line in each.more:
            yield from _wrapped(printable(line), indent + "  ", indent + "    ", width)
    if barred:
        yield ""
        yield from _wrapped(", ".join(barred), "Not looked at, for what comes before failed: ", "  ", width)
    where, do = verdict(found)
    yield ""
    yield from _wrapped(printable(where), "", "  ", width)
    if do:
        yield from _wrapped(printable(do), "What to do: ", "  ", width)


def _wrapped(text: str, start: str, indent: str, width: int) -> Iterator[str]:
    yield from textwrap.wrap(
        text, width, initial_indent=start, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    ) or [start.rstrip()]
