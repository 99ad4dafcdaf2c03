"""Status of a target: derived from its polls, and published when it changes.

Pure: the caller passes the time.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple, cast

from producers.polling.schedule import Key, Poll
from producers.reader import PollFailed, Reader, Sample, TargetFacts
from schemas import commands
from schemas.records import Control, Status, TargetStatus

REPUBLISH_S: Final = 600.0
"""An unchanged status is published again this often."""
DETAIL_REPUBLISH_S: Final = 60.0
"""A change of only the detail, which may contain measured values, is published at most this often."""
STATUSES_BY_SEVERITY: Final[tuple[Status, ...]] = ("up", "partial", "slow", "late", "auth_failed", "unreachable")
"""Statuses of polled targets, the best first."""
FAILING_STATUSES: Final[frozenset[Status]] = frozenset({"auth_failed", "unreachable"})
"""Statuses of targets that give no data."""
NOT_POLLED: Final = "not polled yet"


@dataclass(frozen=True)
class PollOutcome:
    """Result of one poll, as far as the target's status goes."""

    category: str
    status: Status
    detail: str
    duration_s: float
    late: int = 0
    """Polls of this category that were not made when they were due."""
    failed: bool = False

    @property
    def is_unanswered(self) -> bool:
        """True if the target gave no data."""
        return self.status in FAILING_STATUSES


def evaluate_poll(
    poll: Poll[Key], samples: Iterable[Sample], error: PollFailed | None, duration_s: float
) -> PollOutcome:
    """Evaluates a poll that returned `samples` or failed with `error`."""
    category, late = poll.task.category, int(poll.is_late)
    if error is not None:
        return PollOutcome(category, cast("Status", error.status), str(error), duration_s, late, failed=True)
    status: Status
    if duration_s > poll.task.interval_s:
        status, detail = "slow", f"{category} took {duration_s:.1f} s, more than its interval"
    elif poll.is_late and poll.delayed_by_target:
        status, detail = "slow", f"{category} began {poll.late_s:.1f} s late, after other polls that took long"
    elif poll.is_late:
        status, detail = "late", f"{category} began {poll.late_s:.1f} s late: this producer is overloaded"
    else:
        missing = {problem: None for sample in samples for problem in sample.problems.whole}
        status, detail = "partial" if missing else "up", "; ".join(f"{name}: {cause}" for name, cause in missing)
    return PollOutcome(category, status, detail, duration_s, late)


@dataclass
class PollCounts:
    """Polls of one target in this epoch."""

    polls: int = 0
    failures: int = 0
    late: int = 0


class _Published(NamedTuple):
    """Fields whose change makes a status due."""

    status: Status
    session_uri: str | None
    left_out: tuple[str, ...]
    detail: str


@dataclass
class StatusTracker:
    """Current status of one target."""

    since: datetime
    status: Status = "unknown"
    detail: str = NOT_POLLED
    counts: PollCounts = field(default_factory=PollCounts)
    duration_s: float | None = None
    facts: TargetFacts = field(default_factory=TargetFacts)
    stopped_by: str | None = None
    """Who commanded that it is not polled."""
    _outcomes: dict[str, PollOutcome] = field(default_factory=dict)
    """Category → last outcome."""
    _is_down: bool = False
    _published_s: float = float("-inf")
    _published: _Published | None = None

    @classmethod
    def from_last_status(cls, last: TargetStatus | None, at: datetime) -> StatusTracker:
        """Starts from the latest status of the target, published by any producer."""
        if last is not None and last["stopped_by"] is not None and not last["removed"]:
            return cls(last["since"], "stopped", last["detail"], stopped_by=last["stopped_by"])
        if last is None or last["removed"] or last["status"] == "stopped":
            return cls(at)
        # The status holds until the first poll by this producer, and keeps its beginning.
        return cls(last["since"], last["status"], last["detail"])

    def record_poll(self, outcome: PollOutcome, facts: TargetFacts, at: datetime, *, down: bool) -> bool:
        """Records a poll; returns True if the status has changed.

        `down`: the target has not answered recently.
        """
        if self._is_down and not down:  # it answers again: failures of other categories are outdated
            self._outcomes = {name: earlier for name, earlier in self._outcomes.items() if not earlier.is_unanswered}
        self._is_down = down
        self._outcomes[outcome.category] = outcome
        self.counts.polls += 1
        self.counts.failures += outcome.failed
        self.counts.late += outcome.late
        self.duration_s, self.facts = outcome.duration_s, facts
        status, self.detail = (outcome.status, outcome.detail) if down else self._worst_status()
        has_changed = status != self.status
        if has_changed:
            self.status, self.since = status, at
        return has_changed

    def mark_ended(self, at: datetime, detail: str) -> None:
        """Marks the target as no longer polled by this producer."""
        self.status, self.since, self.detail, self.stopped_by = "stopped", at, detail, None

    def mark_stopped(self, command: Control, at: datetime) -> None:
        """Marks the target as stopped by a command."""
        if self.stopped_by is None:
            self.since = at
        self.status, self.detail, self.stopped_by = "stopped", commands.describe_stop(command), command["by"]

    def mark_resumed(self, at: datetime) -> None:
        """Marks the target as polled again; its status before the stop is outdated."""
        self.status, self.since, self.detail, self.stopped_by = "unknown", at, NOT_POLLED, None
        self._outcomes, self._is_down, self._published = {}, False, None

    def for_new_reader(self) -> StatusTracker:
        """Returns the tracker for another reader; the status holds until its first poll."""
        return StatusTracker(self.since, self.status, self.detail, self.counts, stopped_by=self.stopped_by)

    def should_publish(self, now_s: float) -> bool:
        """True if the status has to be published now. It then counts as published."""
        current = _Published(self.status, self.facts.session_uri, self.facts.left_out, self.detail)
        age_s = now_s - self._published_s
        if current == self._published and age_s < REPUBLISH_S:
            return False
        if self._published is not None and current[:-1] == self._published[:-1] and age_s < DETAIL_REPUBLISH_S:
            return False
        self._published, self._published_s = current, now_s
        return True

    def _worst_status(self) -> tuple[Status, str]:
        """Returns status and detail of the worst category.

        A category without data makes a target that otherwise answers `partial`, not `unreachable`.
        """
        answers = not all(outcome.is_unanswered for outcome in self._outcomes.values())
        candidates: list[tuple[Status, str]] = [
            ("partial", f"{outcome.category}: {outcome.detail}")
            if outcome.is_unanswered and answers
            else (outcome.status, outcome.detail)
            for outcome in self._outcomes.values()
        ]
        return max(candidates, key=lambda candidate: STATUSES_BY_SEVERITY.index(candidate[0]))


@dataclass(frozen=True)
class StatusAuthor:
    """Producer that publishes a status."""

    producer: str
    epoch: str
    control_offset: int | None
    """Offset of the last command that it has applied."""


def build_record(
    reader: Reader, tracker: StatusTracker, at: datetime, *, author: StatusAuthor, removed: bool = False
) -> TargetStatus:
    """Builds the record of a status."""
    facts = tracker.facts
    return {
        "source": reader.source,
        "host": reader.host,
        "address": reader.address,
        "status": tracker.status,
        "detail": tracker.detail,
        "since": tracker.since,
        "observed_at": at,
        "producer": author.producer,
        "epoch": author.epoch,
        "polls": tracker.counts.polls,
        "failures": tracker.counts.failures,
        "late": tracker.counts.late,
        "duration_s": tracker.duration_s,
        "labels": dict(reader.labels),
        "requests": facts.requests,
        "request_mean_s": facts.request_s / facts.requests if facts.requests and facts.request_s is not None else None,
        "session_uri": facts.session_uri,
        "vendor": facts.vendor,
        "model": facts.model,
        "firmware": facts.firmware,
        "left_out": list(facts.left_out),
        "removed": removed,
        "stopped_by": tracker.stopped_by,
        "control_offset": author.control_offset,
    }
