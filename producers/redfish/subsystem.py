"""ThermalSubsystem and PowerSubsystem told as the Thermal and Power they replace: one set of tables serves both.

Read only where a Chassis has no Thermal or Power. Limits and the state of temperatures, which only Sensors have, and
voltages are not read yet.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from producers.redfish.fields import Json, at, text
from producers.redfish.plan import Resource, end_of
from producers.redfish.walk import Found, Walk

SUPPLY: Final = {
    "LineInputVoltage": "Metrics/InputVoltage/Reading",
    "LineInputVoltageType": "InputNominalVoltageType",
    "PowerInputWatts": "Metrics/InputPowerWatts/Reading",
    "PowerOutputWatts": "Metrics/OutputPowerWatts/Reading",
}
"""Property of Power.PowerSupplies (Power v1_7) → where PowerSupply v1_5 and PowerSupplyMetrics v1_1 have it."""


def thermal(walk: Walk, resources: Sequence[Resource]) -> Iterator[Found]:
    """The ThermalSubsystems (DMTF ThermalSubsystem v1_3), each as a Thermal."""
    known = walk.documents(resource.uri for resource in resources)
    documents = walk.join(list(known.values()), "ThermalMetrics")
    owners = _owners(resources)
    for document, fans in zip(documents, walk.members(documents, "Fans"), strict=True):
        entries = at(document, "ThermalMetrics/TemperatureReadingsCelsius")
        temperatures = [_temperature(each) for each in entries] if isinstance(entries, list) else entries
        told = {"Temperatures": temperatures, "Fans": [_fan(each) for each in fans]}
        uri = str(document["@odata.id"])
        yield Found(uri, told, {"chassis_id": owners[uri]})


def power(walk: Walk, resources: Sequence[Resource]) -> Iterator[Found]:
    """The PowerSubsystems (DMTF PowerSubsystem v1_1), each as a Power."""
    documents = list(walk.documents(resource.uri for resource in resources).values())
    owners = _owners(resources)
    found = walk.members(documents, "PowerSupplies")
    joined = iter(walk.join([each for supplies in found for each in supplies], "Metrics"))
    for document, supplies in zip(documents, found, strict=True):
        uri = str(document["@odata.id"])
        told = {"PowerSupplies": [_supply(next(joined)) for _ in supplies]}
        yield Found(uri, told, {"chassis_id": owners[uri]})


def _owners(resources: Sequence[Resource]) -> dict[str, str]:
    return {resource.uri: resource.owner for resource in resources}


def _temperature(entry: Any) -> Any:
    """An entry of ThermalMetrics (DMTF ThermalMetrics v1_3) as one of Thermal.Temperatures."""
    if not isinstance(entry, dict):
        return entry
    source = text(entry.get("DataSourceUri"))
    return {
        "@odata.id": source,
        "MemberId": end_of(source) if source else None,
        "Name": text(entry.get("DeviceName")) or (end_of(source) if source else None),
        "ReadingCelsius": entry.get("Reading"),
        "PhysicalContext": entry.get("PhysicalContext"),
    }


def _fan(document: Json) -> Json:
    """A Fan (DMTF Fan v1_5) as an entry of Thermal.Fans."""
    rpm = at(document, "SpeedPercent/SpeedRPM")  # Lenovo repeats it as the percentage
    reading = at(document, "SpeedPercent/Reading") if rpm is None else rpm
    units = "Percent" if rpm is None else "RPM"
    return {**document, "MemberId": document["Id"], "Reading": reading, "ReadingUnits": units}


def _supply(document: Json) -> Json:
    """A PowerSupply as an entry of Power.PowerSupplies; most of its properties have kept their names."""
    moved = {name: at(document, path) for name, path in SUPPLY.items()}
    return {**document, "MemberId": document["Id"], **moved}
