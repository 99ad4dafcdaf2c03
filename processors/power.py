"""Power analysis of a host from its BMC's readings: seed 000's function, and the same as a stream. Pure.

The stream differs from the function on purpose:

- a chassis lists its total and parts of it as PowerControl entries, so only the first, the total, is counted;
- what the BMC measured stands beside the sum of what its supplies say they draw, and deliver;
- energy is added: joules since the sample before;
- a reading below 0, NaN or infinite is no reading.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping
from datetime import timedelta
from typing import Any, Final, NamedTuple

from processors.engine.step import Output, Record, Step, derived_header

MEMORY: Final = timedelta(minutes=5)
PARTS: Final = ("power_control", "voltage", "power_supply")
"""Types of seed 000's power records."""


def analyze_power_consumption(records: Collection[Mapping[str, Any]] | None) -> dict[str, Any] | None:
    """Seed 000's analysis of the dictionaries that `get_power_telemetry()` or `get_all_telemetry()` returns.

    Watts, volts and percent, by the seed's formula: every `power_control` entry is added, parts of a chassis too, and
    what is unknown counts as 0. `power_utilization_percent` and `average_psu_efficiency` are there only where there is
    something to divide by. None where there is no power record.
    """
    power = [record for record in records or () if record.get("category", "power") == "power"]
    if not power:
        return None
    by_type = {kind: [each for each in power if each["type"] == kind] for kind in PARTS}
    controls, supplies = by_type["power_control"], by_type["power_supply"]
    found: dict[str, Any] = {
        "total_consumed_watts": 0,
        "total_available_watts": 0,
        "psu_efficiency": [value for supply in supplies if (value := supply.get("efficiency_percent"))],
        "voltage_readings": [
            {
                "name": each["sensor_name"],
                "voltage": each.get("reading_volts"),
                "context": each.get("physical_context"),
            }
            for each in by_type["voltage"]
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
    for control in controls:  # one by one as in the seed: Python 3.12's sum() rounds floats otherwise
        found["total_consumed_watts"] += control.get("power_consumed_watts") or 0
        found["total_available_watts"] += control.get("power_available_watts") or 0
    if found["total_available_watts"] > 0:
        found["power_utilization_percent"] = found["total_consumed_watts"] / found["total_available_watts"] * 100
    if found["psu_efficiency"]:
        found["average_psu_efficiency"] = sum(found["psu_efficiency"]) / len(found["psu_efficiency"])
    return found


class State(NamedTuple):
    """The reading that the next one's energy is counted from."""

    epoch: str
    monotonic_s: float
    watts: float | None


def _known(value: float | None) -> float | None:
    """A reading that is one: BMCs say -1, or worse, for a supply without power."""
    return value if value is not None and 0 <= value < math.inf else None


def _sum(values: Iterable[float | None]) -> float | None:
    known = [value for value in map(_known, values) if value is not None]
    return _finite(sum(known)) if known else None


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _ratio(part: float | None, whole: float | None, *, times: float = 1.0) -> float | None:
    return _finite(part / whole * times) if part is not None and whole else None


def _chassis_totals(controls: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The first PowerControl entry of each chassis: its total, where further entries are parts of it."""
    first: dict[str, Mapping[str, Any]] = {}
    for control in controls:
        if control["state"] != "Absent":
            first.setdefault(control["chassis_id"], control)
    return list(first.values())


def analysis(record: Record) -> dict[str, Any]:
    """Consumption, utilisation and efficiency in one power record."""
    totals = _chassis_totals(record["power_controls"])
    consumed = _sum(total["power_consumed_watts"] for total in totals)
    available = _sum(total["power_available_watts"] for total in totals)
    supplies = [power_supply for power_supply in record["power_supplies"] if power_supply["state"] != "Absent"]
    efficiencies = [known for supply in supplies if (known := _known(supply["efficiency_percent"]))]
    inputs = [_known(supply["power_input_watts"]) for supply in supplies]
    drawn = _sum(inputs)
    return {
        "consumed_watts": consumed,
        "available_watts": available,
        "power_utilization_percent": _ratio(consumed, available, times=100),
        "average_psu_efficiency": _ratio(_sum(efficiencies), len(efficiencies)),
        "psu_input_watts": drawn,
        "psu_output_watts": _sum(supply["power_output_watts"] for supply in supplies),
        "psu_input_partial": drawn is not None and None in inputs,
        "consumed_of_psu_input_percent": None if None in inputs else _ratio(consumed, drawn, times=100),
        "power_supplies": [
            {
                "name": supply["sensor_name"],
                "capacity": _known(supply["power_capacity_watts"]),
                "efficiency": _known(supply["efficiency_percent"]),
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


def step(state: State | None, record: Record) -> tuple[State, list[Output]]:
    """The analysis, with the energy since the sample before (trapezoid rule; none over a gap or a restart)."""
    fields = analysis(record)
    now = State(record["epoch"], record["monotonic_s"], fields["consumed_watts"])
    interval_s = energy = None
    if state is not None and state.epoch == now.epoch:
        elapsed_s = now.monotonic_s - state.monotonic_s
        if 0 < elapsed_s <= MEMORY.total_seconds():
            interval_s = elapsed_s
            if state.watts is not None and now.watts is not None:
                energy = _finite((state.watts + now.watts) / 2 * elapsed_s)
    output = derived_header(record) | fields | {"interval_s": interval_s, "energy_joules": energy}
    return now, [("power", output)]


STEP: Final = Step(
    name="power",
    input="raw-redfish",
    outputs=("power",),
    memory=MEMORY,
    run=step,
    categories=frozenset({"power"}),
)
