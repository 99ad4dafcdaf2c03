"""What the health of a host is judged by: a table of checks, and how what they find adds up to a status. Pure.

A new check is a line of `CHECKS`; a new detail a line of `COUNTS` or `FACTS` and a field of Health.avsc.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from processors.dashboard import HIGH, MANY

Reading = Mapping[str, Any]


def _own(reading: Reading) -> str | None:
    health: str | None = reading.get("health")
    return health


def _temperature(reading: Reading) -> str | None:
    celsius, critical = reading["reading_celsius"], reading["upper_threshold_critical"]
    if celsius is None:
        return None
    # Some BMCs send 0 for a limit that is not set.
    return "High" if critical is not None and critical > 0 and celsius > critical * HIGH else "OK"


def _prediction(reading: Reading) -> str | None:
    return "Predicted" if reading.get("failure_predicted") else "OK"


def _summary(name: str) -> Callable[[Reading], str | None]:
    def judge(system: Reading) -> str | None:
        health: str | None = system[name]["status_health"]
        return None if system[name]["status_state"] == "Absent" else health

    return judge


@dataclass(frozen=True)
class Check:
    """What is judged of each reading of one array."""

    rule: str
    part: str
    """Component of the health record."""
    array: str
    component: tuple[str, ...]
    """Fields that say which one it is, the last its id; those the reading lacks are left out."""
    text: str
    judge: Callable[[Reading], str | None] = _own
    """OK, what else it is, or None where it does not say."""
    value: str = ""
    """Field with the number that was judged, if it was one."""
    by_health: bool = True
    """Whether what it is otherwise is a Status.Health."""
    counts: bool = True
    """Whether it makes its component known, or counts as unknown."""

    def named(self, reading: Reading) -> str:
        """Which one the reading is of, such as <chassis>/<sensor>."""
        return "/".join(str(reading[name]) for name in self.component if reading.get(name) is not None)

    def alert(self, category: str, reading: Reading, health: str) -> dict[str, Any]:
        """What to say of a reading that is not well."""
        value = reading[self.value] if self.value else None
        name = reading.get("sensor_name") or reading.get(self.component[-1])
        return {
            "category": category,
            "rule": self.rule,
            "component": self.named(reading),
            "health": health if self.by_health else None,
            "value": value,
            "text": self.text.format(name=name, health=health, value=value),
        }


SENSOR: Final = ("chassis_id", "sensor_id")
DRIVE: Final = ("system_id", "chassis_id", "storage_id", "drive_id")
SYSTEM: Final = ("system_id",)
CHECKS: Final[Mapping[str, tuple[Check, ...]]] = {
    "system": (
        Check("system-unhealthy", "system", "systems", SYSTEM, "System issue: {name} - {health}"),
        Check(
            "processor-unhealthy",
            "processor",
            "systems",
            SYSTEM,
            "Processor issue: {name} - {health}",
            _summary("processor_summary"),
        ),
        Check(
            "memory-unhealthy",
            "memory",
            "systems",
            SYSTEM,
            "Memory issue: {name} - {health}",
            _summary("memory_summary"),
        ),
    ),
    "thermal": (
        Check(
            "temperature-high",
            "thermal",
            "temperatures",
            SENSOR,
            "High temperature: {name} at {value}°C",
            _temperature,
            "reading_celsius",
            by_health=False,
        ),
        Check("fan-unhealthy", "thermal", "fans", SENSOR, "Fan issue: {name} - {health}"),
    ),
    "power": (Check("supply-unhealthy", "power", "power_supplies", SENSOR, "Power supply issue: {name} - {health}"),),
    "storage": (
        Check("drive-unhealthy", "storage", "drives", DRIVE, "Drive issue: {name} - {health}"),
        Check(
            "drive-failure-predicted",
            "storage",
            "drives",
            DRIVE,
            "Drive failure predicted: {name}",
            _prediction,
            by_health=False,
            counts=False,
        ),
    ),
}
"""Category → what is judged of its records. Rules and texts are seed 000's, where it has one."""


@dataclass
class Tally:
    """What one record says of one component."""

    known: Counter[str] = field(default_factory=Counter)
    """By rule: readings that say how they are."""
    bad: Counter[str] = field(default_factory=Counter)
    """By rule: those that are not well."""
    words: set[str | None] = field(default_factory=set)
    """Status.Health of those."""
    unknown: int = 0

    def apply(self, check: Check, category: str, readings: Iterable[Reading]) -> dict[str, dict[str, Any] | None]:
        """Component → its alert, or None where it is well or unknown. Of two readings of one the first counts."""
        seen: dict[str, dict[str, Any] | None] = {}
        for reading in readings:
            component = check.named(reading)
            if component in seen:
                continue
            seen[component] = None
            health = None if reading.get("state") == "Absent" else check.judge(reading)
            if health is None or health == "Unknown":
                self.unknown += check.counts
            elif health == "OK":
                self.known[check.rule] += check.counts
            else:
                seen[component] = alert = check.alert(category, reading, health)
                self.add(check, alert)
        return seen

    def add(self, check: Check, alert: Mapping[str, Any]) -> None:
        """Takes in something that is not well."""
        self.known[check.rule] += check.counts
        self.bad[check.rule] += 1
        self.words.add(alert["health"])

    def no_fewer(self, part: str, before: Mapping[str, Any]) -> None:
        """Counts at least as many readings as a component had before: those not got this time are still there."""
        for name, (what, rule) in COUNTS.get(part, {}).items():
            if what == "known":
                self.known[rule] = max(self.known[rule], before[name])

    @property
    def is_empty(self) -> bool:
        """Whether nothing said how it is."""
        return not self.known.total() and not self.bad.total()


def status(part: str, tally: Tally) -> str:
    """A component's status: by the seed's rules where it has some, else as bad as the worst."""
    if tally.is_empty:
        return "unknown"
    if not tally.bad.total():
        return "ok"
    if part == "thermal":
        return "warning" if tally.bad["temperature-high"] < tally.known["temperature-high"] * MANY else "critical"
    if part == "storage":
        return "critical" if tally.bad["drive-unhealthy"] else "warning"
    return "critical" if "Critical" in tally.words else "warning"


COUNTS: Final[Mapping[str, Mapping[str, tuple[str, str]]]] = {
    "thermal": {
        "high_temperature_sensors": ("bad", "temperature-high"),
        "total_temperature_sensors": ("known", "temperature-high"),
        "failed_fans": ("bad", "fan-unhealthy"),
        "total_fans": ("known", "fan-unhealthy"),
    },
    "power": {"failed_supplies": ("bad", "supply-unhealthy"), "total_supplies": ("known", "supply-unhealthy")},
    "storage": {
        "failed_drives": ("bad", "drive-unhealthy"),
        "predicted_failures": ("bad", "drive-failure-predicted"),
        "total_drives": ("known", "drive-unhealthy"),
    },
}
"""Component → detail → what is counted."""
FACTS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "system": {name: (name,) for name in ("power_state", "model", "bios_version")},
    "processor": {name: ("processor_summary", name) for name in ("count", "model")},
    "memory": {"total_system_memory_gib": ("memory_summary", "total_system_memory_gib")},
}
"""Component → detail → where it is in the first system."""


def details(part: str, tally: Tally, systems: list[Reading]) -> dict[str, Any]:
    """A component's details: counts, and what the first system says of itself."""
    found: dict[str, Any] = {name: getattr(tally, what)[rule] for name, (what, rule) in COUNTS.get(part, {}).items()}
    for name, path in FACTS.get(part, {}).items():
        value: Any = systems[0] if systems else None
        for key in path:
            value = None if value is None else value[key]
        # NaN is not what it was a record ago: health would change at each.
        found[name] = None if isinstance(value, float) and not math.isfinite(value) else value
    return found
