"""Dry run of a rule pack, compared with the packs that were applied.

Pure: no Kafka, no clock.

The same records run through the same steps twice; nothing is written anywhere.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, cast

from processors import presence
from processors.alerting import step as alerts
from processors.alerting.rule_pack import RulePackHistory
from processors.engine.partition import Partition
from processors.engine.step import AnyStep
from processors.registry import STEPS
from schemas import catalog
from schemas.records import Alert
from sinks.sink import AnyRecord

Origin = Literal["both", "candidate", "current"]
"""Packs that produce a transition."""
MAX_LISTED: Final = 50
"""Differences listed in a table; JSON has all."""


def alert_steps() -> tuple[AnyStep, ...]:
    """Returns the steps that evaluate rules, and the steps whose outputs they read."""
    evaluating: tuple[AnyStep, ...] = (*alerts.STEPS, presence.STEP)
    inputs = {step.derived_from for step in evaluating}
    return (*(step for step in STEPS if inputs.intersection(step.outputs)), *evaluating)


@dataclass
class AlertHistory:
    """An alert from its raise to its end."""

    rule: str
    host: str
    component: str
    severity: str
    text: str
    started_at: datetime
    raised_at: datetime | None = None
    """None if it was raised before the period."""
    updates: int = 0
    cleared_at: datetime | None = None
    cause: str | None = None

    def as_plain(self) -> dict[str, object]:
        """Returns the fields for JSON."""
        return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in vars(self).items()}


@dataclass
class PackRun:
    """Alerts that a choice of packs leads to."""

    packs: RulePackHistory
    partitions: dict[tuple[str, int], Partition] = field(default_factory=dict)
    histories: dict[str, AlertHistory] = field(default_factory=dict)
    """History by alert id."""

    def record_transition(self, transition: Alert, since: datetime) -> None:
        """Adds a transition to its alert's history."""
        history = self.histories.get(transition["id"])
        if history is None:
            history = self.histories[transition["id"]] = AlertHistory(
                transition["rule"],
                transition["host"],
                transition["component"],
                transition["severity"],
                transition["text"],
                transition["started_at"],
            )
        at = transition["observed_at"]
        if transition["transition"] == "raised":
            history.raised_at = at if at >= since else None
        elif transition["transition"] == "updated":
            history.updates += 1
        elif at < since:
            del self.histories[transition["id"]]  # cleared before the period
        else:
            history.cleared_at, history.cause = at, transition["cause"]


class RuleTryout:
    """Runs candidate and current packs over the same records."""

    def __init__(
        self, topics: catalog.Catalog, candidate: RulePackHistory, current: RulePackHistory, since: datetime
    ) -> None:
        self._topics, self._since = topics, since
        self.candidate, self.current = PackRun(candidate), PackRun(current)
        self.records = 0
        self.failures: list[str] = []

    def process(self, alias: str, number: int, record: AnyRecord, appended_at: datetime) -> list[tuple[Origin, Alert]]:
        """Processes one record of one partition.

        Returns:
            Transitions with their origin: `both`, `candidate` or `current`.
        """
        self.records += record["observed_at"] >= self._since
        transitions_by_run: list[dict[tuple[str, str], Alert]] = []
        for run in (self.candidate, self.current):
            partition = run.partitions.get((alias, number))
            if partition is None:
                steps = [step for step in alert_steps() if step.input == alias]
                partition = run.partitions[alias, number] = Partition(self._topics, steps)
                partition.packs = run.packs
            applied = partition.apply(record, appended_at=appended_at)
            self.failures += [f"{name}: {error!r}" for name, error in applied.failures]
            transitions = [cast("Alert", output.record) for output in applied.outputs if output.alias == "alerts"]
            for transition in transitions:
                run.record_transition(transition, self._since)
            transitions_by_run.append(
                {(transition["id"], transition["transition"]): transition for transition in transitions}
            )
        candidate, current = transitions_by_run
        result: list[tuple[Origin, Alert]] = [
            ("both" if key in current else "candidate", transition) for key, transition in candidate.items()
        ]
        return result + [("current", transition) for key, transition in current.items() if key not in candidate]

    def differences(self) -> tuple[list[AlertHistory], list[AlertHistory]]:
        """Returns the alerts of only the candidate, and of only the current packs, by start."""

        def only(run: PackRun, other: PackRun) -> list[AlertHistory]:
            histories = [history for alert_id, history in run.histories.items() if alert_id not in other.histories]
            return sorted(
                histories, key=lambda history: (history.started_at, history.host, history.rule, history.component)
            )

        return only(self.candidate, self.current), only(self.current, self.candidate)

    def as_plain(self) -> dict[str, object]:
        """Returns the result for JSON."""
        more, fewer = self.differences()
        return {
            "records": self.records,
            "rules": self._by_rule(),
            "only_candidate": [history.as_plain() for history in more],
            "only_current": [history.as_plain() for history in fewer],
            "failures": self.failures[:5],
        }

    def _by_rule(self) -> list[dict[str, str | int]]:
        more, fewer = (Counter(history.rule for history in histories) for histories in self.differences())
        candidate, current = (_counts_by_rule(run.histories.values()) for run in (self.candidate, self.current))
        return [
            {"rule": rule}
            | {name: candidate[name][rule] for name in ("raised", "updated", "cleared", "active")}
            | {"current_raised": current["raised"][rule], "only_candidate": more[rule], "only_current": fewer[rule]}
            for rule in sorted(
                {history.rule for run in (self.candidate, self.current) for history in run.histories.values()}
            )
        ]

    def as_text(self) -> str:
        """Returns tables for people."""
        lines = [f"{self.records:,} records", ""]
        lines.append(
            f"{'rule':28} {'raised':>7} {'updated':>8} {'cleared':>8} {'active':>7}  current: raised    new  missing"
        )
        lines += [
            f"{row['rule']:28} {row['raised']:>7} {row['updated']:>8} {row['cleared']:>8} {row['active']:>7}  "
            f"{row['current_raised']:>15} {row['only_candidate']:>6} {row['only_current']:>8}"
            for row in self._by_rule()
        ]
        for title, histories in zip(
            ("only with this pack", "only with the current one"), self.differences(), strict=True
        ):
            if histories:
                lines += ["", f"{title}:", *(f"  {_describe(history)}" for history in histories[:MAX_LISTED])]
            if len(histories) > MAX_LISTED:
                lines.append(f"  … and {len(histories) - MAX_LISTED} more; --json has all")
        if not any(self.differences()):
            lines += ["", "no difference from the current pack"]
        return "\n".join([*lines, *(f"failed: {failure}" for failure in self.failures[:5])])


def _counts_by_rule(histories: Iterable[AlertHistory]) -> dict[str, Counter[str]]:
    histories = list(histories)
    return {
        "raised": Counter(history.rule for history in histories if history.raised_at is not None),
        "updated": Counter(
            {rule: sum(s.updates for s in histories if s.rule == rule) for rule in {s.rule for s in histories}}
        ),
        "cleared": Counter(history.rule for history in histories if history.cleared_at is not None),
        "active": Counter(history.rule for history in histories if history.cleared_at is None),
    }


def _describe(history: AlertHistory) -> str:
    end = f"{history.cause} {history.cleared_at:%H:%M:%S}" if history.cleared_at else "active"
    return f"{history.started_at:%Y-%m-%d %H:%M:%S}  {history.severity:8} {history.host:16} {history.text}  ({end})"
