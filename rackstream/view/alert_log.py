"""Active alerts and recent transitions, from the alert log and, for older ones, from the alert engine's state. Pure.

A transition is on the log before it is in the engine's state, so for an alert that is on the log, the log counts.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from rackstream.text.alert_text import alert_sentence
from rackstream.view.answers import AlertRow
from schemas.commands import DesiredState
from schemas.records import Alert, Control, PresenceState, Silence
from sinks.webhook import active_alerts, inhibition

MAX_TRANSITIONS: Final = 2000
"""Transitions that the history holds."""
MAX_LOGGED_IDS: Final = 20_000
"""Alert ids remembered as seen on the log, so that the engine's older state does not override them."""
SEVERITIES: Final = ("critical", "warning")


class AlertLog:
    """Active alerts by id, and the latest transitions. Not thread-safe."""

    def __init__(self) -> None:
        self.active: dict[str, Alert] = {}
        """Alert id → its newest transition."""
        self.transitions: deque[Alert] = deque(maxlen=MAX_TRANSITIONS)
        self.raised = 0
        self.cleared = 0
        self._logged_ids: OrderedDict[str, None] = OrderedDict()

    def append(self, transition: Alert) -> None:
        """Applies one transition of the log."""
        alert_id = transition["id"]
        self._logged_ids[alert_id] = None
        self._logged_ids.move_to_end(alert_id)
        if len(self._logged_ids) > MAX_LOGGED_IDS:
            self._logged_ids.popitem(last=False)
        self.transitions.append(transition)
        self.raised += transition["transition"] == "raised"
        self.cleared += transition["transition"] == "cleared"
        active_alerts.apply_transition(self.active, transition)

    def restore(self, alerts: Iterable[Alert]) -> None:
        """Adds alerts that are active in the engine's state, unless the log has mentioned them."""
        for alert in alerts:
            if alert["id"] not in self._logged_ids:
                self.active.setdefault(alert["id"], alert)

    def count_by_host(self) -> Counter[str]:
        """Active alerts per host."""
        return Counter(alert["host"] for alert in self.active.values())

    def count_by_severity(self) -> dict[str, int]:
        """Active alerts per severity; critical and warning are always present."""
        counts: Counter[str] = Counter(alert["severity"] for alert in self.active.values())
        return {severity: counts.pop(severity, 0) for severity in SEVERITIES} | dict(counts)

    def history(self, alert_id: str) -> list[Alert]:
        """Transitions of one alert, oldest first; empty if the id is unknown."""
        transitions = [transition for transition in self.transitions if transition["id"] == alert_id]
        newest = self.active.get(alert_id)
        return transitions or ([newest] if newest else [])


class AlertMuting:
    """Decides which silence or inhibition keeps an active alert from being delivered."""

    def __init__(self) -> None:
        self.silences: dict[str, Silence] = {}
        """By id."""
        self.presence: dict[str, PresenceState] = {}
        """By producer."""
        self.commands: dict[str, Control] = {}
        """Commands that pause or resume targets, by key."""
        self._inhibited: dict[inhibition.TargetKey, str] | None = {}

    def invalidate(self) -> None:
        """Drops the cached inhibitions: presence, a command, or the producer of a target has changed."""
        self._inhibited = None

    def muted_by(self, alert: Alert, targets: Iterable[inhibition.InhibitingTarget], now: datetime) -> list[str]:
        """Silences and inhibitions that mute an active alert.

        Args:
            alert: Newest transition of the alert.
            targets: All targets of the fleet.
            now: Time at which silences must be active.
        """
        if self._inhibited is None:
            self._inhibited = inhibition.inhibited_targets(self.presence.values(), targets, DesiredState(self.commands))
        return inhibition.muted_by(alert, self.silences.values(), self._inhibited, now)


def alert_row(record: Alert, muted_by: list[str], *, is_active: bool) -> AlertRow:
    """Converts a transition to the row that lists show."""
    return AlertRow(
        id=record["id"],
        revision=record["revision"],
        transition=record["transition"],
        active=is_active,
        severity=record["severity"],
        host=record["host"],
        rule=record["rule"],
        component=record["component"],
        category=record["category"],
        value=record["value"],
        threshold=record["threshold"],
        text=alert_sentence(record),
        started_at=record["started_at"],
        observed_at=record["observed_at"],
        cause=record["cause"],
        labels=record["labels"],
        muted_by=muted_by,
        pack=record["pack"],
    )
