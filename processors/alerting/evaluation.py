"""Evaluates alert rules against one record and collects the resulting transitions. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from hashlib import sha256
from types import MappingProxyType
from typing import Final, Literal, NamedTuple, TypedDict

from processors.alerting import templates
from processors.alerting.rule import (
    Reading,
    ReadingResult,
    ReadingStatus,
    Rule,
    any_breach,
    evaluate_reading,
    has_worsened,
)
from processors.engine.step import AnyRecord
from schemas.alerts import TOO_MANY_ALERTS
from schemas.header import RecordHeader
from schemas.records import ActiveAlert, Alert, Domain, KnownComponent, PendingAlert, PollError

GONE_AFTER_RECORDS: Final = 3
"""An alert is cleared as `gone` when this many complete records in a row lack its component."""
MAX_ALERTS: Final = 500
"""Active and pending alerts per host and source. Further breaches raise a single `too-many-alerts` alert."""
MAX_FORGET_S: Final = 3.2e7
"""A year; longer durations overflow a timedelta."""
UPDATE_INTERVAL: Final = timedelta(minutes=1)
"""An active alert is updated at most this often."""
AlertKey = tuple[str, str]
"""(rule, component)."""
Cause = Literal["recovered", "gone"]


class AlertSet(NamedTuple):
    """The alerts of one host and source."""

    active: Mapping[AlertKey, ActiveAlert] = MappingProxyType({})
    pending: Mapping[AlertKey, PendingAlert] = MappingProxyType({})
    """Breaches that have not held for long enough."""
    expected: Mapping[AlertKey, KnownComponent] = MappingProxyType({})
    """Components whose absence is a breach."""


NO_ALERTS: Final = AlertSet()
"""Shared by the many hosts without alerts, whose states are then small."""


class AlertMessage(TypedDict):
    """The fields of an active alert that describe its reading at the last transition."""

    value: float | None
    threshold: float | None
    word: str | None
    text: str
    told_at: datetime | None


def alert_id(rule: str, host: str, component: str, started_at: datetime) -> str:
    """Returns an alert's id: 16 hex digits."""
    identity = f"{rule}\0{host}\0{component}\0{started_at.isoformat()}"
    return sha256(identity.encode(errors="replace")).hexdigest()[:16]


def is_complete(record: object, raw_record: AnyRecord) -> bool:
    """True if a component that a record lacks is known to be absent rather than just unread."""
    errors: Iterable[PollError] = raw_record.get("errors", ())
    if any(error["whole"] for error in errors):
        return False
    if record is raw_record:
        return True
    # A raw record lists stale domains; what is derived from it leaves them out.
    domains: Iterable[Domain] = raw_record.get("domains", ())
    return not any(domain["stale"] for domain in domains)


class RuleEvaluation:
    """Evaluates alert rules against one record and collects the resulting transitions."""

    def __init__(
        self, source: str, record: RecordHeader, fingerprint: str, alerts: AlertSet, *, is_complete: bool
    ) -> None:
        """Starts with the alerts after the previous record.

        Args:
            source: Topic of the rules.
            record: The record.
            fingerprint: Fingerprint of the rule pack.
            alerts: The alerts before the record.
            is_complete: False if a component missing from the record may merely not have been read.
        """
        self._source, self._record, self._fingerprint = source, record, fingerprint
        self._is_complete = is_complete
        self._active, self._pending, self._expected = dict(alerts.active), dict(alerts.pending), dict(alerts.expected)
        self.transitions: list[Alert] = []
        self._present: set[AlertKey] = set()
        self._rules_with_alerts = {rule for rule, _ in (*self._active, *self._pending)}
        self._excess_breaches = 0
        """Breaches beyond `MAX_ALERTS`."""

    @property
    def alerts(self) -> AlertSet:
        """The alerts after the record."""
        alerts = AlertSet(self._active, self._pending, self._expected)
        return alerts if any(alerts) else NO_ALERTS

    def apply_rule(self, rule: Rule) -> None:
        """Evaluates one rule against every reading it selects; duplicate readings of a component are ignored."""
        fields: Reading = self._record
        readings = [fields] if rule.readings is None else fields.get(rule.readings) or ()
        if not rule.missing and rule.name not in self._rules_with_alerts and not any_breach(rule, readings):
            return  # the common case: no breach, and no alert that could clear
        for reading in readings:
            key = (rule.name, templates.render_component(rule.component, reading))
            if key in self._present:
                continue
            self._present.add(key)
            if rule.missing:
                self._mark_present(rule, key)
            else:
                self._apply_result(rule, key, reading, evaluate_reading(rule, reading))

    def _apply_result(self, rule: Rule, key: AlertKey, reading: Reading, result: ReadingResult) -> None:
        alert = self._active.get(key)
        if result.status is ReadingStatus.UNKNOWN:
            if alert is not None and alert["unseen"]:
                self._active[key] = alert | {"unseen": 0}
        elif alert is not None:
            self._update_active(rule, key, alert, reading, result)
        elif result.status is ReadingStatus.BREACH:
            self._handle_breach(rule, key, reading, result)
        else:
            self._pending.pop(key, None)

    def _mark_present(self, rule: Rule, key: AlertKey) -> None:
        """Records that a component whose absence is a breach is present."""
        component = self._expected.get(key)
        if len(self._expected) < MAX_ALERTS if component is None else component["unseen"]:
            category = self._record["category"]
            self._expected[key] = {"rule": key[0], "component": key[1], "category": category, "unseen": 0}
        self._pending.pop(key, None)
        if key in self._active:
            self._update_active(rule, key, self._active[key], {}, ReadingResult(ReadingStatus.CLEAR))

    def _handle_breach(self, rule: Rule, key: AlertKey, reading: Reading, result: ReadingResult) -> None:
        """Counts a breach, and raises the alert if it has held for long enough."""
        if key not in self._pending and len(self._active) + len(self._pending) >= MAX_ALERTS:
            self._excess_breaches += 1
            return
        pending = self._pending.pop(key, None)
        if pending is None:
            pending = {
                "rule": rule.name,
                "component": key[1],
                "topic": self._source,
                "category": self._record["category"],
                "count": 0,
                "started_at": self._record["observed_at"],
            }
        pending = pending | {"count": pending["count"] + 1}
        if pending["count"] < rule.hold:
            self._pending[key] = pending
            return
        alert: ActiveAlert = {
            "rule": rule.name,
            "component": key[1],
            "topic": self._source,
            "category": self._record["category"],
            **self._message(rule, key, reading, result),
            "id": alert_id(rule.name, self._record["host"], key[1], pending["started_at"]),
            "revision": 0,
            "severity": rule.severity,
            "started_at": pending["started_at"],
            "unseen": 0,
            "clear_count": 0,
            "labels": rule.labels,
        }
        self._active[key] = alert
        self._record_transition("raised", alert)

    def _message(self, rule: Rule, key: AlertKey, reading: Reading, result: ReadingResult) -> AlertMessage:
        text = templates.render_text(
            rule.text,
            reading,
            component=key[1],
            host=self._record["host"],
            value=result.value,
            threshold=result.threshold,
        )
        return {
            "value": result.value,
            "threshold": result.threshold,
            "word": result.word,
            "text": text,
            "told_at": self._record["observed_at"],
        }

    def _update_active(
        self, rule: Rule, key: AlertKey, alert: ActiveAlert, reading: Reading, result: ReadingResult
    ) -> None:
        """Clears an active alert, or updates it if its reading has worsened."""
        clear_count = alert["clear_count"] + 1 if result.status is ReadingStatus.CLEAR else 0
        if clear_count >= rule.clear_hold:
            del self._active[key]
            self._clear(alert | {"value": result.value, "threshold": result.threshold}, cause="recovered")
            return
        alert = alert | {"unseen": 0, "clear_count": clear_count}
        is_due = self._record["observed_at"] - (alert["told_at"] or alert["started_at"]) >= UPDATE_INTERVAL
        if (
            result.status is ReadingStatus.BREACH
            and is_due
            and has_worsened(rule, alert["value"], alert["word"], result)
        ):
            alert = {**alert, **self._message(rule, key, reading, result), "revision": alert["revision"] + 1}
            self._record_transition("updated", alert)
        self._active[key] = alert

    def clear_all(self) -> None:
        """Clears every alert: the host is no longer a target."""
        for alert in self._active.values():
            self._clear(alert, cause="gone")
        self._active, self._pending, self._expected = {}, {}, {}

    def handle_missing(self, rules: Mapping[str, Rule]) -> None:
        """Handles components that the record lacks, then breaches beyond the limit. `rules`: name → rule."""
        if self._is_complete:
            self._drop_missing_pending()
            for key, component in list(self._expected.items()):
                if component["category"] == self._record["category"] and key not in self._present:
                    self._handle_missing_component(rules.get(key[0]), key, component)
            for key, alert in list(self._active.items()):
                if not self._concerns_record(alert) or key in self._present or key in self._expected:
                    continue
                if key[0] == TOO_MANY_ALERTS:
                    continue
                if alert["unseen"] + 1 < GONE_AFTER_RECORDS:
                    self._active[key] = alert | {"unseen": alert["unseen"] + 1}
                    continue
                del self._active[key]
                self._clear(alert, cause="gone")
        self._limit_alerts()

    def _concerns_record(self, alert: ActiveAlert | PendingAlert) -> bool:
        return alert["category"] == self._record["category"]

    def _drop_missing_pending(self) -> None:
        missing = [
            key for key, alert in self._pending.items() if self._concerns_record(alert) and key not in self._present
        ]
        for key in missing:
            if key not in self._expected:
                del self._pending[key]

    def _handle_missing_component(self, rule: Rule | None, key: AlertKey, component: KnownComponent) -> None:
        """Counts the absence of an expected component as a breach, until it is no longer expected."""
        alert, observed_at = self._active.get(key), self._record["observed_at"]
        is_expected = rule is not None and rule.missing and rule.applies_to(self._record)
        if alert is None and is_expected:
            assert rule is not None
            self._expected[key] = component | {"unseen": component["unseen"] + 1}
            self._handle_breach(rule, key, {}, ReadingResult(ReadingStatus.BREACH))
            return
        if alert is None or not is_expected or observed_at - alert["started_at"] >= _forget_after(rule):
            del self._expected[key]
            self._pending.pop(key, None)
            if alert is not None:
                del self._active[key]
                self._clear(alert, cause="gone")

    def _limit_alerts(self) -> None:
        """Raises one alert for all breaches beyond `MAX_ALERTS`; it clears at half of `MAX_ALERTS`."""
        category = self._record["category"]
        key = (TOO_MANY_ALERTS, category)
        if self._excess_breaches and key not in self._active:
            observed_at = self._record["observed_at"]
            self._active[key] = {
                "id": alert_id(TOO_MANY_ALERTS, self._record["host"], category, observed_at),
                "revision": 0,
                "rule": TOO_MANY_ALERTS,
                "component": category,
                "topic": self._source,
                "category": category,
                "severity": "critical",
                "value": float(self._excess_breaches),
                "threshold": None,
                "word": None,
                "text": f"More than {MAX_ALERTS} {category} alerts at once: "
                f"{self._excess_breaches} more are not raised",
                "started_at": observed_at,
                "told_at": observed_at,
                "unseen": 0,
                "clear_count": 0,
                "labels": {},
            }
            self._record_transition("raised", self._active[key])
        elif (
            key in self._active
            and not self._excess_breaches
            and len(self._active) + len(self._pending) <= MAX_ALERTS // 2
        ):
            self._clear(self._active.pop(key), cause="recovered")

    def _clear(self, alert: ActiveAlert, *, cause: Cause) -> None:
        self._record_transition("cleared", alert | {"revision": alert["revision"] + 1}, cause)

    def _record_transition(
        self, transition: Literal["raised", "updated", "cleared"], alert: ActiveAlert, cause: Cause | None = None
    ) -> None:
        record = self._record
        self.transitions.append(
            {
                "transition": transition,
                "cause": cause,
                "pack": self._fingerprint,
                "id": alert["id"],
                "revision": alert["revision"],
                "rule": alert["rule"],
                "component": alert["component"],
                "severity": alert["severity"],
                "value": alert["value"],
                "threshold": alert["threshold"],
                "text": alert["text"],
                "started_at": alert["started_at"],
                "host": record["host"],
                "observed_at": record["observed_at"],
                "category": record["category"],
                "epoch": record["epoch"],
                "sequence": record["sequence"],
                "labels": record["labels"] | alert["labels"],
            }
        )


def _forget_after(rule: Rule | None) -> timedelta:
    """Returns how long a component is expected after its alert was raised."""
    return timedelta(seconds=min(rule.forget_s, MAX_FORGET_S) if rule is not None else 0.0)
