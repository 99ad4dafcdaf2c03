"""Sensors, ThermalSubsystem and PowerSubsystem of a chassis, from one list of its sensors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from rackstream.simulators.model import Document, DocumentSource, DocumentTree, link, links, members, resource, status
from rackstream.simulators.models.parts import ReadingFunction
from rackstream.simulators.readings import SimulatedReadings


@dataclass(frozen=True, slots=True)
class SensorSpec:
    """Properties of one Sensor."""

    sensor_id: str
    name: str
    reading_type: str | None
    units: str | None
    """ReadingUnits; None to omit the property."""
    reading: ReadingFunction
    context: str | None = None
    critical: float | None = None
    """Upper critical threshold."""


def sensor(uri: str, spec: SensorSpec, readings: SimulatedReadings) -> Document:
    """Returns a Sensor (DMTF Sensor v1_7)."""
    thresholds = {"Thresholds": {"UpperCritical": {"Reading": spec.critical}}} if spec.critical is not None else {}
    units = {"ReadingUnits": spec.units} if spec.units is not None else {}
    return resource(
        uri,
        "Sensor.v1_7_0",
        Name=spec.name,
        ReadingType=spec.reading_type,
        **units,
        Reading=round(spec.reading(readings), 3),
        PhysicalContext=spec.context,
        **thresholds,
        Status=status(),
    )


def sensors(chassis: str, specs: Sequence[SensorSpec]) -> DocumentTree:
    """Returns the Sensors of a chassis."""
    uri = f"{chassis}/Sensors"
    return members(uri, "Sensor", {spec.sensor_id: partial(sensor, f"{uri}/{spec.sensor_id}", spec) for spec in specs})


def _thermal_metrics(chassis: str, specs: Sequence[SensorSpec], readings: SimulatedReadings) -> Document:
    temperatures = [
        {
            "DataSourceUri": f"{chassis}/Sensors/{spec.sensor_id}",
            "DeviceName": spec.name,
            "PhysicalContext": spec.context,
            "Reading": round(spec.reading(readings), 1),
        }
        for spec in specs
        if spec.reading_type == "Temperature"
    ]
    uri = f"{chassis}/ThermalSubsystem/ThermalMetrics"
    return resource(uri, "ThermalMetrics.v1_1_0", TemperatureReadingsCelsius=temperatures)


def thermal_subsystem(chassis: str, specs: Sequence[SensorSpec], fans: Mapping[str, DocumentSource]) -> DocumentTree:
    """Returns a ThermalSubsystem with ThermalMetrics of the temperature sensors, and with fans by id."""
    uri = f"{chassis}/ThermalSubsystem"
    return {
        uri: resource(uri, "ThermalSubsystem.v1_0_0", Status=status(), **links(uri, "Fans", "ThermalMetrics")),
        f"{uri}/ThermalMetrics": partial(_thermal_metrics, chassis, tuple(specs)),
        **members(f"{uri}/Fans", "Fan", fans),
    }


def fan(uri: str, name: str, speed: Document) -> Document:
    """Returns a Fan; `speed` is its SpeedPercent."""
    return resource(uri, "Fan.v1_3_0", Name=name, PhysicalContext="Fan", SpeedPercent=speed, Status=status())


def _supply_metrics(uri: str, count: int, readings: SimulatedReadings) -> Document:
    watts = readings.watts / count
    return resource(
        uri,
        "PowerSupplyMetrics.v1_1_0",
        Id="Metrics",
        InputVoltage={"Reading": 230.2},
        InputPowerWatts={"Reading": round(watts, 1)},
        OutputPowerWatts={"Reading": round(watts * readings.efficiency / 100, 1)},
        Status=status(),
    )


def power_subsystem(chassis: str, supplies: Mapping[str, Document]) -> DocumentTree:
    """Returns a PowerSubsystem whose supplies share the load; `supplies`: id → additional properties."""
    uri = f"{chassis}/PowerSubsystem"
    resources: dict[str, DocumentSource] = {}
    metrics: dict[str, DocumentSource] = {}
    for supply_id, properties in supplies.items():
        supply_uri = f"{uri}/PowerSupplies/{supply_id}"
        defaults: dict[str, Any] = {
            "Name": supply_id,
            "PowerCapacityWatts": 2400,
            "InputNominalVoltageType": "AC240V",
            "Manufacturer": "Rackstream",
            "Model": "SIM PSU",
            "Status": status(),
            "Metrics": link(f"{supply_uri}/Metrics"),
        }
        resources[supply_id] = resource(supply_uri, "PowerSupply.v1_5_0", **{**defaults, **properties})
        metrics[f"{supply_id}/Metrics"] = partial(_supply_metrics, f"{supply_uri}/Metrics", len(supplies))
    subsystem = resource(
        uri, "PowerSubsystem.v1_1_0", CapacityWatts=4800, Status=status(), **links(uri, "PowerSupplies")
    )
    return {uri: subsystem, **members(f"{uri}/PowerSupplies", "PowerSupply", resources, unlisted=metrics)}
