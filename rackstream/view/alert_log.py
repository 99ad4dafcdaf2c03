"""The alerts that are active and the transitions of late: from the log, and of what is older from the engine's memory.

Pure. The log tells of an alert before the memory does, so an alert that the log has told of is as the log says.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from rackstream.text.alert_text import sentence
from rackstream.view.answers import Alert
from sinks.webhook import active_alerts, inhibition

Record = dict[str, Any]
TRANSITIONS: Final = 2000
"""Transitions that are remembered."""
TOLD: Final = 20_000
"""Alerts of which it is remembered that the log told of them."""
SEVERITIES: Final = ("critical", "warning")


class Book:
    """Not thread-safe."""

    def __init__(self) -> None:
        self.active: dict[str, Record] = {}
        """By id: the newest transition."""
        self.transitions: deque[Record] = deque(maxlen=TRANSITIONS)
        self.raised = 0
        self.cleared = 0
        self._told: OrderedDict[str, None] = OrderedDict()

    def log(self, transition: Record) -> None:
        """Takes a transition of the log."""
        name = transition["id"]
        self._told[name] = None
        self._told.move_to_end(name)
        if len(self._told) > TOLD:
            self._told.popitem(last=False)
        self.transitions.append(transition)
        self.raised += transition["transition"] == "raised"
        self.cleared += transition["transition"] == "cleared"
        active_alerts.fold(self.active, transition)

    def remember(self, alerts: Iterable[Record]) -> None:
        """Takes what the memory says is active."""
        for alert in alerts:
            if alert["id"] not in self._told:
                self.active.setdefault(alert["id"], alert)

    def by_host(self) -> Counter[str]:
        """Active alerts of each host."""
        return Counter(each["host"] for each in self.active.values())

    def by_severity(self) -> dict[str, int]:
        """Active alerts of each severity."""
        found = Counter(each["severity"] for each in self.active.values())
        return {name: found.pop(name, 0) for name in SEVERITIES} | dict(found)

    def story(self, name: str) -> list[Record]:
        """What is known of one alert, oldest first; empty: nothing."""
        found = [each for each in self.transitions if each["id"] == name]
        newest = self.active.get(name)
        return found or ([newest] if newest else [])


class Mutes:
    """What keeps alerts from being delivered: silences, and targets and producers that are not heard."""

    def __init__(self) -> None:
        self.silences: dict[str, Record] = {}
        self.presence: dict[str, Record] = {}
        self._unheard: dict[inhibition.Target, str] | None = {}

    def changed(self) -> None:
        """Presence, or who reads a target, is not as it was."""
        self._unheard = None

    def muted_by(self, alert: Record, targets: Iterable[Mapping[str, Any]], now: datetime) -> list[str]:
        """What mutes an active alert; `targets`: source, host and producer of each."""
        if self._unheard is None:
            self._unheard = inhibition.inhibited(self.presence.values(), targets)
        return inhibition.muted_by(alert, self.silences.values(), self._unheard, now)


def shown(record: Record, muted_by: list[str], *, is_active: bool) -> Alert:
    """A transition as it is shown."""
    return Alert(
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
        text=sentence(record),
        started_at=record["started_at"],
        observed_at=record["observed_at"],
        cause=record["cause"],
        labels=record["labels"],
        muted_by=muted_by,
        pack=record["pack"],
    )
