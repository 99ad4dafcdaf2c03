"""Presence: which producers are heard, judged by their heartbeats alone, so that it replays the same. Pure.

- The clock is the newest append time of any heartbeat. Time in which nobody beats does not count (each step of the
  clock is at most the shortest interval long): then Kafka was away, or this was, and no single producer is to blame.
- A producer that is `beats` heartbeats late is silent: one alert, however many targets it has. They are unknown, so
  what was raised about them one by one is cleared as `unknown`. A beat of it clears the alert.
- A producer that said it stops is not silent.
- A live producer's beats name the targets that it cannot read. One that fails for `hold` beats is an alert; where
  `group` of them would be within `group_within_s`, the rest of them is one alert of the producer.
- A target that a command has stopped is not read: an alert that it cannot be read is cleared as `unknown`. So is that
  of one handed over to another producer of the group, whose own beats tell of it from then on.
- What was not heard of for `FORGET` is no longer expected: its alert is cleared as `gone`.

The state of each producer is written at every beat; there is no more to remember than that.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final

from processors.alerting.evaluation import UPDATE_EVERY, alert_id
from processors.alerting.rule import bounded
from processors.alerting.rule_pack import Presence
from processors.alerting.templates import TEXT
from processors.engine.step import Context, Output, Record, Step

MEMORY: Final = "state-presence"
SOURCE: Final = "heartbeats"
FORGET: Final = timedelta(days=7)
INTERVAL_S: Final = (1.0, 600.0)
"""Shortest and longest time between two beats that is believed; anything else is taken for the longest."""
MEMBERS: Final = 10_000
SILENT, GROUP = "producer-silent", "targets-failing"
RULES: Final = {"unreachable": "target-unreachable", "auth_failed": "target-auth-failed"}
WORDS: Final = {"unreachable": "Target unreachable", "auth_failed": "Target refuses the login"}
State = dict[str, Record]
"""Producer → its PresenceState."""


def run(state: State | None, beat: Record, context: Context) -> tuple[State, list[Output]]:
    """Takes one heartbeat in."""
    after = dict(state or {})
    pack = context.packs.at(beat["observed_at"], context.appended_at)
    hearing = _Hearing(beat, context.appended_at, pack.presence, pack.fingerprint, _clock_s(after, beat, context))
    touched = {beat["producer"]: hearing.heard(after.get(beat["producer"]))}
    for name, known in after.items():
        if name not in touched and (told := hearing.unheard(known)) is not known:
            touched[name] = told
    after |= touched
    outputs: list[Output] = [("alerts", transition) for transition in hearing.transitions]
    return after, [*outputs, *((MEMORY, known) for known in touched.values())]


def _interval_s(value: float) -> float:
    return value if INTERVAL_S[0] <= value <= INTERVAL_S[1] else INTERVAL_S[1]


def _clock_s(state: State, beat: Record, context: Context) -> float:
    """Presence's time, in seconds since its first beat."""
    if not state:
        return 0.0
    newest = max(state.values(), key=lambda known: (known["clock_s"], known["appended_at"]))
    passed_s = (context.appended_at - newest["appended_at"]).total_seconds()
    heard = [known["interval_s"] for known in state.values() if known["status"] == "alive"]
    return float(newest["clock_s"] + min(max(passed_s, 0.0), _interval_s(beat["interval_s"]), *heard))


def recall(state: State | None, record: Record) -> State:
    """The state with what one memory record tells."""
    return (state or {}) | {record["producer"]: record}


class _Hearing:
    """What one beat leads to."""

    def __init__(self, beat: Record, at: datetime, settings: Presence, fingerprint: str, clock_s: float) -> None:
        self.beat, self.at, self.settings, self.fingerprint, self.clock_s = beat, at, settings, fingerprint, clock_s
        self.transitions: list[Record] = []

    def heard(self, before: Record | None) -> Record:
        """The producer of the beat."""
        beat = self.beat
        known = {
            "producer": beat["producer"],
            "as_of": [
                {"topic": SOURCE, "category": beat["producer"], "epoch": beat["epoch"], "sequence": beat["sequence"]}
            ],
            "source": beat["source"],
            "targets": beat["targets"],
            "interval_s": _interval_s(beat["interval_s"]),
            "clock_s": self.clock_s,
            "appended_at": self.at,
            "status": "stopped" if beat["stopping"] else "alive",
            "held": before["held"] if before else [],
            "alerts": before["alerts"] if before else [],
            "grouped": before["grouped"] if before else [],
            "shared": beat["shared"],
        }
        alerts = {alert["id"]: alert for alert in known["alerts"]}
        for alert in known["alerts"]:
            if alert["rule"] == SILENT or beat["stopping"]:
                self._clear(alerts.pop(alert["id"]), "recovered" if alert["rule"] == SILENT else "unknown")
        known["alerts"] = list(alerts.values())
        if beat["stopping"]:
            return known | {"held": [], "grouped": []}
        return known | self._targets(known)

    def unheard(self, known: Record) -> Record:
        """Another producer: the same object if nothing is to be said of it."""
        if known["status"] == "silent" and known["alerts"] and self.at - known["appended_at"] >= FORGET:
            for alert in known["alerts"]:
                self._clear(alert, "gone")
            return known | {"alerts": [], "status": "stopped"}
        late_s = self.clock_s - known["clock_s"]
        if known["status"] != "alive" or late_s <= self.settings.beats * known["interval_s"]:
            return known
        for alert in known["alerts"]:
            self._clear(alert, "unknown")
        name, targets = known["producer"], known["targets"]
        since = f"{known['appended_at']:%Y-%m-%d %H:%M:%S} UTC"
        lot = "are left to others of its group" if known["shared"] else "are unknown"
        text = f"Producer {name} is silent since {since}: its {targets} targets {lot}"
        alert = self._raise(SILENT, name, name, self.settings.silent, text, float(targets), {})
        return known | {"status": "silent", "alerts": [alert], "held": [], "grouped": []}

    def _targets(self, known: Record) -> Record:
        """Alerts about the targets that the beat says cannot be read."""
        beat = self.beat
        failing = {each["host"]: each for each in beat["failing"]}
        unlisted = max(0, beat["failing_count"] - len(failing))
        grouped = [host for host in known["grouped"] if host in failing]
        group = next((alert for alert in known["alerts"] if alert["rule"] == GROUP), None)
        single = {}
        for alert in known["alerts"]:
            if alert["rule"] == GROUP:
                continue
            status = failing.get(alert["host"], {}).get("status")
            # Of more than a beat can list, one that is not listed may fail still.
            if (status is None and unlisted) or RULES.get(status or "") == alert["rule"]:
                single[alert["host"]] = alert
            else:
                self._clear(alert, self._end_of(alert["host"]))
        held = {each["host"]: each for each in known["held"]}
        waiting: list[Record] = []
        ripe: list[Record] = []
        for host, each in failing.items():
            if host in single or host in grouped:
                continue
            before = held.get(host)
            beats = 1 + (before["beats"] if before and before["status"] == each["status"] else 0)
            entry = {"host": host, "status": each["status"], "beats": beats}
            (ripe if beats >= self.settings.hold else waiting).append(entry)
        within = timedelta(seconds=self.settings.group_within_s)
        recent = sum(self.at - alert["started_at"] <= within for alert in single.values())
        if group is not None or unlisted or (ripe and len(ripe) + recent >= self.settings.group):
            grouped = [*grouped, *(each["host"] for each in ripe)][:MEMBERS]
        else:
            for each in ripe:
                single[each["host"]] = self._target(known, each, failing[each["host"]])
        group = self._group(known, group, len(grouped) + unlisted if group or grouped else 0, known["grouped"])
        alerts = [*([group] if group else []), *single.values()]
        return {"alerts": alerts, "held": waiting, "grouped": grouped if group else []}

    def _target(self, known: Record, entry: Record, target: Record) -> Record:
        status = entry["status"]
        rule, word = RULES.get(status, "target-failing"), WORDS.get(status, f"Target {status}")
        text = f"{word}: {entry['host']} by {known['producer']}"
        return self._raise(rule, entry["host"], known["producer"], self.settings.failing, text, None, target["labels"])

    def _end_of(self, *hosts: str) -> str:
        """Why targets are not told to fail any more: some of them are not read any more, or all of them are again."""
        unread = {*self.beat["stopped"], *self.beat["released"]}
        return "recovered" if unread.isdisjoint(hosts) else "unknown"

    def _group(self, known: Record, group: Record | None, count: int, before: list[str]) -> Record | None:
        """The one alert for many targets, raised, updated or cleared; `before`: who failed at the beat before."""
        name = known["producer"]
        text = f"Many targets of {name} cannot be read: {count} of {known['targets']}"
        if group is None:
            return self._raise(GROUP, name, name, self.settings.silent, text, float(count), {}) if count else None
        if not count:
            self._clear(group, self._end_of(*before))
            return None
        if count >= group["value"] * 1.2 and self.at - group["told_at"] >= UPDATE_EVERY:
            more = {"revision": group["revision"] + 1, "value": float(count), "text": text, "told_at": self.at}
            group = group | more
            self._tell("updated", group, None)
        return group

    def _raise(  # noqa: PLR0913, PLR0917  the parts of an alert
        self, rule: str, host: str, component: str, severity: str, text: str, value: float | None, labels: Any
    ) -> Record:
        alert = {
            "id": alert_id(rule, host, component, self.at),
            "revision": 0,
            "rule": rule,
            "host": host,
            "component": component,
            "severity": severity,
            "value": value,
            "text": bounded(text, TEXT),
            "started_at": self.at,
            "told_at": self.at,
            "labels": labels,
        }
        self._tell("raised", alert, None)
        return alert

    def _clear(self, alert: Record, cause: str) -> None:
        self._tell("cleared", alert | {"revision": alert["revision"] + 1}, cause)

    def _tell(self, what: str, alert: Record, cause: str | None) -> None:
        kept = ("id", "revision", "rule", "host", "component", "severity", "value", "text", "started_at", "labels")
        at = ("observed_at", "epoch", "sequence")
        self.transitions.append(
            {"transition": what, "cause": cause, "pack": self.fingerprint, "category": SOURCE, "threshold": None}
            | {name: alert[name] for name in kept}
            | {name: self.beat[name] for name in at}
        )


STEP: Final = Step(
    name="presence",
    input=SOURCE,
    outputs=("alerts",),
    memory=MEMORY,
    run=run,
    contextual=True,
    subject=None,
    series="producer",
    recall=recall,
)
