"""Parses times and durations typed on a command line. Pure: callers pass the current time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from runtime.errors import Misconfigured

AGO_PATTERN: Final = re.compile(
    r"-(?=\d)(?:(?P<days>\d+)d)?(?:(?P<hours>\d+)h)?(?:(?P<minutes>\d+)m)?(?:(?P<seconds>\d+)s)?"
)


def parse_time(text: str, now: datetime) -> datetime:
    """Parses ISO 8601, `now`, or a time ago such as `-2h`, into UTC. Without a zone it is UTC.

    Raises:
        Misconfigured: The text is none of these.
    """
    try:
        if text == "now":
            return now
        if ago := AGO_PATTERN.fullmatch(text):
            return now - _to_timedelta(ago)
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise Misconfigured(
            f"{text!r} is not a time: give ISO 8601 (2026-01-02, 2026-01-02T03:04, 2026-01-02T03:04:05+01:00; UTC by "
            "default), a time ago (-2h, -90m, -1d12h) or now"
        ) from None


def _to_timedelta(match: re.Match[str]) -> timedelta:
    return timedelta(**{unit: int(count) for unit, count in match.groupdict(default="0").items()})


def parse_duration(text: str) -> timedelta:
    """Parses a duration such as `90m` or `1d12h`.

    Raises:
        Misconfigured: The text is not a duration.
    """
    try:
        if match := AGO_PATTERN.fullmatch(f"-{text}"):
            return _to_timedelta(match)
    except OverflowError:
        pass
    raise Misconfigured(f"{text!r} is not a duration: give 90m, 2h or 1d12h")


def parse_period(since: str, until: str, now: datetime) -> tuple[datetime, datetime]:
    """Parses a start and an end time; the end is exclusive.

    Raises:
        Misconfigured: A text is not a time, or the start is not before the end.
    """
    first, end = parse_time(since, now), parse_time(until, now)
    if first >= end:
        raise Misconfigured(f"{since} ({first.isoformat()}) is not before {until} ({end.isoformat()})")
    return first, end
