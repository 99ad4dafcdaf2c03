"""Health of each host from its BMC's readings, component by component: seed 000's dashboard as a stream. Pure.

The last record of each category counts. The stream differs from the seed's function (`dashboard`) on purpose:

- what is absent or says nothing is skipped and counted as `unknown`; a host of which nothing is known is `unknown`;
- power supplies, and processors and memory by each system's summary, are judged too: by the worst health;
- of a host that is no target any more (`catalog.REMOVED`) nothing is known;
- a record that lacks a whole resource does not tell that what it lacks is well: known alerts of it stay.

The health record is the step's whole memory, as for alerts: it is written when more than its order or a reading
changed, and again every 10 minutes; a reading that moves while all else stands is not taken over. So a worker that
starts again from the record, and steps what came after it, ends in the same state.
"""

from __future__ import annotations

from typing import Final

from processors.dashboard import COMPONENTS, generate_health_dashboard
from processors.engine.step import WRITTEN_AGAIN, Output, Record, Step, advanced
from processors.health_checks import CHECKS, Tally, details, status
from schemas.catalog import REMOVED

__all__ = ["STEP", "generate_health_dashboard", "nothing", "step"]

MEMORY: Final = "state-health"
RANK: Final = ("unknown", "ok", "warning", "critical")
MOVING: Final = frozenset({"as_of", "category", "observed_at", "epoch", "sequence", "alerts", "since"})
"""Fields that make no other health; of alerts the readings do not."""


def nothing(host: str) -> Record:
    """The health of a host of which nothing is known."""
    parts = {part: {"status": "unknown", "unknown": 0} | details(part, Tally(), []) for part in COMPONENTS}
    return {"host": host, "overall": "unknown", "unknown": 0, "alerts": [], "as_of": []} | parts | {"since": None}


def step(state: Record | None, record: Record) -> tuple[Record, list[Output]]:
    """Judges one record; the output is the health, if it is another or was long not told."""
    before = state or nothing(record["host"])
    as_of = advanced(before["as_of"], "raw-redfish", record)
    judged = nothing(record["host"]) if record["category"] == REMOVED else _judged(before, record)
    after = before | judged | {"labels": record["labels"]}
    after["overall"] = max((after[part]["status"] for part in COMPONENTS), key=RANK.index)
    after["unknown"] = sum(after[part]["unknown"] for part in COMPONENTS)
    if state is not None and _essence(after) == _essence(before):
        before = before | {"as_of": as_of}
        if record["observed_at"] - before["observed_at"] < WRITTEN_AGAIN:
            return before, []
        again = before | _written_at(record) | {"since": before["since"] or before["observed_at"]}
        return again, [(MEMORY, again)]
    after |= _written_at(record) | {"as_of": as_of, "since": record["observed_at"]}
    return after, [(MEMORY, after)]


def _written_at(record: Record) -> Record:
    return {name: record[name] for name in ("category", "observed_at", "epoch", "sequence")}


def _judged(before: Record, record: Record) -> Record:
    """The components that a record is about, and the alerts of all."""
    category = record["category"]
    alerts = [alert for alert in before["alerts"] if alert["category"] != category]
    parts: Record = {}
    for part in dict.fromkeys(check.part for check in CHECKS[category]):
        parts[part], found = _part(part, before, record)
        alerts += found
    # In an order of their own, so that it is no change when a category is read again.
    return parts | {"alerts": sorted(alerts, key=lambda each: (each["category"], each["rule"], each["component"]))}


def _part(part: str, before: Record, record: Record) -> tuple[Record, list[Record]]:
    """One component after a record, and its alerts."""
    checks = {check.rule: check for check in CHECKS[record["category"]] if check.part == part}
    known = [alert for alert in before["alerts"] if alert["rule"] in checks]
    tally = Tally()
    seen: dict[tuple[str, str], Record | None] = {}
    for rule, check in checks.items():
        found = tally.apply(check, record["category"], record.get(check.array) or ())
        seen |= {(rule, component): alert for component, alert in found.items()}
    if any(error["whole"] for error in record["errors"]):
        if tally.is_empty:
            return before[part], known
        for alert in known:
            if (alert["rule"], alert["component"]) not in seen:
                tally.add(checks[alert["rule"]], alert)
                seen[alert["rule"], alert["component"]] = alert
        tally.no_fewer(part, before[part])
    after = {"status": status(part, tally), "unknown": tally.unknown} | details(part, tally, record["systems"])
    return after, [alert for alert in seen.values() if alert is not None]


def _essence(health: Record) -> Record:
    """What makes two states of a host two."""
    alerts = [{name: alert[name] for name in ("rule", "component", "health")} for alert in health["alerts"]]
    return {name: value for name, value in health.items() if name not in MOVING} | {"alerts": alerts}


STEP: Final = Step(
    name="health",
    input="raw-redfish",
    outputs=(),
    memory=MEMORY,
    run=step,
    categories=frozenset(CHECKS) | {REMOVED},
)
