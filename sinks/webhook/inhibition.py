"""Muting of alerts by silences and by inhibition, in Alertmanager's sense of the words. Pure: time is an argument.

- A silence mutes the alerts that match all its matchers, from its start to its end.
- An alert about a target that cannot be read, or about a silent producer, inhibits alerts raised from readings of that
  target by the same source: a BMC that does not answer says nothing about the libvirt connection of its host.
- A target whose polling a command has stopped is inhibited too: its last alerts may be over, unnoticed. Its producer's
  word is not enough: every producer may write the status of any target, and only operators and consoles write commands.
- Alerts about producers and targets themselves are muted by silences only.

Muting applies where alerts are delivered or shown; the alert engine does not depend on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, TypedDict

from schemas.alerts import HEARTBEAT_CATEGORY, PRODUCER_SILENT, TARGET_FAILURE_RULES, TARGETS_FAILING
from schemas.commands import DesiredState, describe_stop
from schemas.sources import source_of_category

if TYPE_CHECKING:
    from schemas.records import Alert, PresenceState, Silence

TargetKey = tuple[str, str]
"""(source, host)."""


class InhibitingTarget(TypedDict):
    """Fields of `TargetStatus` that decide about inhibition; a whole `TargetStatus` fits, too."""

    source: str
    host: str
    producer: str
    stopped_by: str | None


def silence_matches(silence: Silence, alert: Alert) -> bool:
    """True if an alert matches all matchers of a silence, whether the silence is active or not."""
    # Fields win over labels of the same name.
    values = alert["labels"] | {
        "rule": alert["rule"],
        "host": alert["host"],
        "severity": alert["severity"],
        "component": alert["component"],
    }
    return all(
        matcher["name"] in values and fnmatchcase(values[matcher["name"]], matcher["pattern"])
        for matcher in silence["matchers"]
    )


def is_active(silence: Silence, now: datetime) -> bool:
    """True if a silence has begun and not ended."""
    return silence["starts_at"] <= now < silence["ends_at"]


def target_of(alert: Alert) -> TargetKey | None:
    """Returns the target whose readings an alert was raised from; None for alerts about a producer or target itself."""
    if alert["category"] == HEARTBEAT_CATEGORY:
        return None
    return source_of_category(alert["category"]), alert["host"]


def inhibited_targets(
    presence: Iterable[PresenceState], targets: Iterable[InhibitingTarget], desired: DesiredState
) -> dict[TargetKey, str]:
    """Returns the inhibited targets, each with the reason: rule and host of an alert, or who stopped its polling.

    Args:
        presence: State of each producer.
        targets: Status of each target. Every producer may write any: a pause is believed only if a command says so.
        desired: The commands on the control topic.
    """
    targets_by_producer: dict[str, list[TargetKey]] = {}
    inhibited: dict[TargetKey, str] = {}
    for status in targets:
        target = (status["source"], status["host"])
        targets_by_producer.setdefault(status["producer"], []).append(target)
        command = None if status["stopped_by"] is None else desired.stop_command_for(*target)
        if command is not None:
            inhibited[target] = describe_stop(command)
    for producer in presence:
        for alert in producer["alerts"]:
            reason = f"{alert['rule']} {alert['host']}"
            if alert["rule"] == PRODUCER_SILENT:
                inhibited |= dict.fromkeys(targets_by_producer.get(producer["producer"], ()), reason)
            elif alert["rule"] == TARGETS_FAILING:
                inhibited |= {(producer["source"], host): reason for host in producer["grouped"]}
            elif alert["rule"] in TARGET_FAILURE_RULES:
                inhibited[producer["source"], alert["host"]] = reason
    return inhibited


def muted_by(alert: Alert, silences: Iterable[Silence], inhibited: Mapping[TargetKey, str], now: datetime) -> list[str]:
    """Returns what mutes an alert now, as text for people; empty if it is not muted."""
    reasons = [
        f"silence {silence['id']}"
        for silence in silences
        if is_active(silence, now) and silence_matches(silence, alert)
    ]
    target = target_of(alert)
    if target is not None and target in inhibited:
        reasons.append(inhibited[target])
    return reasons


class MuteHistory:
    """Past inhibitions: decides which alerts may have been muted, from the alert log and the existing silences.

    A sink that takes over deliveries cannot know which alerts its predecessor held back; it delivers these again.
    """

    def __init__(self) -> None:
        self._hosts: dict[str, datetime] = {}
        """Host → when it was last inhibited alone."""
        self._all: datetime | None = None
        """When all targets of a producer were last inhibited."""

    def record(self, transition: Alert) -> None:
        """Adds a transition of the log, in the log's order."""
        if transition["category"] != HEARTBEAT_CATEGORY:
            return
        observed_at = transition["observed_at"]
        if transition["rule"] in TARGET_FAILURE_RULES:
            host = transition["host"]
            self._hosts[host] = max(observed_at, self._hosts.get(host, observed_at))
        else:
            self._all = max(observed_at, self._all or observed_at)

    def may_have_muted(self, alert: Alert, silences: Iterable[Silence]) -> bool:
        """True if an alert may have been held back since it was raised."""
        started_at = alert["started_at"]
        inhibitions = [time for time in (self._hosts.get(alert["host"]), self._all) if time is not None]
        if alert["category"] != HEARTBEAT_CATEGORY and any(time >= started_at for time in inhibitions):
            return True
        return any(silence["ends_at"] > started_at and silence_matches(silence, alert) for silence in silences)
