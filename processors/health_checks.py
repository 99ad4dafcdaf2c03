"""The checks that a host's health consists of, and how their results add up to a component's status. Pure.

A new check is a line of `CHECKS`; a new detail a line of `COUNTS` or `FACTS` and a field of Health.avsc.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from processors.dashboard import CRITICAL_SENSOR_RATIO, HIGH_TEMPERATURE_RATIO
from schemas.records import HealthAlert, HealthStatus, RedfishDrive, RedfishSystem, RedfishTemperature

Reading = Mapping[str, Any]
"""An entry of one of a Redfish record's arrays. Checks name its fields, so it is not of one type."""
CountKind = Literal["failed", "reported"]
ComponentDetails = dict[str, Any]
"""Fields of a component's record besides `status` and `unknown`."""


def _own_health(reading: Reading) -> str | None:
    health: str | None = reading.get("health")
    return health


def _temperature_health(sensor: RedfishTemperature) -> str | None:
    celsius, critical = sensor["reading_celsius"], sensor["upper_threshold_critical"]
    if celsius is None:
        return None
    # Some BMCs send 0 for a limit that is not set.
    is_high = critical is not None and critical > 0 and celsius > critical * HIGH_TEMPERATURE_RATIO
    return "High" if is_high else "OK"


def _predicted_failure(drive: RedfishDrive) -> str | None:
    return "Predicted" if drive.get("failure_predicted") else "OK"


def _summary_health(name: Literal["processor_summary", "memory_summary"]) -> Callable[[RedfishSystem], str | None]:
    def evaluate(system: RedfishSystem) -> str | None:
        summary = system[name]
        return None if summary["status_state"] == "Absent" else summary["status_health"]

    return evaluate


@dataclass(frozen=True)
class HealthCheck:
    """A check of each reading in one array."""

    rule: str
    component: str
    """Component of the health record."""
    array: str
    name_fields: tuple[str, ...]
    """Fields that identify the reading, its id last; missing ones are left out."""
    text: str
    evaluate: Callable[[Any], str | None] = _own_health
    """Returns OK, the fault, or None if the reading does not report its health."""
    value: str = ""
    """Field with the number that was evaluated, if it was one."""
    has_redfish_health: bool = True
    """True if the fault is a value of Redfish's Status.Health."""
    is_counted: bool = True
    """True if a reading counts towards the component's total, or as unknown."""

    def reading_name(self, reading: Reading) -> str:
        """Returns the identity of a reading, such as <chassis>/<sensor>."""
        return "/".join(str(reading[name]) for name in self.name_fields if reading.get(name) is not None)

    def alert(self, category: str, reading: Reading, health: str) -> HealthAlert:
        """Returns the alert of a failed reading."""
        value = reading[self.value] if self.value else None
        name = reading.get("sensor_name") or reading.get(self.name_fields[-1])
        return {
            "category": category,
            "rule": self.rule,
            "component": self.reading_name(reading),
            "health": health if self.has_redfish_health else None,
            "value": value,
            "text": self.text.format(name=name, health=health, value=value),
        }


SENSOR: Final = ("chassis_id", "sensor_id")
DRIVE: Final = ("system_id", "chassis_id", "storage_id", "drive_id")
SYSTEM: Final = ("system_id",)
CHECKS: Final[Mapping[str, tuple[HealthCheck, ...]]] = {
    "system": (
        HealthCheck("system-unhealthy", "system", "systems", SYSTEM, "System issue: {name} - {health}"),
        HealthCheck(
            "processor-unhealthy",
            "processor",
            "systems",
            SYSTEM,
            "Processor issue: {name} - {health}",
            _summary_health("processor_summary"),
        ),
        HealthCheck(
            "memory-unhealthy",
            "memory",
            "systems",
            SYSTEM,
            "Memory issue: {name} - {health}",
            _summary_health("memory_summary"),
        ),
    ),
    "thermal": (
        HealthCheck(
            "temperature-high",
            "thermal",
            "temperatures",
            SENSOR,
            "High temperature: {name} at {value}°C",
            _temperature_health,
            "reading_celsius",
            has_redfish_health=False,
        ),
        HealthCheck("fan-unhealthy", "thermal", "fans", SENSOR, "Fan issue: {name} - {health}"),
    ),
    "power": (
        HealthCheck("supply-unhealthy", "power", "power_supplies", SENSOR, "Power supply issue: {name} - {health}"),
    ),
    "storage": (
        HealthCheck("drive-unhealthy", "storage", "drives", DRIVE, "Drive issue: {name} - {health}"),
        HealthCheck(
            "drive-failure-predicted",
            "storage",
            "drives",
            DRIVE,
            "Drive failure predicted: {name}",
            _predicted_failure,
            has_redfish_health=False,
            is_counted=False,
        ),
    ),
}
"""Category → checks of its records. Rules and texts are the dashboard's (`processors.dashboard`), where it has one."""


@dataclass
class CheckCounts:
    """Results of the checks of one component in one record."""

    reported: Counter[str] = field(default_factory=Counter)
    """Rule → readings that have a result."""
    failed: Counter[str] = field(default_factory=Counter)
    """Rule → readings that failed."""
    failed_health: set[str | None] = field(default_factory=set)
    """Status.Health of readings that failed."""
    unknown: int = 0

    def apply(self, check: HealthCheck, category: str, readings: Iterable[Reading]) -> dict[str, HealthAlert | None]:
        """Checks readings; duplicate readings of a component are ignored.

        Returns:
            Name of the reading → its alert; None if it is OK or unknown.
        """
        alerts: dict[str, HealthAlert | None] = {}
        for reading in readings:
            name = check.reading_name(reading)
            if name in alerts:
                continue
            alerts[name] = None
            health = None if reading.get("state") == "Absent" else check.evaluate(reading)
            if health is None or health == "Unknown":
                self.unknown += check.is_counted
            elif health == "OK":
                self.reported[check.rule] += check.is_counted
            else:
                alerts[name] = alert = check.alert(category, reading, health)
                self.add_failure(check, alert)
        return alerts

    def add_failure(self, check: HealthCheck, alert: HealthAlert) -> None:
        """Counts a failed reading."""
        self.reported[check.rule] += check.is_counted
        self.failed[check.rule] += 1
        self.failed_health.add(alert["health"])

    def keep_totals(self, component: str, before: Mapping[str, Any]) -> None:
        """Raises totals to the component's previous ones: readings that are missing this time still exist."""
        for name, (kind, rule) in COUNTS.get(component, {}).items():
            if kind == "reported":
                self.reported[rule] = max(self.reported[rule], before[name])

    def count(self, kind: CountKind, rule: str) -> int:
        """Returns the number of a rule's readings that failed, or that have a result."""
        return (self.failed if kind == "failed" else self.reported)[rule]

    @property
    def is_empty(self) -> bool:
        """True if no reading has a result."""
        return not self.reported.total() and not self.failed.total()


def component_status(component: str, counts: CheckCounts) -> HealthStatus:
    """Returns a component's status: by the dashboard's rules if it has some, else that of the worst reading."""
    if counts.is_empty:
        return "unknown"
    if not counts.failed.total():
        return "ok"
    if component == "thermal":
        high, total = counts.failed["temperature-high"], counts.reported["temperature-high"]
        return "warning" if high < total * CRITICAL_SENSOR_RATIO else "critical"
    if component == "storage":
        return "critical" if counts.failed["drive-unhealthy"] else "warning"
    return "critical" if "Critical" in counts.failed_health else "warning"


COUNTS: Final[Mapping[str, Mapping[str, tuple[CountKind, str]]]] = {
    "thermal": {
        "high_temperature_sensors": ("failed", "temperature-high"),
        "total_temperature_sensors": ("reported", "temperature-high"),
        "failed_fans": ("failed", "fan-unhealthy"),
        "total_fans": ("reported", "fan-unhealthy"),
    },
    "power": {"failed_supplies": ("failed", "supply-unhealthy"), "total_supplies": ("reported", "supply-unhealthy")},
    "storage": {
        "failed_drives": ("failed", "drive-unhealthy"),
        "predicted_failures": ("failed", "drive-failure-predicted"),
        "total_drives": ("reported", "drive-unhealthy"),
    },
}
"""Component → detail → (kind of count, rule)."""
FACTS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "system": {name: (name,) for name in ("power_state", "model", "bios_version")},
    "processor": {name: ("processor_summary", name) for name in ("count", "model")},
    "memory": {"total_system_memory_gib": ("memory_summary", "total_system_memory_gib")},
}
"""Component → detail → its path in the first system."""


def component_details(component: str, counts: CheckCounts, systems: Sequence[RedfishSystem]) -> ComponentDetails:
    """Returns a component's details: counts, and facts from the first system."""
    details: ComponentDetails = {
        name: counts.count(kind, rule) for name, (kind, rule) in COUNTS.get(component, {}).items()
    }
    for name, path in FACTS.get(component, {}).items():
        value: Any = systems[0] if systems else None
        for key in path:
            value = None if value is None else value[key]
        # NaN never equals its previous value: the health would change with every record.
        details[name] = None if isinstance(value, float) and not math.isfinite(value) else value
    return details
