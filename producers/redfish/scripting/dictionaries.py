"""Records of RedfishSample as the dictionaries of seed 000: its keys, in its order, none ever left out. Pure.

Missing text is 'Unknown', a number None, a list [], a dictionary {}, a truth False; what kind a field is, its Avro type
says. Units are the records': Cel, W, V, MHz, MiBy, By, rpm as the keys say.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from schemas import catalog

UNKNOWN: Final = "Unknown"
EXTRA: Final = ("system_id", "chassis_id", "odata_id")
"""Keys beyond the seed's: where an entry comes from."""


@dataclass(frozen=True, slots=True)
class Form:
    """The dictionary of one kind of record."""

    category: str
    type: str | None
    """The seed's `type`; a system has none."""
    keys: tuple[str, ...]
    """In the seed's order; those not among the record's fields are in `COMPUTED`."""


STATUS: Final = ("health", "state")
SENSOR: Final = ("sensor_id", "sensor_name")
MADE_BY: Final = ("manufacturer", "model")
FORMS: Final[Mapping[str, Form]] = {
    "systems": Form(
        "system",
        None,
        (
            "power_state",
            *STATUS,
            "boot_source",
            "processor_summary",
            "memory_summary",
            "bios_version",
            "model",
            "manufacturer",
            "serial_number",
            "part_number",
            "uuid",
        ),
    ),
    "temperatures": Form(
        "thermal",
        "temperature",
        (
            *SENSOR,
            "reading_celsius",
            "upper_threshold_critical",
            "upper_threshold_fatal",
            "lower_threshold_critical",
            *STATUS,
            "physical_context",
        ),
    ),
    "fans": Form(
        "thermal",
        "fan",
        (
            *SENSOR,
            "reading_rpm",
            "reading_units",
            "upper_threshold_critical",
            "lower_threshold_critical",
            *STATUS,
            "physical_context",
        ),
    ),
    "power_controls": Form(
        "power",
        "power_control",
        (
            *SENSOR,
            "power_consumed_watts",
            "power_requested_watts",
            "power_available_watts",
            "power_capacity_watts",
            "power_allocated_watts",
            "power_limit",
            *STATUS,
        ),
    ),
    "voltages": Form(
        "power",
        "voltage",
        (
            *SENSOR,
            "reading_volts",
            "upper_threshold_critical",
            "upper_threshold_fatal",
            "lower_threshold_critical",
            "lower_threshold_fatal",
            *STATUS,
            "physical_context",
        ),
    ),
    "power_supplies": Form(
        "power",
        "power_supply",
        (
            *SENSOR,
            "power_capacity_watts",
            "power_input_watts",
            "power_output_watts",
            "efficiency_percent",
            "line_input_voltage",
            "line_input_voltage_type",
            "model",
            "manufacturer",
            "serial_number",
            "part_number",
            "firmware_version",
            *STATUS,
        ),
    ),
    "processors": Form(
        "processor",
        "cpu",
        (
            "processor_id",
            "socket",
            "processor_type",
            "architecture",
            "instruction_set",
            *MADE_BY,
            "max_speed_mhz",
            "total_cores",
            "total_threads",
            *STATUS,
            "operating_speed_mhz",
            "temperature_celsius",
            "consumed_power_watts",
            "cache_metrics",
        ),
    ),
    "dimms": Form(
        "memory",
        "dimm",
        (
            "memory_id",
            "device_locator",
            "memory_type",
            "memory_device_type",
            "capacity_mib",
            "operating_speed_mhz",
            "allowed_speeds_mhz",
            "manufacturer",
            "part_number",
            "serial_number",
            "rank_count",
            "data_width_bits",
            "bus_width_bits",
            *STATUS,
            "temperature_celsius",
            "consumed_power_watts",
        ),
    ),
    "interfaces": Form("network", "interface", ("interface_id", "name", "description", *STATUS, "ports")),
    "storage_controllers": Form(
        "storage",
        "controller",
        (
            "controller_id",
            "name",
            *MADE_BY,
            "firmware_version",
            *STATUS,
            "supported_protocols",
        ),
    ),
    "drives": Form(
        "storage",
        "drive",
        (
            "drive_id",
            "name",
            *MADE_BY,
            "serial_number",
            "capacity_bytes",
            "media_type",
            "protocol",
            "rotation_speed_rpm",
            "failure_predicted",
            *STATUS,
            "indicator_led",
        ),
    ),
}
"""Array of the record → its form."""


def telemetry(array: str, record: Mapping[str, Any], timestamp: str, host: str) -> dict[str, Any]:
    """The seed's dictionary of one record of an array.

    Args:
        array: its name in RedfishSample.
        record: one of its entries.
        timestamp: ISO 8601.
        host: host name or address of the BMC.
    """
    form, missing = FORMS[array], _missing(array)
    told: dict[str, Any] = {"timestamp": timestamp, "host": host, "category": form.category}
    if form.type is not None:
        told["type"] = form.type
    record = _fan(record) if array == "fans" else record
    keys = (*form.keys, *(name for name in EXTRA if name in missing))
    return told | {name: _told(record[name], missing.get(name)) for name in keys}


def part(array: str, name: str, record: Mapping[str, Any]) -> dict[str, Any]:
    """The dictionary of a record inside a record, such as `boot_source`; {} where all of it is missing."""
    told = _told(record, _missing(array)[name])
    return dict(told)


def _fan(record: Mapping[str, Any]) -> dict[str, Any]:
    """A fan with seed 000's reading: Redfish's, whatever its unit. Whole numbers are ints, as in the seed."""
    rpm, percent = record["speed_rpm"], record["speed_percent"]
    units = UNKNOWN if rpm is None and percent is None else "Percent" if rpm is None else "RPM"
    whole = {name: _whole(record[name]) for name in ("upper_threshold_critical", "lower_threshold_critical")}
    return {**record, **whole, "reading_rpm": _whole(percent if rpm is None else rpm), "reading_units": units}


def _whole(value: float | None) -> float | None:
    return int(value) if value is not None and value.is_integer() else value


def _told(value: Any, missing: Any) -> Any:
    if isinstance(missing, dict):
        known = value is not None and any(each is not None for each in value.values())
        return {name: _told(value[name], inner) for name, inner in missing.items()} if known else {}
    return missing if value is None else value


@cache
def _missing(array: str) -> dict[str, Any]:
    """Field of an array's records → what stands for it where it is missing."""
    definition = catalog.schema("RedfishSample").definition
    record = next(field["type"]["items"] for field in definition["fields"] if field["name"] == array)
    return {field["name"]: _stand_in(field["type"]) for field in record["fields"]}


def _stand_in(kind: Any) -> Any:
    if isinstance(kind, list):
        kind = next(each for each in kind if each != "null")
    if isinstance(kind, dict):
        if kind["type"] == "record":
            return {field["name"]: _stand_in(field["type"]) for field in kind["fields"]}
        return []
    return {"string": UNKNOWN, "boolean": False}.get(kind)
