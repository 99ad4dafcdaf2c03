"""Selects the source of each kind of reading of each chassis once; afterwards only that source is read.

Neither generation of Redfish's thermal and power schemas is complete on real BMCs, and both show the same sensors.
Therefore one source is used for all readings of a kind of a chassis: the one with more usable readings, never both.
Single Sensors are the last resort, because each costs a request.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from producers.reader import Problems
from producers.redfish.cache import SelectedSource, SkippedResource
from producers.redfish.chassis_resources import SOURCE_READERS, SOURCES, is_present, read_sensors
from producers.redfish.discovery import CHASSIS_LINKS, INCOMPLETE_RETRY_S, DiscoveredResource
from producers.redfish.documents import JsonObject, uri_key
from producers.redfish.fetch import FetchedResource, ResourceFetcher
from producers.redfish.http.errors import RedfishError, ResourceMissing
from producers.redfish.http.negative_cache import MISSING_RETRY_S
from producers.redfish.mapping.table import RedfishRecord, ResourceTable, map_array

READING_KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "thermal": ("temperatures", "fans"),
    "power": ("power_controls", "voltages", "power_supplies"),
}
"""Category → its kinds of readings, which are also the names of the record's arrays."""
SOURCE_LINKS: Final = {
    "Thermal": "Thermal",
    "ThermalMetrics": "ThermalSubsystem",
    "Fans": "ThermalSubsystem",
    "Sensors": "Sensors",
    "Power": "Power",
    "PowerSupplies": "PowerSubsystem",
    "EnvironmentMetrics": "EnvironmentMetrics",
}
"""Source → property of the Chassis that leads to it."""
SENSORS: Final = "Sensors"
TOTAL_POWER: Final = "power_controls"
SENSORS_SKIPPED: Final = "not read, would need a request per sensor"


class SourceKey(NamedTuple):
    """A kind of reading of one chassis."""

    uri: str
    """URI of the chassis."""
    kind: str


class ReadingCount(NamedTuple):
    """Readings of a kind that a source has; the greater tuple is the better source."""

    usable: int
    unusable: int
    """Entries without readings, counted only if none is usable: empty slots do not make a source better."""


def select_resources(
    fetcher: ResourceFetcher, category: str, chassis: Sequence[DiscoveredResource]
) -> Iterator[FetchedResource]:
    """Yields the resources of a category: for each chassis and kind that of the selected source."""
    linked = [resource for resource in chassis if any(name in resource.links for name in CHASSIS_LINKS[category])]
    selection = _SourceSelection(fetcher, category, linked)
    selection.read_selected()
    selection.select_missing()
    yield from selection.resources()


class _SourceSelection:
    """Selected sources and their documents during one poll of one category."""

    def __init__(self, fetcher: ResourceFetcher, category: str, chassis: Sequence[DiscoveredResource]) -> None:
        self._fetcher = fetcher
        self._chassis = {resource.uri: resource for resource in chassis}
        self._kinds = READING_KINDS[category]
        self._documents: dict[tuple[str, str], JsonObject | None] = {}
        """(Source, URI of the chassis) → document."""
        self._requested: set[tuple[str, SourceKey]] = set()
        """(Source, kind of a chassis) that was to be read."""
        self._selected: dict[SourceKey, SelectedSource] = {}
        for key in self._all_keys():
            selected = fetcher.cache.sources.get(key)
            if selected and fetcher.now_s < selected.valid_until_s:
                self._selected[key] = selected

    def _all_keys(self) -> list[SourceKey]:
        return [SourceKey(uri, kind) for uri in self._chassis for kind in self._kinds]

    def read_selected(self) -> None:
        """Reads the sources that an earlier poll selected."""
        self._read((selected.source, key) for key, selected in self._selected.items())
        for skipped in dict.fromkeys(skipped for selected in self._selected.values() for skipped in selected.skipped):
            self._fetcher.problems.add(skipped.uri, skipped.cause, whole=skipped.whole)
        for key, selected in self._selected.items():
            errors = self._errors(key.uri, selected.source) if selected.source else {}
            if any(isinstance(error, ResourceMissing) for error in errors.values()):
                self._fetcher.cache.sources.pop(key, None)  # the resource is gone; the next poll selects again

    def select_missing(self) -> None:
        """Reads all sources of the kinds without a selected one; Sensors only where the others have no readings."""
        open_keys = [key for key in self._all_keys() if key not in self._selected]
        self._read((source, key) for key in open_keys for source in SOURCES[key.kind] if source != SENSORS)
        expand_works = self._fetcher.cache.expand.works
        if expand_works:  # one request, and Sensors have more properties
            self._read((SENSORS, key) for key in open_keys if self._best_source(key)[0] == "ThermalMetrics")
        has_readings = any(self._best_source(key)[1].usable for key in self._all_keys())
        without_readings = [
            key for key in open_keys if SENSORS in SOURCES[key.kind] and not self._best_source(key)[1].usable
        ]
        skip_sensors = has_readings and not expand_works
        if not skip_sensors:
            self._read((SENSORS, key) for key in without_readings)
        for key in open_keys:
            self._select(key, sensors_skipped=skip_sensors and key in without_readings)

    def resources(self) -> Iterator[FetchedResource]:
        """Yields the documents of the selected sources."""
        with_total = {
            key.uri for key, selected in self._selected.items() if key.kind == TOTAL_POWER and selected.source
        }
        for key, selected in self._selected.items():
            source = selected.source
            document, chassis = self._documents.get((source, key.uri)), self._chassis[key.uri]
            if document is None or (source == "EnvironmentMetrics" and self._is_part_of_total(chassis, with_total)):
                continue
            uri = chassis.links[SOURCE_LINKS[source]]
            yield FetchedResource(uri, document, {"chassis_id": chassis.resource_id}, (SOURCES[key.kind][source],))

    def _is_part_of_total(self, chassis: DiscoveredResource, with_total: Collection[str]) -> bool:
        """True if an enclosing chassis also reports a total power reading that already includes this chassis."""
        by_key = {uri_key(uri): resource for uri, resource in self._chassis.items()}
        seen, enclosing = [chassis.uri], by_key.get(uri_key(chassis.contained_by))
        while enclosing is not None:
            if enclosing.uri in seen:
                return False  # a cycle has no outermost chassis: all of them are reported
            seen.append(enclosing.uri)
            enclosing = by_key.get(uri_key(enclosing.contained_by))
        return any(uri in with_total for uri in seen[1:])

    def _read(self, requests: Iterable[tuple[str, SourceKey]]) -> None:
        """Reads sources for kinds of chassis, each resource once."""
        reading_types: dict[str, dict[str, set[str]]] = {}
        """Source → URI of the chassis → ReadingTypes, which only matter for Sensors."""
        for source, key in requests:
            self._requested.add((source, key))
            if (
                source
                and (source, key.uri) not in self._documents
                and SOURCE_LINKS[source] in self._chassis[key.uri].links
            ):
                types = reading_types.setdefault(source, {}).setdefault(key.uri, set())
                types.add(SOURCES[key.kind][source].property_path)
        for source, types_by_uri in reading_types.items():
            chassis = [self._chassis[uri] for uri in types_by_uri]
            if source == SENSORS:
                documents = read_sensors(self._fetcher, chassis, self._sensor_types(types_by_uri.values()))
            else:
                documents = SOURCE_READERS[source](self._fetcher, chassis)
            self._documents |= {(source, uri): document for uri, document in zip(types_by_uri, documents, strict=True)}

    def _sensor_types(self, requested: Iterable[set[str]]) -> set[str]:
        """Returns the ReadingTypes to read: with `$expand` all of the category, so that no Sensor is read twice."""
        if self._fetcher.cache.expand.works:
            return {SOURCES[kind][SENSORS].property_path for kind in self._kinds if SENSORS in SOURCES[kind]}
        return set[str]().union(*requested)

    def _best_source(self, key: SourceKey) -> tuple[str, ReadingCount]:
        """Returns the source with most readings, the first of several equal ones; empty if none could be read."""
        counts = {
            source: _count_readings(table, document)
            for source, table in SOURCES[key.kind].items()
            if (source, key) in self._requested and (document := self._documents.get((source, key.uri))) is not None
        }
        return max(counts.items(), key=lambda item: item[1], default=("", ReadingCount(0, 0)))

    def _select(self, key: SourceKey, *, sensors_skipped: bool) -> None:
        """Selects the best source and stores the selection, unless a source may recover soon."""
        source, count = self._best_source(key)
        errors = {uri: error for name in SOURCES[key.kind] for uri, error in self._errors(key.uri, name).items()}
        preferred = next(iter(SOURCES[key.kind]))
        if any(error.fresh and not isinstance(error, ResourceMissing) for error in errors.values()):
            # No substitute for a source that did not respond, else the same sensors would change their names.
            if self._documents.get((preferred, key.uri)) is not None:
                self._selected[key] = SelectedSource(preferred, 0.0)
            return
        own_errors = self._errors(key.uri, source) if source else {}
        # A resource that fails may have readings: the failure still counts while it is not requested.
        skipped = [
            SkippedResource(uri, str(error), whole=not isinstance(error, ResourceMissing))
            for uri, error in errors.items()
            if uri not in own_errors
        ]
        if sensors_skipped and SENSORS in self._chassis[key.uri].links:
            link = self._chassis[key.uri].links[SENSORS]
            skipped.append(SkippedResource(link, SENSORS_SKIPPED, whole=False))
            self._fetcher.problems.add(link, SENSORS_SKIPPED)
        retry_s = float("inf") if count.usable else MISSING_RETRY_S
        if not all(isinstance(error, ResourceMissing) for error in errors.values()):
            retry_s = INCOMPLETE_RETRY_S
        selected = SelectedSource(source if any(count) else "", self._fetcher.now_s + retry_s, tuple(skipped))
        self._selected[key] = self._fetcher.cache.sources[key] = selected

    def _errors(self, uri: str, source: str) -> dict[str, RedfishError]:
        link = self._chassis[uri].links.get(SOURCE_LINKS[source])
        return self._fetcher.errors_below(link) if link else {}


def _count_readings(table: ResourceTable[RedfishRecord], document: JsonObject) -> ReadingCount:
    records = list(map_array(table, document, Problems()))
    usable = [record for record in records if is_present(record) and _has_reading(table, record)]
    return ReadingCount(len(usable), 0 if usable else len(records))


def _has_reading(table: ResourceTable[RedfishRecord], record: Mapping[str, object]) -> bool:
    return not table.reading_fields or any(record[name] is not None for name in table.reading_fields)
