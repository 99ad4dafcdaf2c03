"""State of one target in a poll loop; summaries of many for heartbeats and metrics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, TypedDict

from producers.polling import status
from producers.polling.status import StatusTracker
from producers.reader import Reader
from schemas.records import Control, FailingTarget, TargetStatus

MAX_LISTED: Final = 100
"""Failing and stopped targets listed in a heartbeat; further ones are only counted."""


@dataclass(eq=False)
class PolledTarget:
    """Target of a poll loop, with its reader and status."""

    reader: Reader
    tracker: StatusTracker
    polls_running: int = 0
    is_polled: bool = False
    """True if new polls may start."""
    is_leaving: bool = False
    """True if it is closed after its last poll, for good or for another producer."""
    is_released: bool = False
    """True if it leaves for another producer of the group."""
    is_closing: bool = False
    """True while its reader is being closed."""
    command: Control | None = None
    """Command that applies to it."""
    was_failing: bool = False
    """True if it could not be read when it was stopped."""

    @property
    def host(self) -> str:
        """Name in the fleet."""
        return self.reader.host

    @property
    def is_stopped(self) -> bool:
        """True if a command stops it."""
        return self.tracker.stopped_by is not None


class HeartbeatLists(TypedDict):
    """Fields of a heartbeat about failing and stopped targets."""

    failing: list[FailingTarget]
    failing_count: int
    stopped: list[str]
    stopped_count: int


def count_by_status(targets: Collection[PolledTarget]) -> dict[str, int]:
    """Returns the number of targets of every status, zero included."""
    counts = Counter[str](target.tracker.status for target in targets)
    return dict.fromkeys(("unknown", "stopped", *status.STATUSES_BY_SEVERITY), 0) | dict(counts)


def heartbeat_lists(targets: Collection[PolledTarget]) -> HeartbeatLists:
    """Lists failing and stopped targets for a heartbeat, from which presence is derived."""
    failing = [target for target in targets if target.tracker.status in status.FAILING_STATUSES]
    stopped = sorted((target for target in targets if target.is_stopped), key=lambda target: not target.was_failing)
    return {
        "failing": [
            {"host": target.host, "status": target.tracker.status, "labels": dict(target.reader.labels)}
            for target in failing[:MAX_LISTED]
        ],
        "failing_count": len(failing),
        "stopped": [target.host for target in stopped[:MAX_LISTED]],
        "stopped_count": len(stopped),
    }


@dataclass(frozen=True)
class TargetChange:
    """Readers to start and hosts to end.

    A host in both has changed: the new reader replaces the old one.
    """

    added: tuple[Reader, ...] = ()
    removed: frozenset[str] = frozenset()
    last_statuses: Mapping[str, TargetStatus] = field(default_factory=dict)
    """Host → latest status, of added targets that other producers polled until now."""
    vanished: tuple[TargetStatus, ...] = ()
    """Latest statuses of removed targets that no producer polls any longer."""
