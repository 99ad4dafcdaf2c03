"""Power analysis of a host from its BMC's readings: the scripting API's function, and a stream step. Pure.

The step differs from the function on purpose:

- A chassis lists its total and parts of it as PowerControl entries, so only the first, the total, is counted.
- The BMC's own measurement stands beside the sum of what its power supplies report as drawn and delivered.
- Energy is added: joules since the previous sample.
- A reading below 0, NaN or infinite counts as missing.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from datetime import timedelta
from typing import Any, Final, NamedTuple, TypedDict

from processors.dashboard import TelemetryDict
from processors.engine.step import Step, StepResult, derived_header
from schemas.records import Power, PowerSupply, RedfishPowerControl, RedfishSample, VoltageReading

MEMORY: Final = timedelta(minutes=5)
RECORD_TYPES: Final = ("power_control", "voltage", "power_supply")
"""Types of the scripting API's power dictionaries."""


def analyze_power_consumption(records: Collection[TelemetryDict] | None) -> dict[str, Any] | None:
    """Analyses the dictionaries that `get_power_telemetry()` or `get_all_telemetry()` returns (docs/python.md).

    Watts, volts and percent, by the documented formula: every `power_control` entry is added, parts of a chassis too,
    and unknown values count as 0. `power_utilization_percent` and `average_psu_efficiency` are present only if there
    is something to divide by. Returns None if there is no power record.
    """
    power = [record for record in records or () if record.get("category", "power") == "power"]
    if not power:
        return None
    by_type = {kind: [record for record in power if record["type"] == kind] for kind in RECORD_TYPES}
    controls, supplies = by_type["power_control"], by_type["power_supply"]
    analysis: dict[str, Any] = {
        "total_consumed_watts": 0,
        "total_available_watts": 0,
        "psu_efficiency": [value for supply in supplies if (value := supply.get("efficiency_percent"))],
        "voltage_readings": [
            {
                "name": voltage["sensor_name"],
                "voltage": voltage.get("reading_volts"),
                "context": voltage.get("physical_context"),
            }
            for voltage in by_type["voltage"]
        ],
        "power_supplies": [
            {
                "name": supply["sensor_name"],
                "capacity": supply.get("power_capacity_watts"),
                "efficiency": supply.get("efficiency_percent"),
                "health": supply["health"],
            }
            for supply in supplies
        ],
    }
    for control in controls:  # one by one, for Python 3.12's sum() rounds floats differently
        analysis["total_consumed_watts"] += control.get("power_consumed_watts") or 0
        analysis["total_available_watts"] += control.get("power_available_watts") or 0
    if analysis["total_available_watts"] > 0:
        utilization = analysis["total_consumed_watts"] / analysis["total_available_watts"] * 100
        analysis["power_utilization_percent"] = utilization
    if analysis["psu_efficiency"]:
        analysis["average_psu_efficiency"] = sum(analysis["psu_efficiency"]) / len(analysis["psu_efficiency"])
    return analysis


class PowerAnalysis(TypedDict):
    """The fields of a Power record that come from a single sample."""

    consumed_watts: float | None
    available_watts: float | None
    power_utilization_percent: float | None
    average_psu_efficiency: float | None
    psu_input_watts: float | None
    psu_output_watts: float | None
    psu_input_partial: bool
    consumed_of_psu_input_percent: float | None
    power_supplies: list[PowerSupply]
    voltage_readings: list[VoltageReading]


class PowerBaseline(NamedTuple):
    """The reading that the next one's energy is counted from."""

    epoch: str
    monotonic_s: float
    watts: float | None


def _non_negative(value: float | None) -> float | None:
    """Returns a plausible reading, else None: BMCs report -1, or less, for a supply without power."""
    return value if value is not None and 0 <= value < math.inf else None


def _sum(values: Iterable[float | None]) -> float | None:
    plausible = [value for value in map(_non_negative, values) if value is not None]
    return _finite(sum(plausible)) if plausible else None


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _ratio(part: float | None, whole: float | None, *, times: float = 1.0) -> float | None:
    return _finite(part / whole * times) if part is not None and whole else None


def _chassis_totals(controls: Iterable[RedfishPowerControl]) -> list[RedfishPowerControl]:
    """Returns the first PowerControl entry of each chassis: the total; further entries are parts of it."""
    totals: dict[str, RedfishPowerControl] = {}
    for control in controls:
        if control["state"] != "Absent":
            totals.setdefault(control["chassis_id"], control)
    return list(totals.values())


def analyze_record(record: RedfishSample) -> PowerAnalysis:
    """Analyses consumption, utilisation and efficiency in one power record."""
    totals = _chassis_totals(record["power_controls"])
    consumed = _sum(total["power_consumed_watts"] for total in totals)
    available = _sum(total["power_available_watts"] for total in totals)
    supplies = [supply for supply in record["power_supplies"] if supply["state"] != "Absent"]
    efficiencies = [value for supply in supplies if (value := _non_negative(supply["efficiency_percent"]))]
    inputs = [_non_negative(supply["power_input_watts"]) for supply in supplies]
    psu_input = _sum(inputs)
    return {
        "consumed_watts": consumed,
        "available_watts": available,
        "power_utilization_percent": _ratio(consumed, available, times=100),
        "average_psu_efficiency": _ratio(_sum(efficiencies), len(efficiencies)),
        "psu_input_watts": psu_input,
        "psu_output_watts": _sum(supply["power_output_watts"] for supply in supplies),
        "psu_input_partial": psu_input is not None and None in inputs,
        "consumed_of_psu_input_percent": None if None in inputs else _ratio(consumed, psu_input, times=100),
        "power_supplies": [
            {
                "name": supply["sensor_name"],
                "capacity": _non_negative(supply["power_capacity_watts"]),
                "efficiency": _non_negative(supply["efficiency_percent"]),
                "health": supply["health"],
            }
            for supply in supplies
        ],
        "voltage_readings": [
            {
                "name": voltage["sensor_name"],
                "voltage": _finite(voltage["reading_volts"]),
                "context": voltage["physical_context"],
            }
            for voltage in record["voltages"]
        ],
    }


def step(state: PowerBaseline | None, record: RedfishSample) -> StepResult[PowerBaseline]:
    """Emits the analysis of one sample, with the energy since the previous one.

    Energy follows the trapezoid rule; there is none over a restart or a gap longer than `MEMORY`.
    """
    analysis = analyze_record(record)
    now = PowerBaseline(record["epoch"], record["monotonic_s"], analysis["consumed_watts"])
    interval_s = energy_joules = None
    if state is not None and state.epoch == now.epoch:
        elapsed_s = now.monotonic_s - state.monotonic_s
        if 0 < elapsed_s <= MEMORY.total_seconds():
            interval_s = elapsed_s
            if state.watts is not None and now.watts is not None:
                energy_joules = _finite((state.watts + now.watts) / 2 * elapsed_s)
    power: Power = {
        **derived_header(record),
        **analysis,
        "interval_s": interval_s,
        "energy_joules": energy_joules,
    }
    return now, [("power", power)]


STEP: Final = Step(
    name="power",
    input="raw-redfish",
    outputs=("power",),
    memory=MEMORY,
    run=step,
    categories=frozenset({"power"}),
)
