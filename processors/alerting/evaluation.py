"""The judging of one record by the alert engine: working copies of what is active, and the transitions found. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from processors.alerting import templates
from processors.alerting.rule import Judgement, Rule, Verdict, judge, may_breach, worsened
from processors.engine.step import Record

GONE_AFTER: Final = 3
"""Whole records in a row that lack a component."""
MOST: Final = 500
"""Alerts and breaches on hold of one host and source; what is beyond is not taken."""
FLOOD: Final = "too-many-alerts"
UPDATE_EVERY: Final = timedelta(minutes=1)
Key = tuple[str, str]
"""(rule, component)."""


def alert_id(rule: str, host: str, component: str, started_at: datetime) -> str:
    """The alert's id: 16 hex digits."""
    said = f"{rule}\0{host}\0{component}\0{started_at.isoformat()}"
    return sha256(said.encode(errors="replace")).hexdigest()[:16]


class Sitting:
    """One record, judged."""

    def __init__(self, source: str, record: Record, raw: Record, fingerprint: str) -> None:
        self.source, self.record, self.fingerprint = source, record, fingerprint
        self.whole = not any(error["whole"] for error in raw.get("errors", ()))
        if record is not raw:
            # A raw record lists what is stale; what a step makes of one leaves it out.
            self.whole = self.whole and not any(domain["stale"] for domain in raw.get("domains", ()))
        self.active: dict[Key, Record] = {}
        self.pending: dict[Key, Record] = {}
        self.known: dict[Key, Record] = {}
        self.transitions: list[Record] = []
        self._seen: set[Key] = set()
        self._told_of: set[str] = set()
        self._refused = 0

    def take(self, active: Mapping[Key, Record], pending: Mapping[Key, Record], known: Mapping[Key, Record]) -> None:
        """Begins with what the memory holds."""
        self.active, self.pending, self.known = dict(active), dict(pending), dict(known)
        self._told_of = {rule for rule, _ in (*active, *pending)}

    def hear(self, rule: Rule) -> None:
        """Applies one rule to every reading it is about. Of two readings of one component the first counts."""
        readings = [self.record] if rule.readings is None else self.record.get(rule.readings) or ()
        if not rule.missing and rule.name not in self._told_of and not may_breach(rule, readings):
            return  # most rules of most records: nothing is the matter, and nothing was
        for reading in readings:
            key = (rule.name, templates.component(rule.component, reading))
            if key in self._seen:
                continue
            self._seen.add(key)
            if rule.missing:
                self._here(rule, key)
            else:
                self._judge(rule, key, reading, judge(rule, reading))

    def _judge(self, rule: Rule, key: Key, reading: Mapping[str, Any], judgement: Judgement) -> None:
        alert = self.active.get(key)
        if judgement.verdict is Verdict.UNKNOWN:
            if alert is not None and alert["unseen"]:
                self.active[key] = alert | {"unseen": 0}
        elif alert is not None:
            self._watch(rule, key, reading, judgement)
        elif judgement.verdict is Verdict.BREACH:
            self._breach(rule, key, reading, judgement)
        else:
            self.pending.pop(key, None)

    def _here(self, rule: Rule, key: Key) -> None:
        """A component of a rule about what is missing is there."""
        known = self.known.get(key)
        if len(self.known) < MOST if known is None else known["unseen"]:
            category = self.record["category"]
            self.known[key] = {"rule": key[0], "component": key[1], "category": category, "unseen": 0}
        self.pending.pop(key, None)
        if key in self.active:
            self._watch(rule, key, {}, Judgement(Verdict.CLEAR))

    def _breach(self, rule: Rule, key: Key, reading: Mapping[str, Any], judgement: Judgement) -> None:
        at = self.record["observed_at"]
        if key not in self.pending and len(self.active) + len(self.pending) >= MOST:
            self._refused += 1
            return
        about = {"rule": rule.name, "component": key[1], "topic": self.source, "category": self.record["category"]}
        hold = self.pending.pop(key, None) or about | {"count": 0, "started_at": at}
        hold = hold | {"count": hold["count"] + 1}
        if hold["count"] < rule.hold:
            self.pending[key] = hold
            return
        self.active[key] = (
            about
            | self._told(rule, key, reading, judgement)
            | {
                "id": alert_id(rule.name, self.record["host"], key[1], hold["started_at"]),
                "revision": 0,
                "severity": rule.severity,
                "started_at": hold["started_at"],
                "unseen": 0,
                "clear_count": 0,
                "labels": rule.labels,
            }
        )
        self._tell("raised", self.active[key])

    def _told(self, rule: Rule, key: Key, reading: Mapping[str, Any], judgement: Judgement) -> Record:
        """What a transition says of a value."""
        numbers = {"value": judgement.value, "threshold": judgement.threshold}
        text = templates.text(rule.text, reading, component=key[1], host=self.record["host"], **numbers)
        return numbers | {"word": judgement.word, "text": text, "told_at": self.record["observed_at"]}

    def _watch(self, rule: Rule, key: Key, reading: Mapping[str, Any], judgement: Judgement) -> None:
        alert = self.active[key]
        clears = alert["clear_count"] + 1 if judgement.verdict is Verdict.CLEAR else 0
        if clears >= rule.clear_hold:
            del self.active[key]
            self._clear(alert | {"value": judgement.value, "threshold": judgement.threshold}, cause="recovered")
            return
        alert = alert | {"unseen": 0, "clear_count": clears}
        told_at = alert["told_at"] or alert["started_at"]
        waited = self.record["observed_at"] - told_at >= UPDATE_EVERY
        if judgement.verdict is Verdict.BREACH and waited and worsened(rule, alert, judgement):
            alert |= self._told(rule, key, reading, judgement) | {"revision": alert["revision"] + 1}
            self._tell("updated", alert)
        self.active[key] = alert

    def end(self) -> None:
        """The host is no target any more: nothing of it is awaited."""
        for alert in self.active.values():
            self._clear(alert, cause="gone")
        self.active, self.pending, self.known = {}, {}, {}

    def miss(self, rules: Mapping[str, Rule]) -> None:
        """Applies the absence of components, and says so where there is too much to tell."""
        if self.whole:
            self._forget_pending()
            for key, known in list(self.known.items()):
                if known["category"] == self.record["category"] and key not in self._seen:
                    self._lacks(rules.get(key[0]), key, known)
            for key, alert in list(self.active.items()):
                if not self._is_mine(alert) or key in self._seen or key in self.known or key[0] == FLOOD:
                    continue
                if alert["unseen"] + 1 < GONE_AFTER:
                    self.active[key] = alert | {"unseen": alert["unseen"] + 1}
                    continue
                del self.active[key]
                self._clear(alert, cause="gone")
        self._flood()

    def _is_mine(self, each: Record) -> bool:
        return bool(each["category"] == self.record["category"])

    def _forget_pending(self) -> None:
        for key in [key for key, each in self.pending.items() if self._is_mine(each) and key not in self._seen]:
            if key not in self.known:
                del self.pending[key]

    def _lacks(self, rule: Rule | None, key: Key, known: Record) -> None:
        """A component that was there is not listed."""
        alert, at = self.active.get(key), self.record["observed_at"]
        forgotten = rule is None or not rule.missing or not rule.wants(self.record)
        if alert is None and not forgotten:
            assert rule is not None
            self.known[key] = known | {"unseen": known["unseen"] + 1}
            self._breach(rule, key, {}, Judgement(Verdict.BREACH))
            return
        if alert is None or forgotten or at - alert["started_at"] >= timedelta(seconds=_s(rule)):
            del self.known[key]
            self.pending.pop(key, None)
            if alert is not None:
                del self.active[key]
                self._clear(alert, cause="gone")

    def _flood(self) -> None:
        """One alert for all that do not fit; it ends when half are gone."""
        category = self.record["category"]
        key = (FLOOD, category)
        if self._refused and key not in self.active:
            at = self.record["observed_at"]
            text = f"More than {MOST} alerts of {category} at once: {self._refused} more are not told one by one"
            self.active[key] = {
                "id": alert_id(FLOOD, self.record["host"], category, at),
                "revision": 0,
                "rule": FLOOD,
                "component": category,
                "topic": self.source,
                "category": category,
                "severity": "critical",
                "value": float(self._refused),
                "threshold": None,
                "word": None,
                "text": text,
                "started_at": at,
                "told_at": at,
                "unseen": 0,
                "clear_count": 0,
                "labels": {},
            }
            self._tell("raised", self.active[key])
        elif key in self.active and not self._refused and len(self.active) + len(self.pending) <= MOST // 2:
            self._clear(self.active.pop(key), cause="recovered")

    def _clear(self, alert: Record, *, cause: str) -> None:
        self._tell("cleared", alert | {"revision": alert["revision"] + 1}, cause)

    def _tell(self, what: str, alert: Record, cause: str | None = None) -> None:
        kept = ("id", "revision", "rule", "component", "severity", "value", "threshold", "text", "started_at")
        at = ("host", "observed_at", "category", "epoch", "sequence")
        self.transitions.append(
            {"transition": what, "cause": cause, "pack": self.fingerprint}
            | {name: alert[name] for name in kept}
            | {name: self.record[name] for name in at}
            | {"labels": self.record["labels"] | alert["labels"]}
        )


def _s(rule: Rule | None) -> float:
    return min(rule.forget_s, 3.2e7) if rule is not None else 0.0
