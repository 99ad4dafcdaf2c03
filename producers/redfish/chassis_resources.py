"""What the two generations of Redfish say of a chassis: each resource read, in the shape its tables read.

A side is one resource that may hold one kind of reading of a chassis. A BMC has one or several of them, and each may
be the poorer one: `choice` decides.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Final

from producers.redfish.discovery import Resource, end_of
from producers.redfish.expand import inline
from producers.redfish.fetch import Walk, absent
from producers.redfish.http.negative_cache import key_of
from producers.redfish.mapping import tables, tables_subsystem
from producers.redfish.mapping.table import NO_READING, UNITS, Json, Table, at, number, text

SIDES: Final[Mapping[str, Mapping[str, Table]]] = {
    "temperatures": {
        "Thermal": tables.TEMPERATURE,
        "Sensors": tables_subsystem.SENSOR_TEMPERATURE,
        "ThermalMetrics": tables_subsystem.METRIC,
    },
    "fans": {"Thermal": tables.FAN, "Fans": tables_subsystem.NEW_FAN, "Sensors": tables_subsystem.SENSOR_FAN},
    "power_controls": {"Power": tables.POWER_CONTROL, "EnvironmentMetrics": tables_subsystem.CHASSIS_POWER},
    "voltages": {"Power": tables.VOLTAGE, "Sensors": tables_subsystem.SENSOR_VOLTAGE},
    "power_supplies": {"Power": tables.POWER_SUPPLY, "PowerSupplies": tables_subsystem.SUPPLY},
}
"""Kind of reading → the sides that may have it, with their tables. Of equal ones the first is taken."""
TYPES: Final = {"Cel": "Temperature", "RPM": "Rotational", "V": "Voltage"}
"""A Sensor's unit → its ReadingType; it is the unit that counts, for Lenovo's fans are AirFlow in RPM."""
UNIT_OF: Final = {kind: unit for unit, kind in TYPES.items()}
"""The other way round, for those that name no unit (NVIDIA)."""
SCALE: Final = frozenset({"Thresholds", "ReadingRangeMin", "ReadingRangeMax"})
Told = list[Json | None]
"""What a side says of each chassis; None where it was not got or is not there."""


def thermal(walk: Walk, chassis: Sequence[Resource]) -> Told:
    """Thermal (DMTF Thermal v1_7) of each chassis."""
    return _linked(walk, chassis, "Thermal")


def power(walk: Walk, chassis: Sequence[Resource]) -> Told:
    """Power (DMTF Power v1_7) of each chassis."""
    return _linked(walk, chassis, "Power")


def _linked(walk: Walk, chassis: Sequence[Resource], name: str) -> Told:
    links = [each.links[name] for each in chassis if name in each.links]
    found = dict(zip(links, walk.all(list(dict.fromkeys(links))), strict=False))
    return [found.get(each.links.get(name, "")) for each in chassis]


def fans(walk: Walk, chassis: Sequence[Resource]) -> Told:
    """The Fans of each ThermalSubsystem."""
    listed = walk.listed(_through(walk, chassis, "ThermalSubsystem", "Fans"))
    members = walk.resources([each or [] for each in listed])
    return [None if each is None else {"Fans": one} for each, one in zip(listed, members, strict=True)]


def supplies(walk: Walk, chassis: Sequence[Resource]) -> Told:
    """The PowerSupplies of each PowerSubsystem with their metrics."""
    listed = walk.listed(_through(walk, chassis, "PowerSubsystem", "PowerSupplies"), levels=2)
    members = walk.resources([each or [] for each in listed])
    joined = iter(walk.join([each for one in members for each in one], "Metrics"))
    told = [[next(joined) for _ in one] for one in members]
    return [None if each is None else {"PowerSupplies": one} for each, one in zip(listed, told, strict=True)]


def _through(walk: Walk, chassis: Sequence[Resource], subsystem: str, name: str) -> list[str | None]:
    """What the subsystems of the chassis link; these do not change, and are read once."""
    there = [each.links[subsystem] for each in chassis if subsystem in each.links]
    found = dict(zip(there, walk.kept(there), strict=True))
    documents = [found.get(each.links.get(subsystem, "")) for each in chassis]
    return [text(at(document, f"{name}/@odata.id")) if document else None for document in documents]


def sensors(walk: Walk, chassis: Sequence[Resource], wanted: Collection[str] = ("Temperature",)) -> Told:
    """The Sensors of each chassis by ReadingType, of those that are wanted.

    Where they are not told all at once, those that a poll before found to be of other types are not asked for.
    """
    listed = walk.listed([each.links.get("Sensors") for each in chassis])
    asked = [[each for each in one or [] if inline(each) or _may_be(walk, each, wanted)] for one in listed]
    told: Told = []
    for one, members in zip(listed, walk.resources(asked), strict=True):
        by_type: dict[str, list[Json]] = {name: [] for name in wanted}
        for member in members:
            walk.learnt.kept[key_of(str(member["@odata.id"]))] = member
            if (kind := type_of(member)) in by_type:
                by_type[kind].append(_in_its_unit(member, kind))
        told.append(None if one is None else by_type)
    return told


def _may_be(walk: Walk, link: Json, wanted: Collection[str]) -> bool:
    known = walk.learnt.kept.get(key_of(str(link["@odata.id"])))
    return known is None or type_of(known) in wanted


def type_of(sensor: Json) -> str:
    """Temperature, Rotational or Voltage; empty for what no table reads."""
    unit = UNITS.get((text(sensor.get("ReadingUnits")) or "").casefold())
    if unit in TYPES:
        return TYPES[unit]
    kind = text(sensor.get("ReadingType")) or ""
    percent = unit is not None  # of temperatures and volts it is something else
    return kind if kind in UNIT_OF and not _is_flag(sensor) and (kind == "Rotational" or not percent) else ""


def _in_its_unit(sensor: Json, kind: str) -> Json:
    """A Sensor that says its unit; in one that is unknown, neither reading nor limits are told."""
    unit = text(sensor.get("ReadingUnits"))
    if unit is None:
        return {**sensor, "ReadingUnits": UNIT_OF[kind]}
    return sensor if unit.casefold() in UNITS else {**sensor, "Thresholds": None}


def _is_flag(sensor: Json) -> bool:
    """Whether it says yes or no (Lenovo: 0 of "CPU 1 Overtemp"): it has a blank for its unit, and no scale."""
    return "ReadingUnits" in sensor and not text(sensor["ReadingUnits"]) and not SCALE & sensor.keys()


def metrics(walk: Walk, chassis: Sequence[Resource]) -> Told:
    """The ThermalMetrics of each chassis, each entry with the Sensor that it is of.

    Where Sensors are told all at once they are read anew; else each was read once, for its limits, and of its state
    only that it is absent still counts.
    """
    links = _through(walk, chassis, "ThermalSubsystem", "ThermalMetrics")
    answers = iter(walk.all([link for link in links if link]))
    documents = [next(answers) if link else None for link in links]
    fresh = set[str]()
    if walk.learnt.expanding.works:
        for told in sensors(walk, [each for each, link in zip(chassis, links, strict=True) if link]):
            fresh |= {key_of(str(each["@odata.id"])) for each in (told or {}).get("Temperature", [])}
    entries = [_entries(each) for each in documents]
    objects = (each for one in entries for each in one if isinstance(each, dict))
    sources = {key_of(uri): uri for each in objects if (uri := text(each.get("DataSourceUri")))}
    walk.kept(list(sources.values()))
    return [
        None if document is None else {"TemperatureReadingsCelsius": [_sensed(walk, each, fresh) for each in one]}
        for document, one in zip(documents, entries, strict=True)
    ]


def _entries(document: Json | None) -> list[Any]:
    each: Any = (document or {}).get("TemperatureReadingsCelsius")
    return each if isinstance(each, list) else []


def _sensed(walk: Walk, entry: Any, fresh: Collection[str]) -> Any:
    """An entry of ThermalMetrics with its Sensor, and the Status that counts; what is no object as it is."""
    if not isinstance(entry, dict):
        return entry
    source = text(entry.get("DataSourceUri"))
    sensor: Json = (walk.learnt.kept.get(key_of(source)) if source else None) or {}
    if source and key_of(source) not in fresh:
        state = (text(at(sensor, "Status/State")) or "").casefold()
        sensor = {**sensor, "Status": {"State": at(sensor, "Status/State")} if state in NO_READING else None}
    name = {"Id": end_of(source)} if source else {}
    told = {**entry, "Sensor": {**name, **sensor}, "Status": sensor.get("Status")}
    if number(entry.get("Reading")) == 0 and not at(sensor, "Status/State"):
        told["Reading"] = None  # HPE gives 0 of sensors that are absent, and no Status here
    if text(entry.get("DeviceName")) is None and source and not text(sensor.get("Name")):
        told["DeviceName"] = end_of(source)
    return told


def environment(walk: Walk, chassis: Sequence[Resource]) -> Told:
    """The EnvironmentMetrics of each chassis as its total, with what its PowerSubsystem allots."""
    found = _linked(walk, chassis, "EnvironmentMetrics")
    measured = [each for each, one in zip(chassis, found, strict=True) if one and "PowerWatts" in one]
    allotted = _allotted(walk, measured)
    told: Told = []
    for each, one in zip(chassis, found, strict=True):
        measures = one is not None and each.uri in allotted
        total = {"Id": "EnvironmentMetrics", **(one or {}), "PowerSubsystem": allotted.get(each.uri)}
        told.append(None if one is None else {"Total": [total] if measures else []})
    return told


def _allotted(walk: Walk, chassis: Sequence[Resource]) -> dict[str, Json | None]:
    """The PowerSubsystems; read anew only where they tell more than what their chassis may take."""
    there = [each for each in chassis if "PowerSubsystem" in each.links]
    kept = dict(zip(uris_of(there), walk.kept([each.links["PowerSubsystem"] for each in there]), strict=True))
    moving = [each for each in there if "Allocation" in (kept[each.uri] or {})]
    fresh = dict(zip(uris_of(moving), _linked(walk, moving, "PowerSubsystem"), strict=True))
    return {each.uri: fresh.get(each.uri, kept.get(each.uri)) for each in chassis}


def uris_of(chassis: Sequence[Resource]) -> list[str]:
    """Their URIs."""
    return [each.uri for each in chassis]


READ: Final[Mapping[str, Callable[[Walk, Sequence[Resource]], Told]]] = {
    "Thermal": thermal,
    "ThermalMetrics": metrics,
    "Fans": fans,
    "Power": power,
    "PowerSupplies": supplies,
    "EnvironmentMetrics": environment,
}
"""Side → what reads it; Sensors are read by type."""


def present(record: Json) -> bool:
    """Whether a record is of something that is there."""
    return not absent({"Status": {"State": record["state"]}})
