"""How targets stand: what polls and facts add up to, and when that has to be written. Pure: it is told the time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from producers.control import commands
from producers.control.commands import Command
from producers.polling.schedule import Poll
from producers.reader import Facts, PollFailed, Reader, Sample

REWRITTEN_S: Final = 600.0
"""A status that does not change is written again this often."""
DETAIL_S: Final = 60.0
"""One of which only the detail changes, at most this often: it may hold figures."""
WORSE: Final = ("up", "partial", "slow", "late", "auth_failed", "unreachable")
"""Statuses, each worse than the one before it."""
SILENT: Final = frozenset({"auth_failed", "unreachable"})
"""Those of a poll to which the target said nothing."""
NOT_POLLED: Final = "not polled yet"


@dataclass(frozen=True)
class Outcome:
    """How one poll went."""

    category: str
    status: str
    detail: str
    duration_s: float
    late: int = 0
    """Polls of this category that were not made when they were due."""
    failed: bool = False

    @property
    def silent(self) -> bool:
        """The target said nothing."""
        return self.status in SILENT


def outcome(poll: Poll[Any], samples: Iterable[Sample], error: PollFailed | None, duration_s: float) -> Outcome:
    """What a poll says of its target: `samples`, or the error instead of them."""
    category, late = poll.task.category, int(poll.late)
    if error is not None:
        return Outcome(category, error.status, str(error), duration_s, late, failed=True)
    if duration_s > poll.task.interval_s:
        status, detail = "slow", f"{category} took {duration_s:.1f} s, more than its interval"
    elif poll.late and poll.crowded:
        status, detail = "slow", f"{category} began {poll.late_s:.1f} s late, after other polls that took long"
    elif poll.late:
        status, detail = "late", f"{category} began {poll.late_s:.1f} s late: this producer has too much to do"
    else:
        lost = {place: None for sample in samples for place in sample.problems.whole}
        status, detail = "partial" if lost else "up", "; ".join(f"{where}: {cause}" for where, cause in lost)
    return Outcome(category, status, detail, duration_s, late)


@dataclass
class Counts:
    """Polls of one target in this epoch."""

    polls: int = 0
    failures: int = 0
    late: int = 0


@dataclass
class Standing:
    """How one target stands."""

    since: datetime
    status: str = "unknown"
    detail: str = NOT_POLLED
    counts: Counts = field(default_factory=Counts)
    duration_s: float | None = None
    facts: Facts = field(default_factory=Facts)
    stopped_by: str | None = None
    """Who commanded that it is not polled."""
    _categories: dict[str, Outcome] = field(default_factory=dict)
    """The last of each."""
    _down: bool = False
    _written_s: float = float("-inf")
    _written: tuple[Any, ...] = ()

    @classmethod
    def after(cls, known: Mapping[str, Any] | None, at: datetime) -> Standing:
        """Of a target that begins to be polled; `known`: its newest record, by whichever producer."""
        if known is not None and known["stopped_by"] is not None and not known["removed"]:
            return cls(known["since"], "stopped", known["detail"], stopped_by=known["stopped_by"])
        if known is None or known["removed"] or known["status"] == "stopped":
            return cls(at)
        # What its last producer said holds until its first poll here, and does not begin anew with it.
        return cls(known["since"], known["status"], known["detail"])

    def take(self, result: Outcome, facts: Facts, at: datetime, *, down: bool) -> bool:
        """Counts a poll; whether the status is another now. `down`: the target did not answer lately."""
        if self._down and not down:  # it is back: what it did not say meanwhile is no news of it
            self._categories = {name: each for name, each in self._categories.items() if not each.silent}
        self._down = down
        self._categories[result.category] = result
        self.counts.polls += 1
        self.counts.failures += result.failed
        self.counts.late += result.late
        self.duration_s, self.facts = result.duration_s, facts
        status, self.detail = (result.status, result.detail) if down else self._worst()
        changed = status != self.status
        if changed:
            self.status, self.since = status, at
        return changed

    def end(self, at: datetime, detail: str) -> None:
        """It is not polled any more."""
        self.status, self.since, self.detail, self.stopped_by = "stopped", at, detail, None

    def halt(self, command: Command, at: datetime) -> None:
        """It is not polled while this command holds."""
        if self.stopped_by is None:
            self.since = at
        self.status, self.detail, self.stopped_by = "stopped", commands.words(command), command["by"]

    def resume(self, at: datetime) -> None:
        """It is polled again: what it was before is no news of it."""
        self.status, self.since, self.detail, self.stopped_by = "unknown", at, NOT_POLLED, None
        self._categories, self._down, self._written = {}, False, ()

    def handed_on(self) -> Standing:
        """Of the same target with another reader: what was found holds until that one's first poll."""
        return Standing(self.since, self.status, self.detail, self.counts, stopped_by=self.stopped_by)

    def due(self, now_s: float) -> bool:
        """Whether it has to be written now; if so, it counts as written."""
        told = (self.status, self.facts.session_uri, self.facts.left_out)
        age_s = now_s - self._written_s
        if (*told, self.detail) == self._written and age_s < REWRITTEN_S:
            return False
        if told == self._written[:-1] and age_s < DETAIL_S:
            return False
        self._written, self._written_s = (*told, self.detail), now_s
        return True

    def _worst(self) -> tuple[str, str]:
        """The worst of the categories. One that gives nothing does not make a target unreachable that answers."""
        answers = not all(one.silent for one in self._categories.values())
        each = [
            ("partial", f"{one.category}: {one.detail}") if one.silent and answers else (one.status, one.detail)
            for one in self._categories.values()
        ]
        return max(each, key=lambda one: WORSE.index(one[0]))


@dataclass(frozen=True)
class Author:
    """Who says how a target stands."""

    producer: str
    epoch: str
    control_offset: int | None
    """Of the last record of the control topic that it has obeyed."""


def record(
    reader: Reader, standing: Standing, at: datetime, *, author: Author, removed: bool = False
) -> dict[str, Any]:
    """The TargetStatus."""
    facts = standing.facts
    return {
        "source": reader.source,
        "host": reader.host,
        "address": reader.address,
        "status": standing.status,
        "detail": standing.detail,
        "since": standing.since,
        "observed_at": at,
        "producer": author.producer,
        "epoch": author.epoch,
        "polls": standing.counts.polls,
        "failures": standing.counts.failures,
        "late": standing.counts.late,
        "duration_s": standing.duration_s,
        "labels": dict(reader.labels),
        "requests": facts.requests,
        "request_mean_s": facts.request_s / facts.requests if facts.requests and facts.request_s is not None else None,
        "session_uri": facts.session_uri,
        "vendor": facts.vendor,
        "model": facts.model,
        "firmware": facts.firmware,
        "left_out": list(facts.left_out),
        "removed": removed,
        "stopped_by": standing.stopped_by,
        "control_offset": author.control_offset,
    }
