"""The scripting API's health dashboard of one BMC. Pure, except for the default timestamp.

It follows the documented rules (docs/python.md) to the letter, quirks included: a fan of unknown health is an issue,
and a BMC without any readings is OK overall. The health step (`processors.health`) is more careful.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

TelemetryDict = Mapping[str, Any]
"""A dictionary returned by the scripting API's collector."""
DashboardComponent = dict[str, Any]
"""`status` and `details` of a component."""
COMPONENTS: Final = ("system", "thermal", "power", "processor", "memory", "storage")
HIGH_TEMPERATURE_RATIO: Final = 0.9
"""A temperature above this share of its critical threshold is high."""
CRITICAL_SENSOR_RATIO: Final = 0.5
"""If at least this share of the temperature sensors is high, the component is critical."""


def generate_health_dashboard(
    records: Iterable[TelemetryDict], *, host: str | None = None, timestamp: datetime | None = None
) -> dict[str, Any]:
    """Builds the dashboard from what `get_all_telemetry()` returned.

    Args:
        records: Dictionaries of one host, of any category.
        host: Its name; default: the one in the records, `Unknown` if there are none.
        timestamp: When they were read; default: now, UTC.
    """
    records = list(records)
    components: dict[str, DashboardComponent] = {name: {"status": "Unknown", "details": {}} for name in COMPONENTS}
    alerts: list[str] = []
    systems, thermal, storage = (_of_category(records, name) for name in ("system", "thermal", "storage"))
    if systems:
        components["system"] = _system_health(systems[0])  # get_system_telemetry() gives the first
    if thermal:
        components["thermal"] = _thermal_health(thermal, alerts)
    if storage:
        components["storage"] = _storage_health(storage, alerts)
    if host is None:
        host = records[0]["host"] if records else "Unknown"
    return {
        "timestamp": (timestamp or datetime.now(UTC)).isoformat(),
        "host": host,
        "overall_health": _overall_health([component["status"] for component in components.values()]),
        "components": components,
        "alerts": alerts,
    }


def _of_category(records: Iterable[TelemetryDict], category: str) -> list[TelemetryDict]:
    return [record for record in records if record.get("category") == category]


def _system_health(system: TelemetryDict) -> DashboardComponent:
    details = {name: system[name] for name in ("power_state", "model", "bios_version")}
    return {"status": system["health"], "details": details}


def _thermal_health(sensors: Iterable[TelemetryDict], alerts: list[str]) -> DashboardComponent:
    """Evaluates temperatures and fans, and appends to `alerts`."""
    high_temps = total_temps = failed_fans = 0
    for sensor in sensors:
        if sensor["type"] == "temperature":
            total_temps += 1
            celsius, critical = sensor.get("reading_celsius"), sensor.get("upper_threshold_critical")
            if celsius and critical and celsius > critical * HIGH_TEMPERATURE_RATIO:
                high_temps += 1
                alerts.append(f"High temperature: {sensor['sensor_name']} at {celsius}°C")
        elif sensor["type"] == "fan" and sensor["health"] != "OK":
            failed_fans += 1
            alerts.append(f"Fan issue: {sensor['sensor_name']} - {sensor['health']}")
    status = "OK"
    if high_temps > 0 or failed_fans > 0:
        status = "Warning" if high_temps < total_temps * CRITICAL_SENSOR_RATIO else "Critical"
    details = {
        "high_temperature_sensors": high_temps,
        "total_temperature_sensors": total_temps,
        "failed_fans": failed_fans,
    }
    return {"status": status, "details": details}


def _storage_health(records: Iterable[TelemetryDict], alerts: list[str]) -> DashboardComponent:
    """Evaluates drives, and appends to `alerts`."""
    failed_drives = predicted_failures = 0
    for drive in (record for record in records if record["type"] == "drive"):
        if drive["health"] != "OK":
            failed_drives += 1
            alerts.append(f"Drive issue: {drive['drive_id']} - {drive['health']}")
        if drive.get("failure_predicted"):
            predicted_failures += 1
            alerts.append(f"Drive failure predicted: {drive['drive_id']}")
    status = "Critical" if failed_drives > 0 else "Warning" if predicted_failures > 0 else "OK"
    details = {"failed_drives": failed_drives, "predicted_failures": predicted_failures}
    return {"status": status, "details": details}


def _overall_health(statuses: Sequence[str]) -> str:
    """Returns the worst status; Unknown if one is another word (a system's health is the BMC's)."""
    for worst in ("Critical", "Warning"):
        if worst in statuses:
            return worst
    return "OK" if all(status == "OK" for status in statuses if status != "Unknown") else "Unknown"
