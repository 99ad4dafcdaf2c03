"""The datasets: which flat rows a record becomes. Pure: no Kafka, no files, no clock.

To add a dataset, add one `_Entry` to `ENTRIES`. Its columns come from the `.avsc` of its topic, so a new field of a
schema needs no edit here. The rules, the same for files and InfluxDB:

* a row's identity is (dataset, tags, time), UTC; time is the record's `observed_at`, or an event's or metric's own;
* every scalar of the item is a column under its own name; structs are flattened (`<struct>_<field>`, as seed 000's
  CSV); arrays make rows, not columns (a host's single cores, a DIMM's allowed speeds and a controller's protocols have
  no dataset: read them from the raw topic);
* columns that say where a row comes from (`FILES_ONLY`) are stored in files and never in InfluxDB lines;
* a domain that did not answer (`stale`) keeps its rows in files, so marked. InfluxDB has no column for the mark, for
  the seeds' fields are exact; there the row is left out: a gap, not old values at a new time.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Final

from schemas import catalog
from sinks.rows import Column, Dataset, Field, Part, Read, Record, Row, Type, scalars

__all__ = ["ALL", "Column", "Dataset", "Row", "of"]

FILES_ONLY: Final = frozenset({"epoch", "sequence", "stale", "partial", "interval_s", "odata_id"})
ORIGIN: Final = frozenset({"host", "category", "observed_at", "epoch", "sequence"})
"""The record a row comes from. Time, tags, epoch and sequence are taken from it by themselves."""
HEADER: Final = ORIGIN | {"monotonic_s", "producer", "previous_epoch", "previous_sequence", "duration_s", "interval_s"}
"""The same of a raw record."""
STATES: Final = ("nostate", "running", "blocked", "paused", "shutdown", "shutoff", "crashed", "pmsuspended")
"""Words for libvirt's virDomainState, by number."""

VM: Final = ("VMID", "name", "uuid", "host")
DEVICE: Final = (*VM, "devtype", "device")
SENSOR: Final = ("host", "chassis_id", "sensor_id", "sensor_name")
PLACE: Final = ("host", "system_id", "chassis_id")
STORED: Final = (*PLACE, "storage_id")


@dataclass(frozen=True)
class _Entry:
    name: str
    alias: str
    path: tuple[str, ...] = ()
    """Arrays from the record to the item; (): the record itself."""
    tags: tuple[str, ...] = ("host",)
    omit: frozenset[str] = frozenset()
    only: tuple[str, ...] = ()
    """Just these fields, in this order; (): all."""
    computed: Mapping[str, tuple[Type, Callable[[Record], object]]] = field(default_factory=dict)
    time: str = "observed_at"
    """The time of a row: the record's, or a field of the item's own."""
    outer: Mapping[str, str] = field(default_factory=dict)
    """Fields of the record under another name here, for the item has one of the same name."""
    zero: bool = False
    """The seeds write unknown integers as 0."""
    joins: Mapping[str, str] = field(default_factory=dict)
    """Where rows come from several arrays of the item: devtype → array."""


def _state(domain: Record) -> str:
    return STATES[domain["state"]] if 0 <= domain["state"] < len(STATES) else "unknown"


def _reading(fan: Record) -> object:
    return fan["speed_percent"] if fan["speed_rpm"] is None else fan["speed_rpm"]


def _reading_units(fan: Record) -> str | None:
    return "RPM" if fan["speed_rpm"] is not None else "Percent" if fan["speed_percent"] is not None else None


def _json(name: str) -> dict[str, tuple[Type, Callable[[Record], object]]]:
    """A map of the item as JSON text; null where it is empty."""

    def text(item: Record) -> str | None:
        return json.dumps(item[name], ensure_ascii=False, separators=(",", ":")) if item[name] else None

    return {name: ("string", text)}


APP: Final = {"source": "app"}
STAMP: Final = frozenset({"timestamp"})


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
    # Exactly seed 003's fields: what only the XML knows of a device is on the raw topic.
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
    # Seed 000: reading_rpm is Redfish's Reading, whatever reading_units says.
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
    _Entry("redfish_interface", "raw-redfish", ("interfaces",), (*PLACE, "interface_id")),
    _Entry("redfish_storage_controller", "raw-redfish", ("storage_controllers",), (*STORED, "controller_id")),
    _Entry("redfish_drive", "raw-redfish", ("drives",), (*STORED, "drive_id")),
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
        omit=STAMP,
        time="timestamp",
        outer=APP,
        computed=_json("metadata"),
    ),
    _Entry(
        "app_metric",
        "raw-app",
        ("metrics",),
        ("host", "app", "name", "metric_id"),
        omit=STAMP,
        time="timestamp",
        outer=APP,
        computed=_json("tags"),
    ),
    _Entry("app_execution", "raw-app", ("executions",), ("host", "app", "producer"), outer=APP),
    _Entry("power", "power", omit=ORIGIN),
    _Entry("vm_power", "vm-power", ("vms",), VM),
    # The readings of a component are in the datasets above; here is when a host's health changed, and to what.
    _Entry("health", "state-health", omit=ORIGIN, computed={"alerts": ("long", lambda health: len(health["alerts"]))}),
    # Two transitions of one alert may share a time, so the revision is part of the identity.
    _Entry("alert", "alerts", (), ("host", "rule", "component", "severity", "id", "revision"), omit=ORIGIN),
    _Entry("target", "state-targets", (), ("source", "host"), omit=ORIGIN),
    _Entry("producer", "heartbeats", (), ("producer",), omit=ORIGIN),
)

RENAMED: Final = {"vmid": "VMID"}
"""Avro name → the seeds' name."""
RENAMED_IN: Final[Mapping[str, Mapping[str, str]]] = {"vm_metrics": {"cpus": "cpu_count", "cputime": "cputime_ns"}}
"""The same, of one dataset: seed 004's older measurement names them otherwise than seed 003."""


@cache
def _device_kinds() -> dict[str, str]:
    """Name of a counter → the devtype that has it."""
    return {
        scalar.name: kind
        for kind, array in (("nic", "nics"), ("disk", "disks"))
        for scalar in scalars("LibvirtSample", ("domains", array))
        if scalar.name != "device"
    }


def _readings(entry: _Entry, schema: str, path: tuple[str, ...]) -> Iterator[tuple[int, Field]]:
    """What one part of a dataset has: each field under its column's name, with the depth it is read at."""
    renamed = {**RENAMED, **RENAMED_IN.get(entry.name, {})}
    for depth in range(len(path) + 1):
        for scalar in scalars(schema, path[:depth]):
            name = renamed.get(scalar.name, scalar.name)
            if path and depth == 0:
                name = entry.outer.get(name, name)
            if depth == 0 and name in ("epoch", "sequence"):
                continue
            inner = depth == len(path) and name not in entry.omit and (not entry.only or name in entry.only)
            # Of the records around the item only its identity and marks are repeated in each row.
            if name in entry.tags or inner or (0 < depth < len(path) and name in FILES_ONLY):
                yield depth, Field(name, scalar.type, scalar.unit, scalar.read)
    for name, (kind, read) in entry.computed.items():
        yield len(path), Field(name, kind, "", read)
    record = {scalar.name for scalar in scalars(schema)}
    yield 0, Field("epoch", "string", "", "epoch")
    yield 0, Field("sequence", "long", "1", "sequence" if "sequence" in record else _none)


def _none(_: Record) -> None:
    return None


def _labels(record: Record) -> object:
    return record.get("labels", {})


def _constant(value: str) -> Read:
    return lambda _: value


def _column(entry: _Entry, each: Field) -> Column:
    counter = each.name.removesuffix("_rate").removesuffix("_angle")
    tag, in_lines = each.name in entry.tags, each.name not in FILES_ONLY
    return Column(
        each.name,
        each.type,
        unit=each.unit,
        tag=tag,
        zero=entry.zero and each.type == "long" and in_lines and not tag,
        in_lines=in_lines,
        kind=_device_kinds().get(counter) if "devtype" in entry.tags else None,
    )


def _dataset(entry: _Entry) -> Dataset:
    schema = catalog.load()[entry.alias].schema
    paths: dict[tuple[str, ...], str | None] = {(*entry.path, array): kind for kind, array in entry.joins.items()}
    paths = paths or {entry.path: None}
    found: list[dict[str, tuple[int, Field]]] = []
    for path, kind in paths.items():
        found.append({each.name: (depth, each) for depth, each in _readings(entry, schema, path)})
        if kind is not None:
            found[-1]["devtype"] = (0, Field("devtype", "string", "", _constant(kind)))
    fields = {name: each for readings in reversed(found) for name, (_, each) in readings.items()}
    order = entry.only or [name for readings in found for name in readings if name not in entry.tags]
    names = list(dict.fromkeys([*entry.tags, *sorted([*order, "epoch", "sequence"], key=FILES_ONLY.__contains__)]))
    absent = (0, Field("", "string", "", _none))
    parts = []
    for path, readings in zip(paths, found, strict=True):
        sources = [(depth, each.read) for depth, each in (readings.get(name, absent) for name in names)]
        time = (0 if entry.time == "observed_at" else len(path), entry.time)
        parts.append(Part(path, (time, *sources, (0, _labels))))
    columns = tuple(_column(entry, fields[name]) for name in names)
    return Dataset(entry.name, entry.alias, columns, tuple(parts), "devtype" if "devtype" in entry.tags else None)


ALL: Final = tuple(_dataset(entry) for entry in ENTRIES)
"""Every dataset."""


@cache
def of(alias: str) -> tuple[Dataset, ...]:
    """The datasets that the records of a topic make."""
    return tuple(each for each in ALL if each.alias == alias)


@cache
def aliases() -> tuple[str, ...]:
    """The topics that make rows: what a sink subscribes to."""
    return tuple(dict.fromkeys(each.alias for each in ALL))


def named(name: str) -> Dataset:
    """The dataset with this name.

    Raises:
        KeyError: its message lists the names there are.
    """
    for each in ALL:
        if each.name == name:
            return each
    raise KeyError(f"no dataset {name!r}; there are: {', '.join(each.name for each in ALL)}")
