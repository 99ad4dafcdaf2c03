"""Active alerts, from the log of transitions and, for older ones, from the state of the alert engine. Pure.

Read the whole log first: a transition is on the log before the state has it. An alert that only the state has was
raised longer ago than transitions are kept, or since the log was read; its revision shows if it was delivered before.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, cast

from schemas.alerts import HEARTBEAT_CATEGORY
from schemas.sources import SOURCE_BY_TOPIC

if TYPE_CHECKING:
    from schemas.records import ActiveAlert, Alert, AlertState, PresenceAlert, PresenceState, Severity, TargetStatus


def apply_transition(active: dict[str, Alert], transition: Alert) -> None:
    """Updates active alerts (id → newest transition) with a transition. An older one changes nothing."""
    newest = active.get(transition["id"])
    if newest is not None and newest["revision"] >= transition["revision"]:
        return
    if transition["transition"] == "cleared":
        active.pop(transition["id"], None)
    else:
        active[transition["id"]] = transition


def alerts_from_state(
    states: Iterable[AlertState], presence: Iterable[PresenceState], targets: Iterable[TargetStatus]
) -> Iterator[Alert]:
    """Yields the active alerts of the alert engine's state, as transitions.

    Args:
        states: State of each host and source.
        presence: State of each producer.
        targets: Status of each target, for its labels.
    """
    target_labels = {(status["source"], status["host"]): status["labels"] for status in targets}
    for state in states:
        host = state["host"]
        labels = target_labels.get((SOURCE_BY_TOPIC.get(state["source"], "redfish"), host), {})
        for active in state["active"]:
            yield _alert(
                active,
                host=host,
                category=active["category"],
                threshold=active["threshold"],
                labels=labels | active["labels"],
            )
    for producer in presence:
        for raised in producer["alerts"]:
            yield _alert(
                raised, host=raised["host"], category=HEARTBEAT_CATEGORY, threshold=None, labels=raised["labels"]
            )


def _alert(
    active: ActiveAlert | PresenceAlert, *, host: str, category: str, threshold: float | None, labels: dict[str, str]
) -> Alert:
    return {
        "id": active["id"],
        "revision": active["revision"],
        "transition": "updated" if active["revision"] else "raised",
        "host": host,
        "rule": active["rule"],
        "component": active["component"],
        "severity": cast("Severity", active["severity"]),
        "value": active["value"],
        "threshold": threshold,
        "text": active["text"],
        "started_at": active["started_at"],
        "cause": None,
        "observed_at": active["told_at"] or active["started_at"],
        "category": category,
        "epoch": "",
        "sequence": 0,
        "labels": labels,
        "pack": "",
    }
