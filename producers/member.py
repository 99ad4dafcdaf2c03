"""One target of a loop, and what many of them add up to. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any, Final

from producers import status
from producers.control import Command
from producers.reader import Reader
from producers.status import Standing

LISTED: Final = 100
"""A heartbeat lists so many of the targets that cannot be read, and of those that are stopped; beyond, it counts."""


@dataclass(eq=False)
class Member:
    """One target."""

    reader: Reader
    standing: Standing
    running: int = 0
    """Its polls under way."""
    polled: bool = False
    """New polls of it may begin."""
    leaving: bool = False
    released: bool = False
    """It leaves for another producer of the group, not for good."""
    closing: bool = False
    """Its reader is being closed, for it is stopped."""
    command: Command | None = None
    """What is commanded of it."""
    failed: bool = False
    """It could not be read when it was stopped."""

    @property
    def stopped(self) -> bool:
        """Whether a command stops it."""
        return self.standing.stopped_by is not None


def counts(members: Collection[Member]) -> dict[str, int]:
    """Status → how many there are; each status is named."""
    found = Counter(member.standing.status for member in members)
    return dict.fromkeys(("unknown", "stopped", *status.WORSE), 0) | found


def unheard(members: Collection[Member]) -> dict[str, Any]:
    """What a heartbeat says of those that cannot be read, and of those that are stopped."""
    failing = [member for member in members if member.standing.status in status.SILENT]
    stopped = sorted((member for member in members if member.stopped), key=lambda member: not member.failed)
    return {
        "failing": [
            {"host": each.reader.host, "status": each.standing.status, "labels": dict(each.reader.labels)}
            for each in failing[:LISTED]
        ],
        "failing_count": len(failing),
        "stopped": [each.reader.host for each in stopped[:LISTED]],
        "stopped_count": len(stopped),
    }
