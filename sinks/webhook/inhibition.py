"""What mutes an alert: silences, and alerts that say its host is not heard. Pure: the caller says what time it is.

- A silence mutes what matches all its matchers, from its start to its end.
- An alert about a target that cannot be read, or about a producer that is silent, mutes what was raised from that
  target's readings by the same source: a BMC that does not answer says nothing of the libvirt connection of its host.
- A target that a command has stopped mutes the same: what it last said may be over, and nobody looks.
- Alerts about producers and targets themselves are muted by silences only.

Muting is decided where alerts are delivered or shown. The alert engine knows nothing of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Final

Record = Mapping[str, Any]
Target = tuple[str, str]
"""(source, host)."""

HEARTBEATS: Final = "heartbeats"
"""Category of the alerts about producers and targets."""
SOURCES: Final = {"domains": "libvirt", "host": "host"}
"""Category of a raw record → source; all other categories are Redfish's."""
FIELDS: Final = ("rule", "host", "severity", "component")
"""What a matcher may name besides labels. They win over labels of the same name."""
SILENT, GROUP = "producer-silent", "targets-failing"
FAILING: Final = ("target-unreachable", "target-auth-failed", "target-failing")


def matches(silence: Record, alert: Record) -> bool:
    """Whether a silence is about an alert, whenever it holds."""
    known = alert["labels"] | {name: alert[name] for name in FIELDS}
    return all(
        matcher["name"] in known and fnmatchcase(str(known[matcher["name"]]), matcher["pattern"])
        for matcher in silence["matchers"]
    )


def holds(silence: Record, now: datetime) -> bool:
    """Whether a silence has begun and has not ended."""
    return bool(silence["starts_at"] <= now < silence["ends_at"])


def target_of(alert: Record) -> Target | None:
    """The target whose readings an alert was raised from; None: it is itself about a producer or target."""
    if alert["category"] == HEARTBEATS:
        return None
    return SOURCES.get(alert["category"], "redfish"), alert["host"]


def inhibited(presence: Iterable[Record], targets: Iterable[Record]) -> dict[Target, str]:
    """The targets that are not heard, each with what says so: the alert (its rule and host), or who stopped it.

    Args:
        presence: the PresenceState of each producer.
        targets: the TargetStatus of each target.
    """
    of: dict[str, list[Target]] = {}
    found: dict[Target, str] = {}
    for status in targets:
        target = (status["source"], status["host"])
        of.setdefault(status["producer"], []).append(target)
        if status["stopped_by"] is not None:
            found[target] = status["detail"]
    for producer in presence:
        for alert in producer["alerts"]:
            name = f"{alert['rule']} {alert['host']}"
            if alert["rule"] == SILENT:
                found |= dict.fromkeys(of.get(producer["producer"], ()), name)
            elif alert["rule"] == GROUP:
                found |= {(producer["source"], host): name for host in producer["grouped"]}
            elif alert["rule"] in FAILING:
                found[producer["source"], alert["host"]] = name
    return found


def muted_by(alert: Record, silences: Iterable[Record], unheard: Mapping[Target, str], now: datetime) -> list[str]:
    """What mutes an alert now, as people read it; empty: nothing does."""
    found = [f"silence {silence['id']}" for silence in silences if holds(silence, now) and matches(silence, alert)]
    target = target_of(alert)
    if target is not None and target in unheard:
        found.append(unheard[target])
    return found


class Doubts:
    """Which alerts may have been muted at some time, judged by what is still known of silences and of what inhibits.

    Whoever takes deliveries over does not know which of them another held back; it tells these again.
    """

    def __init__(self) -> None:
        self._hosts: dict[str, datetime] = {}
        self._all: datetime | None = None

    def note(self, transition: Record) -> None:
        """Takes in a transition of the log, in the log's order."""
        rule, at = transition["rule"], transition["observed_at"]
        if transition["category"] != HEARTBEATS:
            return
        if rule in FAILING:
            self._hosts[transition["host"]] = max(at, self._hosts.get(transition["host"], at))
        else:
            self._all = max(at, self._all or at)

    def about(self, alert: Record, silences: Iterable[Record]) -> bool:
        """Whether an alert may have been held back."""
        inhibitions = [at for at in (self._hosts.get(alert["host"]), self._all) if at is not None]
        if alert["category"] != HEARTBEATS and any(at >= alert["started_at"] for at in inhibitions):
            return True
        return any(silence["ends_at"] > alert["started_at"] and matches(silence, alert) for silence in silences)
