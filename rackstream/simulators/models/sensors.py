"""The new schemas' documents: Sensors, ThermalSubsystem and PowerSubsystem, made of one list of lines per chassis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rackstream.simulators.model import Document, Part, Parts, link, links, members, resource, status
from rackstream.simulators.models.parts import Reading
from rackstream.simulators.readings import Moment


@dataclass(frozen=True, slots=True)
class Line:
    """One Sensor."""

    ident: str
    name: str
    kind: str | None
    """ReadingType."""
    units: str | None
    """ReadingUnits; None: the property is missing."""
    reading: Reading
    context: str | None = None
    critical: float | None = None
    """Upper critical threshold."""


def sensor(uri: str, line: Line, moment: Moment) -> Document:
    """A Sensor (DMTF Sensor v1_7)."""
    limits = {"Thresholds": {"UpperCritical": {"Reading": line.critical}}} if line.critical is not None else {}
    units = {"ReadingUnits": line.units} if line.units is not None else {}
    return resource(
        uri,
        "Sensor.v1_7_0",
        Name=line.name,
        ReadingType=line.kind,
        **units,
        Reading=round(line.reading(moment), 3),
        PhysicalContext=line.context,
        **limits,
        Status=status(),
    )


def sensors(chassis: str, lines: Sequence[Line]) -> Parts:
    """The Sensors of a chassis."""
    uri = f"{chassis}/Sensors"
    return members(uri, "Sensor", {line.ident: partial(sensor, f"{uri}/{line.ident}", line) for line in lines})


def _metrics(chassis: str, lines: Sequence[Line], moment: Moment) -> Document:
    readings = [
        {
            "DataSourceUri": f"{chassis}/Sensors/{line.ident}",
            "DeviceName": line.name,
            "PhysicalContext": line.context,
            "Reading": round(line.reading(moment), 1),
        }
        for line in lines
        if line.kind == "Temperature"
    ]
    uri = f"{chassis}/ThermalSubsystem/ThermalMetrics"
    return resource(uri, "ThermalMetrics.v1_1_0", TemperatureReadingsCelsius=readings)


def thermal_subsystem(chassis: str, lines: Sequence[Line], fans: Mapping[str, Part]) -> Parts:
    """A ThermalSubsystem: the temperatures among the lines, and fans by id."""
    uri = f"{chassis}/ThermalSubsystem"
    whole = resource(uri, "ThermalSubsystem.v1_0_0", Status=status(), **links(uri, "Fans", "ThermalMetrics"))
    return {
        uri: whole,
        f"{uri}/ThermalMetrics": partial(_metrics, chassis, tuple(lines)),
        **members(f"{uri}/Fans", "Fan", fans),
    }


def fan(uri: str, name: str, speed: Document) -> Document:
    """A Fan; `speed` is its SpeedPercent."""
    return resource(uri, "Fan.v1_3_0", Name=name, PhysicalContext="Fan", SpeedPercent=speed, Status=status())


def _supply_metrics(uri: str, count: int, moment: Moment) -> Document:
    watts = moment.watts / count
    return resource(
        uri,
        "PowerSupplyMetrics.v1_1_0",
        Id="Metrics",
        InputVoltage={"Reading": 230.2},
        InputPowerWatts={"Reading": round(watts, 1)},
        OutputPowerWatts={"Reading": round(watts * moment.efficiency / 100, 1)},
        Status=status(),
    )


def power_subsystem(chassis: str, supplies: Mapping[str, Document]) -> Parts:
    """A PowerSubsystem: its supplies by id share the load."""
    uri = f"{chassis}/PowerSubsystem"
    listed: dict[str, Part] = {}
    metrics: dict[str, Part] = {}
    for ident, properties in supplies.items():
        there = f"{uri}/PowerSupplies/{ident}"
        told: dict[str, Any] = {
            "Name": ident,
            "PowerCapacityWatts": 2400,
            "InputNominalVoltageType": "AC240V",
            "Manufacturer": "Rackstream",
            "Model": "SIM PSU",
            "Status": status(),
            "Metrics": link(f"{there}/Metrics"),
        }
        listed[ident] = resource(there, "PowerSupply.v1_5_0", **{**told, **properties})
        metrics[f"{ident}/Metrics"] = partial(_supply_metrics, f"{there}/Metrics", len(supplies))
    whole = resource(uri, "PowerSubsystem.v1_1_0", CapacityWatts=4800, Status=status(), **links(uri, "PowerSupplies"))
    return {uri: whole, **members(f"{uri}/PowerSupplies", "PowerSupply", listed, unlisted=metrics)}
