"""Seed 000's health dashboard of one BMC, from the dictionaries its collector returns. Pure but for the default time.

The seed's rules to the letter, quirks included: a fan of unknown health is an issue, and a BMC that says nothing is OK
overall. The stream (`processors.health`) judges more carefully.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

Reading = Mapping[str, Any]
COMPONENTS: Final = ("system", "thermal", "power", "processor", "memory", "storage")
HIGH: Final = 0.9
"""Of the critical threshold: above it, a temperature is high."""
MANY: Final = 0.5
"""Of the temperature sensors: if that many are high, it is critical."""


def generate_health_dashboard(
    records: Iterable[Reading], *, host: str | None = None, timestamp: datetime | None = None
) -> dict[str, Any]:
    """The dashboard of what `get_all_telemetry()` returned.

    Args:
        records: dictionaries of one host, of any category.
        host: its name; default: what the records say, `Unknown` without any.
        timestamp: when they were read; default: now, UTC.
    """
    records = list(records)
    components: dict[str, Any] = {name: {"status": "Unknown", "details": {}} for name in COMPONENTS}
    alerts: list[str] = []
    systems, thermal, storage = (_of(records, category) for category in ("system", "thermal", "storage"))
    if systems:
        components["system"] = _system(systems[0])  # get_system_telemetry() gives the first
    if thermal:
        components["thermal"] = _thermal(thermal, alerts)
    if storage:
        components["storage"] = _storage(storage, alerts)
    if host is None:
        host = records[0]["host"] if records else "Unknown"
    return {
        "timestamp": (timestamp or datetime.now(UTC)).isoformat(),
        "host": host,
        "overall_health": _overall([component["status"] for component in components.values()]),
        "components": components,
        "alerts": alerts,
    }


def _of(records: list[Reading], category: str) -> list[Reading]:
    return [record for record in records if record.get("category") == category]


def _system(system: Reading) -> dict[str, Any]:
    details = {name: system[name] for name in ("power_state", "model", "bios_version")}
    return {"status": system["health"], "details": details}


def _thermal(sensors: list[Reading], alerts: list[str]) -> dict[str, Any]:
    high_temps = total_temps = failed_fans = 0
    for sensor in sensors:
        if sensor["type"] == "temperature":
            total_temps += 1
            celsius, critical = sensor.get("reading_celsius"), sensor.get("upper_threshold_critical")
            if celsius and critical and celsius > critical * HIGH:
                high_temps += 1
                alerts.append(f"High temperature: {sensor['sensor_name']} at {celsius}°C")
        elif sensor["type"] == "fan" and sensor["health"] != "OK":
            failed_fans += 1
            alerts.append(f"Fan issue: {sensor['sensor_name']} - {sensor['health']}")
    status = "OK"
    if high_temps > 0 or failed_fans > 0:
        status = "Warning" if high_temps < total_temps * MANY else "Critical"
    details = {
        "high_temperature_sensors": high_temps,
        "total_temperature_sensors": total_temps,
        "failed_fans": failed_fans,
    }
    return {"status": status, "details": details}


def _storage(parts: list[Reading], alerts: list[str]) -> dict[str, Any]:
    failed_drives = predicted_failures = 0
    for drive in (part for part in parts if part["type"] == "drive"):
        if drive["health"] != "OK":
            failed_drives += 1
            alerts.append(f"Drive issue: {drive['drive_id']} - {drive['health']}")
        if drive.get("failure_predicted"):
            predicted_failures += 1
            alerts.append(f"Drive failure predicted: {drive['drive_id']}")
    status = "Critical" if failed_drives > 0 else "Warning" if predicted_failures > 0 else "OK"
    details = {"failed_drives": failed_drives, "predicted_failures": predicted_failures}
    return {"status": status, "details": details}


def _overall(statuses: list[str]) -> str:
    """The seed's own order; where a status is another word (a system's health is the BMC's), it is Unknown."""
    for worst in ("Critical", "Warning"):
        if worst in statuses:
            return worst
    return "OK" if all(status == "OK" for status in statuses if status != "Unknown") else "Unknown"
