"""One target of a loop, what many of them add up to, how they change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog

from producers.control.commands import Command
from producers.polling import status
from producers.polling.status import Standing
from producers.reader import Reader

log = structlog.get_logger()
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


@dataclass(frozen=True)
class Change:
    """Readers to begin with, and hosts to end. A host in both has changed: the new reader takes over."""

    added: tuple[Reader, ...] = ()
    removed: frozenset[str] = frozenset()
    known: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The newest TargetStatus of those added that others have polled until now, by host,"""
    gone: tuple[Mapping[str, Any], ...] = ()
    """and of targets that nobody polls and that are none any more."""


def closing(reader: Reader) -> Callable[[], None]:
    """Closes a reader; that it fails is only told."""

    def close() -> None:
        try:
            reader.close()
        except Exception:
            log.exception("reader not closed", host=reader.host)

    return close
