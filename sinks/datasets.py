"""Datasets: the flat rows that each record becomes. Pure: no Kafka, no files, no clock.

To add a dataset, add one `_Entry` to `ENTRIES`. Its columns come from the `.avsc` of its topic, so a new field of a
schema needs no edit here. The rules, the same for files and InfluxDB:

* a row's identity is (dataset, tags, time), UTC; time is the record's `observed_at`, or an event's or metric's own;
* every scalar of the item is a column under its own name; structs are flattened (`<struct>_<field>`, as in the CSV
  files of the scripting API); arrays make rows, not columns (a host's single cores, a DIMM's allowed speeds and a
  controller's protocols have no dataset: read them from the raw topic);
* columns about the origin of a row (`FILES_ONLY`) are stored in files, never in InfluxDB;
* a domain that did not answer (`stale`) keeps its rows in files, with this mark. InfluxDB has no column for it, as its
  fields are fixed by the scripting API; there the row is left out: a gap, not old values at a new time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from schemas import catalog
from schemas.records import Domain, RedfishFan
from sinks.rows import ColumnType, Dataset, DatasetColumn, Row, RowSource, SchemaField, ValueReader, scalar_fields
from sinks.sink import AnyRecord

__all__ = ["ALL", "Dataset", "DatasetColumn", "Row", "for_topic"]

FILES_ONLY: Final = frozenset({"epoch", "sequence", "stale", "partial", "interval_s", "odata_id"})
ORIGIN: Final = frozenset({"host", "category", "observed_at", "epoch", "sequence"})
"""Header fields of the record. Time, tags, epoch and sequence come from them in any case."""
HEADER: Final = ORIGIN | {"monotonic_s", "producer", "previous_epoch", "previous_sequence", "duration_s", "interval_s"}
"""Header fields of a raw record."""
STATES: Final = ("nostate", "running", "blocked", "paused", "shutdown", "shutoff", "crashed", "pmsuspended")
"""Names of libvirt's virDomainState, by number."""

VM: Final = ("VMID", "name", "uuid", "host")
DEVICE: Final = (*VM, "devtype", "device")
SENSOR: Final = ("host", "chassis_id", "sensor_id", "sensor_name")
LOCATION: Final = ("host", "system_id", "chassis_id")
STORAGE_LOCATION: Final = (*LOCATION, "storage_id")


@dataclass(frozen=True)
class _Entry:
    name: str
    alias: str
    path: tuple[str, ...] = ()
    """Arrays from the record to the item; (): the record itself."""
    tags: tuple[str, ...] = ("host",)
    omit: frozenset[str] = frozenset()
    only: tuple[str, ...] = ()
    """Only these fields, in this order; (): all."""
    computed: Mapping[str, tuple[ColumnType, Callable[..., object]]] = field(default_factory=dict)
    time: str = "observed_at"
    """Field with the time of a row: `observed_at` of the record, or a field of the item."""
    outer: Mapping[str, str] = field(default_factory=dict)
    """Renamed fields of the record, as the item has a field of the same name."""
    zero: bool = False
    """True if unknown integers are 0 in line protocol, as in the scripting API."""
    joins: Mapping[str, str] = field(default_factory=dict)
    """For rows from several arrays of the item: devtype → array."""


def _state(domain: Domain) -> str:
    return STATES[domain["state"]] if 0 <= domain["state"] < len(STATES) else "unknown"


def _reading(fan: RedfishFan) -> float | None:
    return fan["speed_percent"] if fan["speed_rpm"] is None else fan["speed_rpm"]


def _reading_units(fan: RedfishFan) -> str | None:
    return "RPM" if fan["speed_rpm"] is not None else "Percent" if fan["speed_percent"] is not None else None


def _json(name: str) -> dict[str, tuple[ColumnType, Callable[..., object]]]:
    """Returns a column with a map of the item as JSON text; null if the map is empty."""

    def text(item: AnyRecord) -> str | None:
        return json.dumps(item[name], ensure_ascii=False, separators=(",", ":")) if item[name] else None

    return {name: ("string", text)}


APP: Final = {"source": "app"}
TIMESTAMP: Final = frozenset({"timestamp"})


ENTRIES: Final = (
    _Entry(
        "vm_metrics",
        "raw-libvirt",
        ("domains",),
        VM,
        zero=True,
        computed={"state": ("string", _state)},
        only=("state", "cpu_count", "memory_max_kb", "memory_used_kb", "cputime_ns", "stale"),
    ),
    # Exactly the fields of the scripting API: device details from the domain's XML are on the raw topic only.
    _Entry(
        "vm_devices",
        "raw-libvirt",
        ("domains",),
        DEVICE,
        zero=True,
        joins={"nic": "nics", "disk": "disks"},
        omit=frozenset({"mac", "alias", "source", "bus"}),
    ),
    _Entry("vm_totals", "vm-totals", ("vms",), VM, zero=True),
    _Entry("host_totals", "vm-totals", omit=ORIGIN),
    _Entry("vm_features", "vm-features", ("vms",), VM),
    _Entry("vm_device_rates", "device-rates", ("devices",), DEVICE),
    _Entry("redfish_system", "raw-redfish", ("systems",), ("host", "system_id")),
    _Entry("redfish_temperature", "raw-redfish", ("temperatures",), SENSOR),
    # As in the scripting API, reading_rpm is Redfish's Reading, whatever its reading_units.
    _Entry(
        "redfish_fan",
        "raw-redfish",
        ("fans",),
        SENSOR,
        omit=frozenset({"speed_rpm", "speed_percent"}),
        computed={"reading_rpm": ("double", _reading), "reading_units": ("string", _reading_units)},
    ),
    _Entry("redfish_power_control", "raw-redfish", ("power_controls",), SENSOR),
    _Entry("redfish_voltage", "raw-redfish", ("voltages",), SENSOR),
    _Entry("redfish_power_supply", "raw-redfish", ("power_supplies",), SENSOR),
    _Entry("redfish_processor", "raw-redfish", ("processors",), ("host", "system_id", "processor_id")),
    _Entry("redfish_memory", "raw-redfish", ("dimms",), ("host", "system_id", "memory_id")),
    _Entry("redfish_interface", "raw-redfish", ("interfaces",), (*LOCATION, "interface_id")),
    _Entry("redfish_storage_controller", "raw-redfish", ("storage_controllers",), (*STORAGE_LOCATION, "controller_id")),
    _Entry("redfish_drive", "raw-redfish", ("drives",), (*STORAGE_LOCATION, "drive_id")),
    _Entry("host", "raw-host", omit=HEADER),
    _Entry("host_disk", "raw-host", ("disks",), ("host", "device")),
    _Entry("host_filesystem", "raw-host", ("filesystems",), ("host", "mountpoint")),
    _Entry("host_interface", "raw-host", ("interfaces",), ("host", "device")),
    _Entry("host_temperature", "raw-host", ("temperatures",), ("host", "sensor")),
    _Entry("host_fan", "raw-host", ("fans",), ("host", "sensor")),
    _Entry("host_rates", "host-rates", omit=ORIGIN),
    _Entry("host_core_rates", "host-rates", ("cores",), ("host", "core")),
    _Entry("host_disk_rates", "host-rates", ("disks",), ("host", "device")),
    _Entry("host_interface_rates", "host-rates", ("interfaces",), ("host", "device")),
    # Two events, or two metrics of one name, may share a time: their ids are part of the identity.
    _Entry(
        "app_event",
        "raw-app",
        ("events",),
        ("host", "app", "source", "event_type", "event_id"),
        omit=TIMESTAMP,
        time="timestamp",
        outer=APP,
        computed=_json("metadata"),
    ),
    _Entry(
        "app_metric",
        "raw-app",
        ("metrics",),
        ("host", "app", "name", "metric_id"),
        omit=TIMESTAMP,
        time="timestamp",
        outer=APP,
        computed=_json("tags"),
    ),
    _Entry("app_execution", "raw-app", ("executions",), ("host", "app", "producer"), outer=APP),
    _Entry("power", "power", omit=ORIGIN),
    _Entry("vm_power", "vm-power", ("vms",), VM),
    # The readings of components are in the datasets above; these rows are changes of a host's health.
    _Entry("health", "state-health", omit=ORIGIN, computed={"alerts": ("long", lambda health: len(health["alerts"]))}),
    # Two transitions of one alert may share a time, so the revision is part of the identity.
    _Entry("alert", "alerts", (), ("host", "rule", "component", "severity", "id", "revision"), omit=ORIGIN),
    _Entry("target", "state-targets", (), ("source", "host"), omit=ORIGIN),
    _Entry("producer", "heartbeats", (), ("producer",), omit=ORIGIN),
)

RENAMED: Final = {"vmid": "VMID"}
"""Field name → column name of the scripting API."""
RENAMED_IN: Final[Mapping[str, Mapping[str, str]]] = {"vm_metrics": {"cpus": "cpu_count", "cputime": "cputime_ns"}}
"""The same for single datasets: the scripting API names some fields differently in different measurements."""


@cache
def _device_kinds() -> dict[str, str]:
    """Returns name of a counter → devtype that has it."""
    return {
        scalar.name: kind
        for kind, array in (("nic", "nics"), ("disk", "disks"))
        for scalar in scalar_fields("LibvirtSample", ("domains", array))
        if scalar.name != "device"
    }


def _readings(entry: _Entry, schema: str, path: tuple[str, ...]) -> Iterator[tuple[int, SchemaField]]:
    """Yields the fields of one part of a dataset under their column names, each with the depth at which it is read."""
    renamed = {**RENAMED, **RENAMED_IN.get(entry.name, {})}
    for depth in range(len(path) + 1):
        for scalar in scalar_fields(schema, path[:depth]):
            name = renamed.get(scalar.name, scalar.name)
            if path and depth == 0:
                name = entry.outer.get(name, name)
            if depth == 0 and name in ("epoch", "sequence"):
                continue
            is_item_field = depth == len(path) and name not in entry.omit and (not entry.only or name in entry.only)
            # Of the records around an item, each row repeats only identity and marks.
            if name in entry.tags or is_item_field or (0 < depth < len(path) and name in FILES_ONLY):
                yield depth, SchemaField(name, scalar.type, scalar.unit, scalar.read)
    for name, (kind, read) in entry.computed.items():
        yield len(path), SchemaField(name, kind, "", read)
    record = {scalar.name for scalar in scalar_fields(schema)}
    yield 0, SchemaField("epoch", "string", "", "epoch")
    yield 0, SchemaField("sequence", "long", "1", "sequence" if "sequence" in record else _none)


def _none(_: AnyRecord) -> None:
    return None


def _labels(record: AnyRecord) -> object:
    return record.get("labels", {})


def _constant(value: str) -> ValueReader:
    return lambda _: value


def _column(entry: _Entry, scalar: SchemaField) -> DatasetColumn:
    counter = scalar.name.removesuffix("_rate").removesuffix("_angle")
    is_tag, in_lines = scalar.name in entry.tags, scalar.name not in FILES_ONLY
    return DatasetColumn(
        scalar.name,
        scalar.type,
        unit=scalar.unit,
        is_tag=is_tag,
        zero_if_unknown=entry.zero and scalar.type == "long" and in_lines and not is_tag,
        in_lines=in_lines,
        row_kind=_device_kinds().get(counter) if "devtype" in entry.tags else None,
    )


def _dataset(entry: _Entry) -> Dataset:
    schema = catalog.load()[entry.alias].schema
    paths: dict[tuple[str, ...], str | None] = {(*entry.path, array): kind for kind, array in entry.joins.items()}
    paths = paths or {entry.path: None}
    readings_of_parts: list[dict[str, tuple[int, SchemaField]]] = []
    for path, kind in paths.items():
        readings_of_parts.append({column.name: (depth, column) for depth, column in _readings(entry, schema, path)})
        if kind is not None:
            readings_of_parts[-1]["devtype"] = (0, SchemaField("devtype", "string", "", _constant(kind)))
    fields = {name: column for readings in reversed(readings_of_parts) for name, (_, column) in readings.items()}
    order = entry.only or [name for readings in readings_of_parts for name in readings if name not in entry.tags]
    names = list(dict.fromkeys([*entry.tags, *sorted([*order, "epoch", "sequence"], key=FILES_ONLY.__contains__)]))
    absent = (0, SchemaField("", "string", "", _none))
    parts = []
    for path, readings in zip(paths, readings_of_parts, strict=True):
        sources = [(depth, column.read) for depth, column in (readings.get(name, absent) for name in names)]
        time = (0 if entry.time == "observed_at" else len(path), entry.time)
        parts.append(RowSource(path, (time, *sources, (0, _labels))))
    columns = tuple(_column(entry, fields[name]) for name in names)
    return Dataset(entry.name, entry.alias, columns, tuple(parts), "devtype" if "devtype" in entry.tags else None)


ALL: Final = tuple(_dataset(entry) for entry in ENTRIES)
"""All datasets."""


@cache
def for_topic(alias: str) -> tuple[Dataset, ...]:
    """Returns the datasets made from the records of a topic, given by its alias."""
    return tuple(dataset for dataset in ALL if dataset.alias == alias)


@cache
def aliases() -> tuple[str, ...]:
    """Returns the aliases of the topics with datasets, to which a sink of rows subscribes."""
    return tuple(dict.fromkeys(dataset.alias for dataset in ALL))


def find(name: str) -> Dataset:
    """Returns the dataset with this name.

    Raises:
        KeyError: There is none; the message lists the existing names.
    """
    for dataset in ALL:
        if dataset.name == name:
            return dataset
    raise KeyError(f"no dataset {name!r}; there are: {', '.join(dataset.name for dataset in ALL)}")
