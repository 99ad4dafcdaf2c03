"""Interface between a source and the poll loop: readers, samples, and facts about targets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from schemas.records import PollError


@dataclass
class Problems:
    """Readings missing from a poll, counted by field and cause (not listed per sensor)."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    whole: dict[tuple[str, str], None] = field(default_factory=dict)
    """The entries for which a whole resource or call failed. Only these make a target `partial`: single values are
    missing permanently on many machines."""

    def add(self, field: str, cause: str, count: int = 1, *, whole: bool = False) -> None:
        """Counts missing readings of a field, or (`whole`) the failure of a resource or call."""
        self.counts[field, cause] += count
        if whole:
            self.whole[field, cause] = None

    def merge(self, other: Problems) -> None:
        """Adds the problems of another poll or part of a poll."""
        self.counts.update(other.counts)
        self.whole.update(other.whole)

    def as_records(self) -> list[PollError]:
        """Returns the `errors` of a raw record, most frequent first."""
        return [
            {"field": name, "cause": cause, "count": count, "whole": (name, cause) in self.whole}
            for (name, cause), count in self.counts.most_common()
        ]


@dataclass(frozen=True)
class Sample:
    """Result of polling one host: the raw record's body, and the readings that are missing."""

    body: Mapping[str, Any]
    problems: Problems
    host: str | None = None
    """Host that the sample describes. None: the reader's own host."""


@dataclass(frozen=True)
class TargetFacts:
    """Details for a target's status that its reader has learnt so far. Contains no secrets."""

    requests: int | None = None
    """Requests or calls since the reader was created."""
    request_s: float | None = None
    """Seconds that all of them took together."""
    session_uri: str | None = None
    """Open session on the target, never its token. The next producer of the target deletes it."""
    vendor: str | None = None
    model: str | None = None
    firmware: str | None = None
    """Version of the endpoint: a BMC's firmware, a hypervisor's driver."""
    left_out: tuple[str, ...] = ()
    """Parts that are currently skipped or whose values are stale, such as a VM that hangs."""


class PollFailed(Exception):
    """The poll returned nothing; `status` is a symbol of TargetStatus.status."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


class Reader(Protocol):
    """Reads one target.

    `read` is called by one thread at a time per category, `close` while no read is running.
    """

    @property
    def source(self) -> str:
        """redfish, libvirt or host."""
        ...

    @property
    def host(self) -> str:
        """Name of the target in the fleet."""
        ...

    @property
    def address(self) -> str:
        """Address of the target, without credentials."""
        ...

    @property
    def labels(self) -> Mapping[str, str]:
        """Labels of the target."""
        ...

    @property
    def intervals(self) -> Mapping[str, float]:
        """Category → seconds between two polls."""
        ...

    def read(self, category: str, timeout_s: float) -> Sample | Sequence[Sample]:
        """Polls one category within `timeout_s` seconds.

        Returns:
            One sample, or one per host where a target covers several.

        Raises:
            PollFailed: nothing could be read.
        """
        ...

    def facts(self) -> TargetFacts:
        """Returns what is known now, without I/O or waiting. May be called from any thread."""
        ...

    def abort(self) -> None:
        """Aborts polls in progress; their results are discarded. `close()` is called next."""
        ...

    def close(self) -> None:
        """Closes connections and sessions, at the end and while polling is paused.

        A later `read` reconnects.
        """
        ...
