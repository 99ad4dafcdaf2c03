"""The alert engine: judges readings by rules; emits raises, clears and its whole memory, one record per host. Pure.

- Raised when `hold` records in a row breach; cleared when `clear_hold` in a row are past the lower clear threshold.
- A reading that was not got is neither good nor bad: the alert stays as it is.
- A component missing from `GONE_AFTER` whole records in a row is cleared as `gone`; a record that lacks a resource is
  not whole.
- The id is a hash of rule, host, component and first breach, so a replay finds the same alert again.
- The state record is written only when something but its order changed: skipping what is at or before `as_of`, and
  stepping again what came after it, both end in the same state.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any, Final

from processors.rules import Judgement, Rule, Verdict, judge, load
from processors.steps import Output, Record, Step, advanced

GONE_AFTER: Final = 3
MEMORY: Final = "state-alerts"
Key = tuple[str, str]
"""(rule, component)."""


def empty(host: str) -> Record:
    """The memory of a host of which nothing is known yet."""
    return {"host": host, "as_of": [], "active": [], "pending": []}


def alert_id(rule: str, host: str, component: str, started_at: datetime) -> str:
    """The alert's id: 16 hex digits."""
    return sha256(f"{rule}\0{host}\0{component}\0{started_at.isoformat()}".encode()).hexdigest()[:16]


class Engine:
    """One pack of rules, by what they judge."""

    def __init__(self, rules: tuple[Rule, ...]) -> None:
        self._rules: dict[tuple[str, str], list[Rule]] = {}
        for rule in rules:
            self._rules.setdefault((rule.topic, rule.category), []).append(rule)

    def step(self, topic: str, state: Record | None, record: Record) -> tuple[Record, list[Output]]:
        """Judges one raw record; the outputs are transitions and, if anything changed, the new memory."""
        before = state or empty(record["host"])
        sitting = _Sitting(topic, record, before)
        for rule in self._rules.get((topic, record["category"]), ()):
            for reading in record[rule.readings]:
                sitting.judge(rule, reading)
        sitting.miss()
        after = {
            "host": record["host"],
            "as_of": advanced(before["as_of"], topic, record),
            "active": list(sitting.active.values()),
            "pending": list(sitting.pending.values()),
        }
        outputs: list[Output] = [("alerts", transition) for transition in sitting.transitions]
        if (after["active"], after["pending"]) != (before["active"], before["pending"]):
            outputs.append((MEMORY, after))
        return after, outputs


class _Dashed(dict[str, Any]):
    """A reading with a dash for what it lacks, for names of components."""

    def __getitem__(self, name: str) -> Any:
        value = self.get(name)
        return "-" if value is None else value


class _Sitting:
    """The judging of one record: working copies of what is active and pending, and the transitions found."""

    def __init__(self, topic: str, record: Record, before: Record) -> None:
        self.topic = topic
        self.record = record
        self.active: dict[Key, Record] = {(each["rule"], each["component"]): each for each in before["active"]}
        self.pending: dict[Key, Record] = {(each["rule"], each["component"]): each for each in before["pending"]}
        self.transitions: list[Record] = []
        self._seen: set[Key] = set()

    def judge(self, rule: Rule, reading: Mapping[str, Any]) -> None:
        """Applies one reading. Of two readings of one component the first counts."""
        key = (rule.name, rule.component.format_map(_Dashed(reading)))
        if key in self._seen:
            return
        self._seen.add(key)
        judgement = judge(rule, reading)
        alert = self.active.get(key)
        if judgement.verdict is Verdict.UNKNOWN:
            if alert is not None and alert["unseen"]:
                self.active[key] = alert | {"unseen": 0}
        elif alert is not None:
            self._watch(rule, key, judgement)
        elif judgement.verdict is Verdict.BREACH:
            self._breach(rule, key, reading, judgement)
        else:
            self.pending.pop(key, None)

    def _breach(self, rule: Rule, key: Key, reading: Mapping[str, Any], judgement: Judgement) -> None:
        about = {"rule": rule.name, "component": key[1], "topic": self.topic, "category": self.record["category"]}
        hold = self.pending.pop(key, None) or about | {"count": 0, "started_at": self.record["observed_at"]}
        hold = hold | {"count": hold["count"] + 1}
        if hold["count"] < rule.hold:
            self.pending[key] = hold
            return
        numbers = {"value": judgement.value, "threshold": judgement.threshold}
        self.active[key] = about | numbers | {
            "id": alert_id(rule.name, self.record["host"], key[1], hold["started_at"]),
            "revision": 0,
            "severity": rule.severity,
            "text": rule.text.format_map(dict(reading) | numbers),
            "started_at": hold["started_at"],
            "unseen": 0,
            "clear_count": 0,
        }  # fmt: skip
        self.transitions.append(_transition("raised", self.active[key], self.record, cause=None))

    def _watch(self, rule: Rule, key: Key, judgement: Judgement) -> None:
        alert = self.active[key]
        clears = alert["clear_count"] + 1 if judgement.verdict is Verdict.CLEAR else 0
        if clears < rule.clear_hold:
            self.active[key] = alert | {"unseen": 0, "clear_count": clears}
            return
        del self.active[key]
        numbers = {"value": judgement.value, "threshold": judgement.threshold}
        self._clear(alert | numbers, cause="recovered")

    def miss(self) -> None:
        """Applies the absence of components that were active or pending."""
        mine = (self.topic, self.record["category"])
        for key in [key for key, each in self.pending.items() if (each["topic"], each["category"]) == mine]:
            if key not in self._seen:
                del self.pending[key]
        whole = not any(error["whole"] for error in self.record["errors"])
        for key, alert in list(self.active.items()):
            if (alert["topic"], alert["category"]) != mine or key in self._seen or not whole:
                continue
            if alert["unseen"] + 1 < GONE_AFTER:
                self.active[key] = alert | {"unseen": alert["unseen"] + 1}
                continue
            del self.active[key]
            self._clear(alert, cause="gone")

    def _clear(self, alert: Record, *, cause: str) -> None:
        told = alert | {"revision": alert["revision"] + 1}
        self.transitions.append(_transition("cleared", told, self.record, cause=cause))


def _transition(what: str, alert: Record, record: Record, *, cause: str | None) -> Record:
    kept = ("id", "revision", "rule", "component", "severity", "value", "threshold", "text", "started_at")
    at = ("host", "observed_at", "category", "epoch", "sequence", "labels")
    return (
        {"transition": what, "cause": cause}
        | {name: alert[name] for name in kept}
        | {name: record[name] for name in at}
    )


def step(rules: tuple[Rule, ...] | None = None) -> Step:
    """The engine as a step over Redfish records, of every category that a rule names."""
    rules = load() if rules is None else rules
    engine = Engine(rules)
    return Step(
        name="alerts",
        input="raw-redfish",
        outputs=("alerts",),
        memory=MEMORY,
        run=lambda state, record: engine.step("raw-redfish", state, record),
        categories=frozenset(rule.category for rule in rules),
    )
