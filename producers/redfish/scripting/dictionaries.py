"""Converts records of `RedfishSample` to the dictionaries of the scripting API (docs/python.md). Pure.

A dictionary has all keys of its layout, in that order. A missing text is 'Unknown', a number None, a list [], a
dictionary {}, a boolean False; the kind of a field is its Avro type. Units are those of the records.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, cast

from producers.redfish.documents import Json, JsonObject
from producers.redfish.mapping.table import RedfishRecord
from schemas import catalog
from schemas.records import RedfishFan

UNKNOWN: Final = "Unknown"
EXTRA_KEYS: Final = ("system_id", "chassis_id", "odata_id")
"""Keys that follow those of the layout: where an entry comes from."""

Telemetry = dict[str, Any]
"""A dictionary of the scripting API; values are texts, numbers, booleans, lists and dictionaries."""


@dataclass(frozen=True, slots=True)
class DictionaryLayout:
    """Keys of the dictionaries for one array of records."""

    category: str
    type: str | None
    """Value of the key `type`; systems have none."""
    keys: tuple[str, ...]
    """Keys in order: fields of the record, and for fans `reading_rpm` and `reading_units`."""


STATUS_KEYS: Final = ("health", "state")
SENSOR_KEYS: Final = ("sensor_id", "sensor_name")
MAKER_KEYS: Final = ("manufacturer", "model")
LAYOUTS: Final[Mapping[str, DictionaryLayout]] = {
    "systems": DictionaryLayout(
        "system",
        None,
        (
            "power_state",
            *STATUS_KEYS,
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
    "temperatures": DictionaryLayout(
        "thermal",
        "temperature",
        (
            *SENSOR_KEYS,
            "reading_celsius",
            "upper_threshold_critical",
            "upper_threshold_fatal",
            "lower_threshold_critical",
            *STATUS_KEYS,
            "physical_context",
        ),
    ),
    "fans": DictionaryLayout(
        "thermal",
        "fan",
        (
            *SENSOR_KEYS,
            "reading_rpm",
            "reading_units",
            "upper_threshold_critical",
            "lower_threshold_critical",
            *STATUS_KEYS,
            "physical_context",
        ),
    ),
    "power_controls": DictionaryLayout(
        "power",
        "power_control",
        (
            *SENSOR_KEYS,
            "power_consumed_watts",
            "power_requested_watts",
            "power_available_watts",
            "power_capacity_watts",
            "power_allocated_watts",
            "power_limit",
            *STATUS_KEYS,
        ),
    ),
    "voltages": DictionaryLayout(
        "power",
        "voltage",
        (
            *SENSOR_KEYS,
            "reading_volts",
            "upper_threshold_critical",
            "upper_threshold_fatal",
            "lower_threshold_critical",
            "lower_threshold_fatal",
            *STATUS_KEYS,
            "physical_context",
        ),
    ),
    "power_supplies": DictionaryLayout(
        "power",
        "power_supply",
        (
            *SENSOR_KEYS,
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
            *STATUS_KEYS,
        ),
    ),
    "processors": DictionaryLayout(
        "processor",
        "cpu",
        (
            "processor_id",
            "socket",
            "processor_type",
            "architecture",
            "instruction_set",
            *MAKER_KEYS,
            "max_speed_mhz",
            "total_cores",
            "total_threads",
            *STATUS_KEYS,
            "operating_speed_mhz",
            "temperature_celsius",
            "consumed_power_watts",
            "cache_metrics",
        ),
    ),
    "dimms": DictionaryLayout(
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
            *STATUS_KEYS,
            "temperature_celsius",
            "consumed_power_watts",
        ),
    ),
    "interfaces": DictionaryLayout(
        "network", "interface", ("interface_id", "name", "description", *STATUS_KEYS, "ports")
    ),
    "storage_controllers": DictionaryLayout(
        "storage",
        "controller",
        (
            "controller_id",
            "name",
            *MAKER_KEYS,
            "firmware_version",
            *STATUS_KEYS,
            "supported_protocols",
        ),
    ),
    "drives": DictionaryLayout(
        "storage",
        "drive",
        (
            "drive_id",
            "name",
            *MAKER_KEYS,
            "serial_number",
            "capacity_bytes",
            "media_type",
            "protocol",
            "rotation_speed_rpm",
            "failure_predicted",
            *STATUS_KEYS,
            "indicator_led",
        ),
    ),
}
"""Array of `RedfishSample` → layout of its dictionaries."""


def telemetry_dictionary(array: str, record: RedfishRecord, timestamp: str, host: str) -> Telemetry:
    """Returns the dictionary of one record.

    Args:
        array: Array of `RedfishSample` that the record is in.
        record: The record.
        timestamp: Time of the poll, ISO 8601.
        host: Host name or address of the BMC.
    """
    layout, placeholders = LAYOUTS[array], _placeholders(array)
    dictionary: Telemetry = {"timestamp": timestamp, "host": host, "category": layout.category}
    if layout.type is not None:
        dictionary["type"] = layout.type
    fields: Mapping[str, object] = cast("Mapping[str, object]", record)
    if array == "fans":
        fields = _with_reading(cast("RedfishFan", record))
    keys = (*layout.keys, *(name for name in EXTRA_KEYS if name in placeholders))
    return dictionary | {name: _filled(fields[name], placeholders.get(name)) for name in keys}


def nested_dictionary(array: str, field: str, record: Mapping[str, object]) -> Telemetry:
    """Returns the dictionary of a record inside a record, such as `boot_source`; {} if it has no values."""
    return dict(_filled(record, _placeholders(array)[field]))


def _with_reading(fan: RedfishFan) -> dict[str, object]:
    """Returns a fan with Reading in its own unit, as the scripting API has it; whole numbers become ints."""
    rpm, percent = fan["speed_rpm"], fan["speed_percent"]
    units = UNKNOWN if rpm is None and percent is None else "Percent" if rpm is None else "RPM"
    return {
        **fan,
        "upper_threshold_critical": _as_int_if_whole(fan["upper_threshold_critical"]),
        "lower_threshold_critical": _as_int_if_whole(fan["lower_threshold_critical"]),
        "reading_rpm": _as_int_if_whole(percent if rpm is None else rpm),
        "reading_units": units,
    }


def _as_int_if_whole(value: float | None) -> float | None:
    return int(value) if value is not None and value.is_integer() else value


def _filled(value: Json, placeholder: Json) -> Json:
    """Returns the value, or the placeholder if it is missing."""
    if isinstance(placeholder, dict):
        has_values = value is not None and any(inner is not None for inner in value.values())
        return {name: _filled(value[name], inner) for name, inner in placeholder.items()} if has_values else {}
    return placeholder if value is None else value


@cache
def _placeholders(array: str) -> dict[str, Json]:
    """Returns field → value to show where it is missing, for the records of an array."""
    sample: JsonObject = catalog.schema("RedfishSample").definition
    record = next(field["type"]["items"] for field in sample["fields"] if field["name"] == array)
    return {field["name"]: _placeholder(field["type"]) for field in record["fields"]}


def _placeholder(avro_type: Json) -> Json:
    if isinstance(avro_type, list):
        avro_type = next(branch for branch in avro_type if branch != "null")
    if isinstance(avro_type, dict):
        if avro_type["type"] == "record":
            return {field["name"]: _placeholder(field["type"]) for field in avro_type["fields"]}
        return []
    return {"string": UNKNOWN, "boolean": False}.get(avro_type)
