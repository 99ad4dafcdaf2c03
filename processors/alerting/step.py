"""The alert step: evaluates rules against the readings of one source and keeps the alerts of each host. Pure.

- An alert is raised when `hold` records in a row breach, and cleared when `clear_hold` in a row are past the clear
  threshold. It is updated when its value has worsened by a step, at most once a minute of observation time.
- A missing reading (null, absent, stale, implausible) changes nothing: the alert stays as it is.
- A component that is missing from `GONE_AFTER_RECORDS` complete records in a row is cleared as `gone`. A record that
  lacks a resource is not complete, nor are rates derived from a record with a stale domain.
- A host that is no longer a target has no alerts: its last record (`catalog.REMOVED_CATEGORY`) clears all as `gone`.
- A record that reached Kafka late is not evaluated: its readings may long be outdated.
- An alert's id is a hash of rule, host, component and first breach, so a replay reproduces it.
- A host has at most `MAX_ALERTS` active and pending alerts per source; one more alert stands for the rest.
- The state record is written only when more than its order changed, and every 10 minutes while it is not empty. A
  worker that starts from it skips records at or before `as_of`, applies the rest, and ends in the same state.

Each source (a raw topic, or a topic derived from one) has a step and a state of its own, so the order between topics
does not matter.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from processors.alerting.evaluation import NO_ALERTS, AlertSet, RuleEvaluation, is_complete
from processors.alerting.rule import RULE_INPUTS, RuleTopic
from processors.alerting.rule_pack import pack_in_force
from processors.engine.step import REWRITE_INTERVAL, Context, Output, Step, StepResult
from schemas.catalog import REMOVED_CATEGORY
from schemas.header import RecordHeader
from schemas.records import AlertState

MEMORY: Final = "state-alerts"
MAX_AGE_INTERVALS: Final = 3
"""A record older than this many poll intervals on arrival is outdated."""
MIN_MAX_AGE: Final = timedelta(seconds=10)
"""A younger record is never outdated: one-second polls wait longer than 3 s for a busy machine."""
MAX_INTERVAL_S: Final = 86400.0


class HostAlerts(NamedTuple):
    """The state of one host; small for the many hosts without alerts."""

    as_of: tuple[tuple[str, str, int], ...] = ()
    """(category, epoch, sequence) of the last record of each category."""
    alerts: AlertSet = NO_ALERTS
    written_at: datetime | None = None


def is_outdated(record: RecordHeader, context: Context) -> bool:
    """True if a record's readings may no longer have been current when it reached Kafka."""
    interval_s: float = context.raw_record.get("interval_s", 0.0)
    # The comparison is false for NaN, which counts as no interval.
    max_age = timedelta(seconds=MAX_AGE_INTERVALS * min(interval_s, MAX_INTERVAL_S)) if interval_s > 0 else MIN_MAX_AGE
    return context.appended_at - record["observed_at"] > max(max_age, MIN_MAX_AGE)


def evaluate_record(
    source: RuleTopic, state: HostAlerts | None, record: RecordHeader, context: Context
) -> StepResult[HostAlerts]:
    """Evaluates one record; the outputs are alert transitions and, if anything changed, the state record."""
    before = state or HostAlerts()
    advanced = before._replace(as_of=_advance(before.as_of, record))
    is_removal = record["category"] == REMOVED_CATEGORY
    if is_outdated(record, context) and not is_removal:
        return advanced, []
    pack = pack_in_force(context, record["observed_at"])
    evaluation = RuleEvaluation(
        source,
        record,
        pack.fingerprint,
        before.alerts,
        is_complete=is_complete(record, context.raw_record),
    )
    if is_removal:
        evaluation.clear_all()
    else:
        for rule in pack.by_topic.get(source, ()):
            if rule.applies_to(record):
                evaluation.apply_rule(rule)
        evaluation.handle_missing(pack.by_name)
    outputs: list[Output] = [("alerts", transition) for transition in evaluation.transitions]
    after = advanced._replace(alerts=evaluation.alerts)
    is_due = after.written_at is not None and record["observed_at"] - after.written_at >= REWRITE_INTERVAL
    if after.alerts == before.alerts and not (is_due and any(after.alerts)):
        return advanced, outputs
    after = after._replace(written_at=record["observed_at"])
    return after, [*outputs, (MEMORY, _state_record(source, record["host"], after))]


def _advance(as_of: tuple[tuple[str, str, int], ...], record: RecordHeader) -> tuple[tuple[str, str, int], ...]:
    category = record["category"]
    return (*(entry for entry in as_of if entry[0] != category), (category, record["epoch"], record["sequence"]))


def _state_record(source: RuleTopic, host: str, state: HostAlerts) -> AlertState:
    return {
        "host": host,
        "source": source,
        "as_of": [
            {"topic": source, "category": category, "epoch": epoch, "sequence": sequence}
            for category, epoch, sequence in state.as_of
        ],
        "active": list(state.alerts.active.values()),
        "pending": list(state.alerts.pending.values()),
        "known": list(state.alerts.expected.values()),
        "written_at": state.written_at,
    }


def restore_state(_: HostAlerts | None, record: AlertState) -> HostAlerts:
    """Returns the state that a state record holds."""
    alerts = AlertSet(
        {(alert["rule"], alert["component"]): alert for alert in record["active"]},
        {(alert["rule"], alert["component"]): alert for alert in record["pending"]},
        {(component["rule"], component["component"]): component for component in record["known"]},
    )
    return HostAlerts(
        tuple((entry["category"], entry["epoch"], entry["sequence"]) for entry in record["as_of"]),
        alerts if any(alerts) else NO_ALERTS,
        record["written_at"],
    )


def alert_step(source: RuleTopic = "raw-redfish") -> Step[HostAlerts, Any]:
    """Creates the step that evaluates the rules of one source."""
    rule_input = RULE_INPUTS[source]
    return Step(
        name=f"alerts-{source}",
        input=rule_input.raw_topic,
        outputs=("alerts",),
        memory=MEMORY,
        run_with_context=lambda state, record, context: evaluate_record(source, state, record, context),
        derived_from=rule_input.derived_topic,
        restore=restore_state,
        owns=lambda record: record["source"] == source,
    )


STEPS: Final = tuple(alert_step(source) for source in RULE_INPUTS)
"""One step per source."""
