"""Formats values with units, and rates states and readings by tone. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Final

TONES: Final[Mapping[str, str]] = {
    "ok": "good",
    "up": "good",
    "running": "good",
    "alive": "good",
    "live": "good",
    "cleared": "good",
    "warning": "warn",
    "slow": "warn",
    "partial": "warn",
    "late": "warn",
    "paused": "warn",
    "blocked": "warn",
    "critical": "bad",
    "unreachable": "bad",
    "auth_failed": "bad",
    "silent": "bad",
    "crashed": "bad",
}
"""Tone of a state; any other state is idle."""
NEAR_LIMIT_RATIO: Final = 0.9
"""Share of its limit from which a reading is shown as a warning."""
QUEUE_WARNING_RECORDS: Final = 1000
"""Records queued at a producer from which the number is shown as a warning."""
LAG_WARNING_RECORDS: Final = 10_000
"""Lag of a consumer group, in records, from which it is shown as a warning."""


def tone(word: str | None) -> str:
    """Returns `good`, `warn`, `bad` or `idle`."""
    return TONES.get((word or "").lower(), "idle")


def limit_tone(value: float | None, limit: float | None) -> str:
    """Rates a reading by its upper limit. Empty if it is well below, or has no limit."""
    if value is None or not limit or limit <= 0:
        return ""
    return "bad" if value >= limit else "warn" if value >= NEAR_LIMIT_RATIO * limit else ""


def format_number(value: float | None, unit: str = "", digits: int = 0) -> str:
    """Formats a value with its unit; a dash for None."""
    return "–" if value is None else f"{value:,.{digits}f}{unit}"


def quantity(number: int, noun: str) -> str:
    """Formats a count with its noun: 1 record, 2 records."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def format_bytes(value: float | None, unit: str = "B/s") -> str:
    """Formats bytes with the prefix that leaves three digits."""
    if value is None:
        return "–"
    for prefix in ("", "k", "M", "G"):
        if abs(value) < 1000:
            return f"{value:.0f} {prefix}{unit}" if not prefix else f"{value:.1f} {prefix}{unit}"
        value /= 1000
    return f"{value:.1f} T{unit}"


def format_kib(value: float | None) -> str:
    """Formats KiB as bytes with the prefix that leaves three digits."""
    return format_bytes(None if value is None else value * 1024, "B")


def humanize(state: str | None) -> str:
    """A state as lower-case words."""
    return (state or "unknown").replace("_", " ").lower()


def format_age(at: datetime | None, now: datetime) -> str:
    """Formats the time since `at` in one unit; coarse, so that it rarely changes on screen."""
    return "–" if at is None else f"{format_duration((now - at).total_seconds())} ago"


def format_duration(seconds: float) -> str:
    """Formats a duration in one unit."""
    seconds = max(0.0, seconds)
    if seconds < 10:
        return "< 10 s"
    for unit, length, limit in (("s", 1, 60), ("min", 60, 3600), ("h", 3600, 86400)):
        if seconds < limit:
            count = int(seconds // length)
            return f"{count - count % 10 if unit == 's' else count} {unit}"
    return f"{seconds // 86400:.0f} d"
