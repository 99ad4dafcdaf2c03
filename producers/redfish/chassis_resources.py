"""Reads the resources of chassis that hold sensors, in the form that their tables expect.

Redfish has two generations of schemas for thermal and power data, and single Sensors besides. A *source* is a resource
that may hold one kind of reading of a chassis. A BMC has one or several sources for a kind, and any of them may be
incomplete; `source_selection` decides.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from producers.redfish.discovery import DiscoveredResource
from producers.redfish.documents import (
    Json,
    JsonObject,
    is_absent,
    key_of,
    last_segment,
    link_at,
    number,
    text,
    uri_key,
    value_at,
)
from producers.redfish.expand import is_resource
from producers.redfish.fetch import ResourceFetcher
from producers.redfish.mapping import tables, tables_subsystem
from producers.redfish.mapping.table import UNIT_SPELLINGS, RedfishRecord, ResourceTable

SOURCES: Final[Mapping[str, Mapping[str, ResourceTable[RedfishRecord]]]] = {
    "temperatures": {
        "Thermal": tables.TEMPERATURE,
        "Sensors": tables_subsystem.SENSOR_TEMPERATURE,
        "ThermalMetrics": tables_subsystem.THERMAL_METRICS_TEMPERATURE,
    },
    "fans": {"Thermal": tables.FAN, "Fans": tables_subsystem.SUBSYSTEM_FAN, "Sensors": tables_subsystem.SENSOR_FAN},
    "power_controls": {
        "Power": tables.POWER_CONTROL,
        "EnvironmentMetrics": tables_subsystem.ENVIRONMENT_METRICS_POWER,
    },
    "voltages": {"Power": tables.VOLTAGE, "Sensors": tables_subsystem.SENSOR_VOLTAGE},
    "power_supplies": {"Power": tables.POWER_SUPPLY, "PowerSupplies": tables_subsystem.SUBSYSTEM_POWER_SUPPLY},
}
"""Kind of reading → sources that may have it, with their tables. The first of several equal ones is selected."""
READING_TYPES: Final = {"Cel": "Temperature", "RPM": "Rotational", "V": "Voltage"}
"""Unit of a Sensor → its ReadingType. The unit takes precedence, because Lenovo's fans are AirFlow in RPM."""
DEFAULT_UNITS: Final = {reading_type: unit for unit, reading_type in READING_TYPES.items()}
"""ReadingType → unit of a Sensor that names none (NVIDIA)."""
SCALE_PROPERTIES: Final = frozenset({"Thresholds", "ReadingRangeMin", "ReadingRangeMax"})
SourceDocuments = list[JsonObject | None]
"""Document of a source for each chassis; None if it does not exist or could not be read."""


def read_thermal(fetcher: ResourceFetcher, chassis: Sequence[DiscoveredResource]) -> SourceDocuments:
    """Reads Thermal (DMTF Thermal v1_7) of each chassis."""
    return _read_linked(fetcher, chassis, "Thermal")


def read_power(fetcher: ResourceFetcher, chassis: Sequence[DiscoveredResource]) -> SourceDocuments:
    """Reads Power (DMTF Power v1_7) of each chassis."""
    return _read_linked(fetcher, chassis, "Power")


def _read_linked(fetcher: ResourceFetcher, chassis: Sequence[DiscoveredResource], name: str) -> SourceDocuments:
    links = list(dict.fromkeys(resource.links[name] for resource in chassis if name in resource.links))
    documents = dict(zip(links, fetcher.get_all(links), strict=True))
    return [documents.get(resource.links.get(name, "")) for resource in chassis]


def read_fans(fetcher: ResourceFetcher, chassis: Sequence[DiscoveredResource]) -> SourceDocuments:
    """Reads the Fans of each ThermalSubsystem."""
    listed = fetcher.list_collections(_subsystem_links(fetcher, chassis, "ThermalSubsystem", "Fans"))
    members = fetcher.get_members([links or [] for links in listed])
    return [None if links is None else {"Fans": fans} for links, fans in zip(listed, members, strict=True)]


def read_power_supplies(fetcher: ResourceFetcher, chassis: Sequence[DiscoveredResource]) -> SourceDocuments:
    """Reads the PowerSupplies of each PowerSubsystem with their metrics."""
    links = _subsystem_links(fetcher, chassis, "PowerSubsystem", "PowerSupplies")
    listed = fetcher.list_collections(links, levels=2)
    members = fetcher.get_members([links or [] for links in listed])
    with_metrics = iter(fetcher.inline_links([supply for supplies in members for supply in supplies], "Metrics"))
    supplies_by_chassis = [[next(with_metrics) for _ in supplies] for supplies in members]
    return [
        None if links is None else {"PowerSupplies": supplies}
        for links, supplies in zip(listed, supplies_by_chassis, strict=True)
    ]


def _subsystem_links(
    fetcher: ResourceFetcher, chassis: Sequence[DiscoveredResource], subsystem: str, name: str
) -> list[str | None]:
    """Returns the URIs that the subsystems of the chassis link; subsystems do not change and are read once."""
    links = [resource.links[subsystem] for resource in chassis if subsystem in resource.links]
    documents = dict(zip(links, fetcher.get_static(links), strict=True))
    return [link_at(documents.get(resource.links.get(subsystem, "")), name) for resource in chassis]


def read_sensors(
    fetcher: ResourceFetcher,
    chassis: Sequence[DiscoveredResource],
    reading_types: Collection[str] = ("Temperature",),
) -> SourceDocuments:
    """Reads the Sensors of each chassis by ReadingType.

    Without `$expand`, Sensors that an earlier poll found to be of another type are not requested.
    """
    listed = fetcher.list_collections([resource.links.get("Sensors") for resource in chassis])
    needed = [
        [link for link in links or [] if is_resource(link) or _may_have_type(fetcher, link, reading_types)]
        for links in listed
    ]
    documents: SourceDocuments = []
    for links, members in zip(listed, fetcher.get_members(needed), strict=True):
        by_type: dict[str, list[JsonObject]] = {reading_type: [] for reading_type in reading_types}
        for sensor in members:
            fetcher.cache.static_resources[key_of(sensor)] = sensor
            if (reading_type := reading_type_of(sensor)) in by_type:
                by_type[reading_type].append(_with_unit(sensor, reading_type))
        documents.append(None if links is None else by_type)
    return documents


def _may_have_type(fetcher: ResourceFetcher, link: JsonObject, reading_types: Collection[str]) -> bool:
    sensor = fetcher.cache.static_resources.get(key_of(link))
    return sensor is None or reading_type_of(sensor) in reading_types


def reading_type_of(sensor: JsonObject) -> str:
    """Returns Temperature, Rotational or Voltage; empty for a Sensor that no table reads."""
    unit = UNIT_SPELLINGS.get((text(sensor.get("ReadingUnits")) or "").casefold())
    if unit in READING_TYPES:
        return READING_TYPES[unit]
    reading_type = text(sensor.get("ReadingType")) or ""
    if reading_type not in DEFAULT_UNITS or _is_flag(sensor):
        return ""
    # The remaining known unit is percent: valid for fans, a different quantity for temperatures and voltages.
    return reading_type if unit is None or reading_type == "Rotational" else ""


def _with_unit(sensor: JsonObject, reading_type: str) -> JsonObject:
    """Returns the Sensor with its unit; without thresholds if the unit is unknown, as the table drops its reading."""
    unit = text(sensor.get("ReadingUnits"))
    if unit is None:
        return {**sensor, "ReadingUnits": DEFAULT_UNITS[reading_type]}
    return sensor if unit.casefold() in UNIT_SPELLINGS else {**sensor, "Thresholds": None}


def _is_flag(sensor: JsonObject) -> bool:
    """True for a boolean Sensor (Lenovo: 0 for "CPU 1 Overtemp"), which has a blank unit and no scale."""
    return "ReadingUnits" in sensor and not text(sensor["ReadingUnits"]) and not SCALE_PROPERTIES & sensor.keys()


def read_thermal_metrics(fetcher: ResourceFetcher, chassis: Sequence[DiscoveredResource]) -> SourceDocuments:
    """Reads the ThermalMetrics of each chassis, and adds to each entry the Sensor it refers to.

    With `$expand` the Sensors are read at each poll. Without it each is read once, for its thresholds; its Status only
    counts if it is Absent.
    """
    links = _subsystem_links(fetcher, chassis, "ThermalSubsystem", "ThermalMetrics")
    metrics = iter(fetcher.get_all([link for link in links if link]))
    documents = [next(metrics) if link else None for link in links]
    current = set[str]()
    if fetcher.cache.expand.works:
        with_metrics = [resource for resource, link in zip(chassis, links, strict=True) if link]
        for sensors in read_sensors(fetcher, with_metrics):
            current |= set(map(key_of, (sensors or {}).get("Temperature", [])))
    entries = [_metrics_entries(document) for document in documents]
    sources = {
        uri_key(uri): uri
        for items in entries
        for entry in items
        if isinstance(entry, dict) and (uri := text(entry.get("DataSourceUri")))
    }
    fetcher.get_static(list(sources.values()))
    return [
        None
        if document is None
        else {"TemperatureReadingsCelsius": [_with_sensor(fetcher, entry, current) for entry in items]}
        for document, items in zip(documents, entries, strict=True)
    ]


def _metrics_entries(document: JsonObject | None) -> list[Json]:
    entries = (document or {}).get("TemperatureReadingsCelsius")
    return entries if isinstance(entries, list) else []


def _with_sensor(fetcher: ResourceFetcher, entry: Json, current: Collection[str]) -> Json:
    """Returns an entry of ThermalMetrics with its Sensor and a Status; entries that are not objects are unchanged.

    Args:
        fetcher: Fetcher whose cache has the Sensors.
        entry: The entry.
        current: URI keys of the Sensors that were read at this poll.
    """
    if not isinstance(entry, dict):
        return entry
    source = text(entry.get("DataSourceUri"))
    sensor: JsonObject = (fetcher.cache.static_resources.get(uri_key(source)) if source else None) or {}
    if source and uri_key(source) not in current:
        status = {"State": value_at(sensor, "Status/State")} if is_absent(sensor) else None
        sensor = {**sensor, "Status": status}
    sensor_id = {"Id": last_segment(source)} if source else {}
    result = {**entry, "Sensor": {**sensor_id, **sensor}, "Status": sensor.get("Status")}
    if number(entry.get("Reading")) == 0 and not value_at(sensor, "Status/State"):
        result["Reading"] = None  # HPE reports 0 for absent sensors, without a Status here
    if text(entry.get("DeviceName")) is None and source and not text(sensor.get("Name")):
        result["DeviceName"] = last_segment(source)
    return result


def read_environment_metrics(fetcher: ResourceFetcher, chassis: Sequence[DiscoveredResource]) -> SourceDocuments:
    """Reads the EnvironmentMetrics of each chassis as its total power, with the limits of its PowerSubsystem."""
    metrics = _read_linked(fetcher, chassis, "EnvironmentMetrics")
    measured = [
        resource for resource, document in zip(chassis, metrics, strict=True) if document and "PowerWatts" in document
    ]
    subsystems = _power_subsystems(fetcher, measured)
    documents: SourceDocuments = []
    for resource, document in zip(chassis, metrics, strict=True):
        if document is None:
            documents.append(None)
        elif resource.uri in subsystems:
            total = {"Id": "EnvironmentMetrics", **document, "PowerSubsystem": subsystems[resource.uri]}
            documents.append({"Total": [total]})
        else:
            documents.append({"Total": []})
    return documents


def _power_subsystems(fetcher: ResourceFetcher, chassis: Sequence[DiscoveredResource]) -> dict[str, JsonObject | None]:
    """Returns URI of the chassis → PowerSubsystem; read again only if it has an Allocation, which changes."""
    linked = [resource for resource in chassis if "PowerSubsystem" in resource.links]
    static = dict(
        zip(uris_of(linked), fetcher.get_static([resource.links["PowerSubsystem"] for resource in linked]), strict=True)
    )
    changing = [resource for resource in linked if "Allocation" in (static[resource.uri] or {})]
    current = dict(zip(uris_of(changing), _read_linked(fetcher, changing, "PowerSubsystem"), strict=True))
    return {resource.uri: current.get(resource.uri, static.get(resource.uri)) for resource in chassis}


def uris_of(chassis: Sequence[DiscoveredResource]) -> list[str]:
    """Returns the URIs of the chassis."""
    return [resource.uri for resource in chassis]


SOURCE_READERS: Final[Mapping[str, Callable[[ResourceFetcher, Sequence[DiscoveredResource]], SourceDocuments]]] = {
    "Thermal": read_thermal,
    "ThermalMetrics": read_thermal_metrics,
    "Fans": read_fans,
    "Power": read_power,
    "PowerSupplies": read_power_supplies,
    "EnvironmentMetrics": read_environment_metrics,
}
"""Source → its reader. Sensors are read by type with `read_sensors`."""


def is_present(record: RedfishRecord) -> bool:
    """True if a record describes a part that is present."""
    return not is_absent({"Status": {"State": record["state"]}})
