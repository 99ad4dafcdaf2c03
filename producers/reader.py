"""What a source gives the loop: a reader per target, samples per poll, facts for its status. No Kafka, no schedule."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from schemas.records import PollError


@dataclass
class Problems:
    """Readings that were not got, counted by field and cause: one line per cause, not one per sensor."""

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    whole: dict[tuple[str, str], None] = field(default_factory=dict)
    """Those that are a whole resource or call; only these make a target partial. Many a single value never comes."""

    def add(self, field: str, cause: str, count: int = 1, *, whole: bool = False) -> None:
        """Notes that `count` readings of a field were not got, or (`whole`) that a resource or call failed."""
        self.counts[field, cause] += count
        if whole:
            self.whole[field, cause] = None

    def merge(self, other: Problems) -> None:
        """Takes those of another poll or part in."""
        self.counts.update(other.counts)
        self.whole.update(other.whole)

    def as_records(self) -> list[PollError]:
        """For the `errors` of a raw record, most frequent first."""
        return [
            {"field": name, "cause": cause, "count": count, "whole": (name, cause) in self.whole}
            for (name, cause), count in self.counts.most_common()
        ]


@dataclass(frozen=True)
class Sample:
    """One poll of one host: the fields of the raw record beyond its header, and what could not be read."""

    body: dict[str, Any]
    problems: Problems
    host: str | None = None
    """What it is about; None: the reader's own host."""


@dataclass(frozen=True)
class Facts:
    """What a target's status says beyond its polls, as far as it is known. Nothing of it is secret."""

    requests: int | None = None
    """Requests made, or calls, since the reader began."""
    request_s: float | None = None
    """Seconds they took, all together."""
    session_uri: str | None = None
    """The session that is open there, so that whoever takes over can delete it. Never its token."""
    vendor: str | None = None
    model: str | None = None
    firmware: str | None = None
    """Version of what answers: a BMC's firmware, a hypervisor's driver."""
    left_out: tuple[str, ...] = ()
    """Parts that are not asked for now, or whose figures are stale, such as a VM that hangs."""


class PollFailed(Exception):
    """Nothing was read. `status` is a symbol of TargetStatus.status: unreachable, auth_failed, …."""

    def __init__(self, status: str, message: str) -> None:
        super().__init__(message)
        self.status = status


class Reader(Protocol):
    """One target. The loop calls `read` from one thread at a time per category, and `close` while nobody reads."""

    @property
    def source(self) -> str:
        """redfish, libvirt or host."""
        ...

    @property
    def host(self) -> str:
        """The fleet's name of what is read."""
        ...

    @property
    def address(self) -> str:
        """Where it is, without credentials."""
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
        """Polls one category within `timeout_s` seconds: one sample, or one per host where a target has several.

        Raises:
            PollFailed: nothing could be read.
        """
        ...

    def facts(self) -> Facts:
        """What is known now; asks nobody and does not wait. Called from any thread."""
        ...

    def hurry(self) -> None:
        """Has polls under way end soon, with or without a result: nobody waits for it. `close` follows."""
        ...

    def close(self) -> None:
        """Lets connections and sessions go, at the end and while the target is stopped; a later `read` opens anew."""
        ...
