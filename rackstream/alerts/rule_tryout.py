"""What a pack of rules would have done, beside what the packs that were applied did. Pure: no Kafka, no clock.

The same records go through the same steps twice; nothing is written anywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from processors import presence
from processors.alerting import step as alerts
from processors.alerting.rule_pack import Packs
from processors.engine.partition import Partition
from processors.engine.step import Step
from processors.registry import mounted
from schemas import catalog

Record = dict[str, Any]
LISTED: Final = 50
"""Differences that a table shows; JSON has all."""


def steps() -> tuple[Step, ...]:
    """The steps that rules bear on, and those that they are given the outputs of."""
    judges = (*alerts.STEPS, presence.STEP)
    feeds = {step.via for step in judges}
    return (*(step for step in mounted() if feeds.intersection(step.outputs)), *judges)


@dataclass
class Story:
    """One alert, from its raise to its end."""

    rule: str
    host: str
    component: str
    severity: str
    text: str
    started_at: datetime
    raised_at: datetime | None = None
    """None: before the stretch of time that is looked at."""
    updates: int = 0
    cleared_at: datetime | None = None
    cause: str | None = None

    def as_plain(self) -> dict[str, Any]:
        """For JSON."""
        return {name: each.isoformat() if isinstance(each, datetime) else each for name, each in vars(self).items()}


@dataclass
class Side:
    """What one choice of packs leads to."""

    packs: Packs
    partitions: dict[tuple[str, int], Partition] = field(default_factory=dict)
    stories: dict[str, Story] = field(default_factory=dict)
    """Alert id → story."""

    def note(self, transition: Record, since: datetime) -> None:
        """Takes a transition in."""
        story = self.stories.get(transition["id"])
        if story is None:
            names = ("rule", "host", "component", "severity", "text", "started_at")
            story = self.stories[transition["id"]] = Story(**{name: transition[name] for name in names})
        at = transition["observed_at"]
        if transition["transition"] == "raised":
            story.raised_at = at if at >= since else None
        elif transition["transition"] == "updated":
            story.updates += 1
        elif at < since:
            del self.stories[transition["id"]]  # over before the stretch began
        else:
            story.cleared_at, story.cause = at, transition["cause"]


class Tryout:
    """Two sides, stepped over the same records."""

    def __init__(self, topics: catalog.Catalog, candidate: Packs, current: Packs, since: datetime) -> None:
        self._topics, self._since = topics, since
        self.candidate, self.current = Side(candidate), Side(current)
        self.records = 0
        self.failures: list[str] = []

    def take(self, alias: str, number: int, record: Record, appended_at: datetime) -> list[tuple[str, Record]]:
        """Steps one record of one partition; returns (`both`, `candidate` or `current`, transition) of what came."""
        self.records += record["observed_at"] >= self._since
        came: list[dict[tuple[Any, ...], Record]] = []
        for side in (self.candidate, self.current):
            partition = side.partitions.get((alias, number))
            if partition is None:
                mine = [step for step in steps() if step.input == alias]
                partition = side.partitions[alias, number] = Partition(self._topics, mine)
                partition.packs = side.packs
            applied = partition.apply(record, appended_at=appended_at)
            self.failures += [f"{name}: {error!r}" for name, error in applied.failures]
            found = [output.record for output in applied.outputs if output.alias == "alerts"]
            for transition in found:
                side.note(transition, self._since)
            came.append({(each["id"], each["transition"]): each for each in found})
        ours, theirs = came
        told = [("both" if key in theirs else "candidate", each) for key, each in ours.items()]
        return told + [("current", each) for key, each in theirs.items() if key not in ours]

    def differences(self) -> tuple[list[Story], list[Story]]:
        """Alerts of the candidate alone, and those of the current packs alone, by their start."""

        def only(one: Side, other: Side) -> list[Story]:
            found = [story for identity, story in one.stories.items() if identity not in other.stories]
            return sorted(found, key=lambda story: (story.started_at, story.host, story.rule, story.component))

        return only(self.candidate, self.current), only(self.current, self.candidate)

    def as_plain(self) -> dict[str, Any]:
        """The result, for JSON."""
        more, fewer = self.differences()
        return {
            "records": self.records,
            "rules": self._by_rule(),
            "only_candidate": [story.as_plain() for story in more],
            "only_current": [story.as_plain() for story in fewer],
            "failures": self.failures[:5],
        }

    def _by_rule(self) -> list[dict[str, Any]]:
        more, fewer = (Counter(story.rule for story in found) for found in self.differences())
        ours, theirs = (_counted(side.stories.values()) for side in (self.candidate, self.current))
        return [
            {"rule": rule}
            | {name: ours[name][rule] for name in ("raised", "updated", "cleared", "active")}
            | {"current_raised": theirs["raised"][rule], "only_candidate": more[rule], "only_current": fewer[rule]}
            for rule in sorted(
                {story.rule for side in (self.candidate, self.current) for story in side.stories.values()}
            )
        ]

    def as_text(self) -> str:
        """Tables for people."""
        lines = [f"{self.records:,} records", ""]
        lines.append(
            f"{'rule':28} {'raised':>7} {'updated':>8} {'cleared':>8} {'active':>7}  current: raised   more  fewer"
        )
        lines += [
            f"{row['rule']:28} {row['raised']:>7} {row['updated']:>8} {row['cleared']:>8} {row['active']:>7}  "
            f"{row['current_raised']:>15} {row['only_candidate']:>6} {row['only_current']:>6}"
            for row in self._by_rule()
        ]
        for title, found in zip(("only with this pack", "only with the current one"), self.differences(), strict=True):
            if found:
                lines += ["", f"{title}:", *(f"  {_line(story)}" for story in found[:LISTED])]
            if len(found) > LISTED:
                lines.append(f"  … and {len(found) - LISTED} more; --json has all")
        if not any(self.differences()):
            lines += ["", "no difference to what the current pack did"]
        return "\n".join([*lines, *(f"failed: {failure}" for failure in self.failures[:5])])


def _counted(stories: Iterable[Story]) -> dict[str, Counter[str]]:
    stories = list(stories)
    return {
        "raised": Counter(story.rule for story in stories if story.raised_at is not None),
        "updated": Counter(
            {rule: sum(s.updates for s in stories if s.rule == rule) for rule in {s.rule for s in stories}}
        ),
        "cleared": Counter(story.rule for story in stories if story.cleared_at is not None),
        "active": Counter(story.rule for story in stories if story.cleared_at is None),
    }


def _line(story: Story) -> str:
    end = f"{story.cause} {story.cleared_at:%H:%M:%S}" if story.cleared_at else "active"
    return f"{story.started_at:%Y-%m-%d %H:%M:%S}  {story.severity:8} {story.host:16} {story.text}  ({end})"
