"""The alerts that are active: found in the log of transitions, and in the engine's memory where the log is too short.

The log is read first, and whole: a transition is on it before the memory knows it. What the memory has and the log
does not was raised longer ago than transitions are kept, or has been raised since the log was read; telling it again
is then seen by its revision. Folding is pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from sinks.webhook.inhibition import HEARTBEATS

Record = dict[str, Any]
SOURCES: Final = {"raw-libvirt": "libvirt", "device-rates": "libvirt", "raw-host": "host", "host-rates": "host"}
"""Topic (alias) judged → source of its targets; all other topics are Redfish's."""


def fold(active: dict[str, Record], transition: Record) -> None:
    """Takes a transition into the active set: id → its newest transition. One seen before changes nothing."""
    known = active.get(transition["id"])
    if known is not None and known["revision"] >= transition["revision"]:
        return
    if transition["transition"] == "cleared":
        active.pop(transition["id"], None)
    else:
        active[transition["id"]] = transition


def remembered(memories: Iterable[Record], presence: Iterable[Record], targets: Iterable[Record]) -> Iterator[Record]:
    """The active alerts that memories tell, as transitions.

    Args:
        memories: the AlertState of each host and source.
        presence: the PresenceState of each producer.
        targets: the TargetStatus of each target, for its labels.
    """
    labels = {(each["source"], each["host"]): each["labels"] for each in targets}
    for memory in memories:
        target = SOURCES.get(memory["source"], "redfish"), memory["host"]
        for alert in memory["active"]:
            own = {"host": memory["host"], "labels": labels.get(target, {}) | alert["labels"]}
            yield _transition(alert | own)
    for producer in presence:
        for alert in producer["alerts"]:
            yield _transition(alert | {"category": HEARTBEATS, "threshold": None})


def _transition(alert: Mapping[str, Any]) -> Record:
    names = (
        "id",
        "revision",
        "host",
        "rule",
        "component",
        "severity",
        "value",
        "threshold",
        "text",
        "started_at",
        "category",
        "labels",
    )
    return {name: alert[name] for name in names} | {
        "transition": "updated" if alert["revision"] else "raised",
        "cause": None,
        "observed_at": alert["told_at"] or alert["started_at"],
        "epoch": "",
        "sequence": 0,
        "pack": "",
    }
