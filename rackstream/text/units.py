"""Values as people read them, in terminals and on the page: with units, and what a word or reading means. Pure."""

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
"""What a state's word means; any other is idle."""
NEAR: Final = 0.9
"""The share of its limit from which a reading is one to look at."""
MANY_QUEUED: Final = 1000
"""Records that wait at a producer: more are told as a warning."""
MANY_BEHIND: Final = 10_000
"""The same of records that a consumer group has not committed."""


def tone(word: str | None) -> str:
    """good, warn, bad or idle."""
    return TONES.get((word or "").lower(), "idle")


def near(value: float | None, limit: float | None) -> str:
    """The tone of a reading by its upper limit; empty: it is well below, or has none."""
    if value is None or not limit or limit <= 0:
        return ""
    return "bad" if value >= limit else "warn" if value >= NEAR * limit else ""


def number(value: float | None, unit: str = "", digits: int = 0) -> str:
    """A value with its unit, or a dash where there is none."""
    return "–" if value is None else f"{value:,.{digits}f}{unit}"


def size(value: float | None, unit: str = "B/s") -> str:
    """Bytes in the unit that keeps three digits."""
    if value is None:
        return "–"
    for prefix in ("", "k", "M", "G"):
        if abs(value) < 1000:
            return f"{value:.0f} {prefix}{unit}" if not prefix else f"{value:.1f} {prefix}{unit}"
        value /= 1000
    return f"{value:.1f} T{unit}"


def kib(value: float | None) -> str:
    """KiB as bytes in the unit that keeps three digits."""
    return size(None if value is None else value * 1024, "B")


def words(state: str | None) -> str:
    """A state as its words."""
    return (state or "unknown").replace("_", " ").lower()


def age(at: datetime | None, now: datetime) -> str:
    """How long ago, in the one unit that says it; coarse, so that it changes seldom."""
    return "–" if at is None else f"{span((now - at).total_seconds())} ago"


def span(seconds: float) -> str:
    """A length of time in one unit."""
    seconds = max(0.0, seconds)
    if seconds < 10:
        return "< 10 s"
    for unit, length, most in (("s", 1, 60), ("min", 60, 3600), ("h", 3600, 86400)):
        if seconds < most:
            whole = int(seconds // length)
            return f"{whole - whole % 10 if unit == 's' else whole} {unit}"
    return f"{seconds // 86400:.0f} d"
