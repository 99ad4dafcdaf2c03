"""Times as people type them at a command line. Pure: the caller says what time it is."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

from runtime.errors import Misconfigured

AGO: Final = re.compile(r"-(?=\d)(?:(?P<days>\d+)d)?(?:(?P<hours>\d+)h)?(?:(?P<minutes>\d+)m)?(?:(?P<seconds>\d+)s)?")


def moment(text: str, now: datetime) -> datetime:
    """The time that a text says, in UTC. One without a zone is UTC.

    Raises:
        Misconfigured: it says none.
    """
    try:
        if text == "now":
            return now
        if ago := AGO.fullmatch(text):
            return now - _length(ago)
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else at.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise Misconfigured(
            f"{text!r} is no time: give ISO 8601 (2026-01-02, 2026-01-02T03:04, 2026-01-02T03:04:05+01:00; UTC unless "
            "it says otherwise), how long ago (-2h, -90m, -1d12h) or now"
        ) from None


def _length(found: re.Match[str]) -> timedelta:
    return timedelta(**{unit: int(count) for unit, count in found.groupdict(default="0").items()})


def duration(text: str) -> timedelta:
    """How long a text says.

    Raises:
        Misconfigured: it says nothing of the kind.
    """
    try:
        if found := AGO.fullmatch(f"-{text}"):
            return _length(found)
    except OverflowError:
        pass
    raise Misconfigured(f"{text!r} is no duration: give 90m, 2h or 1d12h")


def period(since: str, until: str, now: datetime) -> tuple[datetime, datetime]:
    """From when until when, the end excluded.

    Raises:
        Misconfigured: a text is no time, or the first is not before the second.
    """
    first, end = moment(since, now), moment(until, now)
    if first >= end:
        raise Misconfigured(f"{since} ({first.isoformat()}) is not before {until} ({end.isoformat()})")
    return first, end
