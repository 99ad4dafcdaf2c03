"""The health step: the health of each host from its BMC's readings, component by component. Pure.

It is the scripting API's dashboard as a stream, over the last record of each category. It differs on purpose:

- Absent readings are skipped and unknown ones counted as `unknown`; a host without any results is `unknown`.
- Power supplies, and processors and memory by each system's summary, are checked too: by the worst health.
- A host that is no longer a target (`catalog.REMOVED_CATEGORY`) is `unknown`.
- A record that lacks a whole resource does not show that its readings are OK: earlier alerts about them stay.

The health record is the step's whole state. It is written when more than its order or a reading changed, and every 10
minutes; a moving reading alone is not taken over. So a worker that starts from the record, and applies what came after
it, ends in the same state.
"""

from __future__ import annotations

from typing import Final, TypedDict, cast

from processors.dashboard import COMPONENTS, generate_health_dashboard
from processors.engine.step import REWRITE_INTERVAL, AnyRecord, Step, StepResult, advance_as_of, derived_header
from processors.health_checks import CHECKS, CheckCounts, component_details, component_status
from schemas.catalog import REMOVED_CATEGORY
from schemas.records import Health, HealthAlert, HealthStatus, RedfishSample

__all__ = ["STEP", "generate_health_dashboard", "step", "unknown_health"]

MEMORY: Final = "state-health"
INPUT: Final = "raw-redfish"
STATUS_RANK: Final = ("unknown", "ok", "warning", "critical")
VOLATILE_FIELDS: Final = frozenset({"as_of", "category", "observed_at", "epoch", "sequence", "alerts", "since"})
"""Fields that may change without a change of health; alerts are compared without their readings."""


class ComponentHealth(TypedDict):
    """The fields that all components of a health record have in common."""

    status: HealthStatus
    unknown: int


def unknown_health(record: RedfishSample) -> Health:
    """Returns the health of a record's host before any reading."""
    return cast(
        "Health",
        {
            **derived_header(record),
            "overall": "unknown",
            "unknown": 0,
            "alerts": [],
            "as_of": [],
            "since": None,
            **_unknown_components(),
        },
    )


def _unknown_components() -> dict[str, ComponentHealth]:
    return {component: _component(component, CheckCounts(), None) for component in COMPONENTS}


def step(state: Health | None, record: RedfishSample) -> StepResult[Health]:
    """Applies one record and emits the health if it changed, or was written long ago."""
    before = state or unknown_health(record)
    as_of = advance_as_of(before["as_of"], INPUT, record)
    components, alerts = _unknown_components(), list[HealthAlert]()
    if record["category"] != REMOVED_CATEGORY:
        components, alerts = _evaluate(before, record)
    after = cast("Health", {**before, **components}) | {"alerts": alerts, "labels": record["labels"]}
    statuses = _components(after).values()
    after["overall"] = max((component["status"] for component in statuses), key=STATUS_RANK.index)
    after["unknown"] = sum(component["unknown"] for component in statuses)
    if state is not None and _comparable(after) == _comparable(before):
        before = before | {"as_of": as_of}
        if record["observed_at"] - before["observed_at"] < REWRITE_INTERVAL:
            return before, []
        rewritten = _with_header(before, record) | {"since": before["since"] or before["observed_at"]}
        return rewritten, [(MEMORY, rewritten)]
    after = _with_header(after, record) | {"as_of": as_of, "since": record["observed_at"]}
    return after, [(MEMORY, after)]


def _with_header(health: Health, record: RedfishSample) -> Health:
    """Returns a health record that names `record` as its newest."""
    return health | {
        "category": record["category"],
        "observed_at": record["observed_at"],
        "epoch": record["epoch"],
        "sequence": record["sequence"],
    }


def _components(health: Health) -> dict[str, ComponentHealth]:
    return {
        "system": health["system"],
        "thermal": health["thermal"],
        "power": health["power"],
        "processor": health["processor"],
        "memory": health["memory"],
        "storage": health["storage"],
    }


def _evaluate(before: Health, record: RedfishSample) -> tuple[dict[str, ComponentHealth], list[HealthAlert]]:
    """Returns the components that a record is about, and the alerts of all components."""
    category = record["category"]
    alerts = [alert for alert in before["alerts"] if alert["category"] != category]
    components: dict[str, ComponentHealth] = {}
    for component in dict.fromkeys(check.component for check in CHECKS[category]):
        components[component], component_alerts = _evaluate_component(component, before, record)
        alerts += component_alerts
    # Sorted, so that reading a category again changes nothing.
    return components, sorted(alerts, key=lambda alert: (alert["category"], alert["rule"], alert["component"]))


def _evaluate_component(
    component: str, before: Health, record: RedfishSample
) -> tuple[ComponentHealth, list[HealthAlert]]:
    """Returns a component after a record, and its alerts."""
    checks = {check.rule: check for check in CHECKS[record["category"]] if check.component == component}
    previous_alerts = [alert for alert in before["alerts"] if alert["rule"] in checks]
    counts = CheckCounts()
    alerts: dict[tuple[str, str], HealthAlert | None] = {}
    readings: AnyRecord = record
    for rule, check in checks.items():
        results = counts.apply(check, record["category"], readings.get(check.array) or ())
        alerts |= {(rule, name): alert for name, alert in results.items()}
    if any(error["whole"] for error in record["errors"]):
        previous = _components(before)[component]
        if counts.is_empty:
            return previous, previous_alerts
        for alert in previous_alerts:
            if (alert["rule"], alert["component"]) not in alerts:
                counts.add_failure(checks[alert["rule"]], alert)
                alerts[alert["rule"], alert["component"]] = alert
        counts.keep_totals(component, previous)
    return _component(component, counts, record), [alert for alert in alerts.values() if alert is not None]


def _component(component: str, counts: CheckCounts, record: RedfishSample | None) -> ComponentHealth:
    """Returns a component of a health record from the results of its checks."""
    details = component_details(component, counts, record["systems"] if record is not None else [])
    status = component_status(component, counts)
    return cast("ComponentHealth", {"status": status, "unknown": counts.unknown, **details})


def _comparable(health: Health) -> dict[str, object]:
    """Returns the fields whose change counts as a change of health; of alerts: rule, component, health."""
    alerts = [(alert["rule"], alert["component"], alert["health"]) for alert in health["alerts"]]
    return {name: value for name, value in health.items() if name not in VOLATILE_FIELDS} | {"alerts": alerts}


STEP: Final = Step(
    name="health",
    input=INPUT,
    outputs=(),
    memory=MEMORY,
    run=step,
    categories=frozenset(CHECKS) | {REMOVED_CATEGORY},
)
