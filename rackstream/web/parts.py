"""The tables of a host's parts: which columns, and what each row says. A table without rows is not shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from rackstream.web import cells
from rackstream.web.grid import Column, Grid
from rackstream.web.layout import panel

Rows = list[list[str]]


@dataclass(frozen=True)
class Shape:
    """One table."""

    title: str
    columns: Sequence[Column]
    rows: Callable[[Any], Rows]


class Part:
    """A table of a host that is there while it has rows."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape
        with panel(shape.title) as box:
            self._grid = Grid(shape.title, shape.columns, empty="")
        self._whole = box.whole

    def show(self, host: Any) -> None:
        """Shows what a host has of it."""
        rows = self._shape.rows(host)
        self._whole.set_visibility(bool(rows))
        self._grid.show(rows)


def _own_state(part: Any) -> str:
    """Health, and the state where it is not simply enabled."""
    word = cells.state(part.health)
    return word if part.state in (None, "Enabled") else f"{word} {cells.text(part.state, 'soft')}"


def _temperatures(host: Any) -> Rows:
    return [
        [
            cells.text(temperature.name),
            cells.celsius(temperature.celsius),
            cells.number(temperature.upper_critical, "°C"),
            cells.number(temperature.upper_fatal, "°C"),
            _own_state(temperature),
        ]
        for temperature in host.temperatures
    ]


def _fans(host: Any) -> Rows:
    return [
        [
            cells.text(fan.name),
            cells.number(fan.rpm, "RPM") if fan.percent is None else cells.number(fan.percent, "%"),
            cells.number(fan.lower_critical, "RPM" if fan.percent is None else "%"),
            _own_state(fan),
        ]
        for fan in host.fans
    ]


def _supplies(host: Any) -> Rows:
    return [
        [
            cells.text(supply.name),
            cells.number(supply.input_watts, "W"),
            cells.number(supply.output_watts, "W"),
            cells.number(supply.capacity_watts, "W"),
            cells.number(supply.efficiency_percent, "%"),
            cells.text(supply.model),
            _own_state(supply),
        ]
        for supply in host.supplies
    ]


def _drives(host: Any) -> Rows:
    return [
        [
            cells.text(drive.name),
            cells.text(drive.model),
            cells.size(drive.capacity_bytes, "B"),
            cells.text(" ".join(word for word in (drive.media, drive.protocol) if word)),
            cells.text(drive.serial),
            cells.text("failure predicted", "bad") if drive.failure_predicted else "",
            _own_state(drive),
        ]
        for drive in host.drives
    ]


def _voltages(host: Any) -> Rows:
    return [
        [
            cells.text(voltage.name),
            cells.number(voltage.volts, "V", 2),
            cells.number(voltage.lower_critical, "V", 2),
            cells.number(voltage.upper_critical, "V", 2),
            _own_state(voltage),
        ]
        for voltage in host.voltages
    ]


def _components(host: Any) -> Rows:
    return [
        [
            cells.text(component.name),
            cells.state(component.status),
            cells.facts((name.replace("_", " "), value) for name, value in component.details.items()),
        ]
        for component in host.components
    ]


def _vms(host: Any) -> Rows:
    return [vm(each) for each in host.vms]


def vm(each: Any) -> list[str]:
    """A VM of a list."""
    memory = None if each.memory_kib is None else each.memory_kib * 1024
    return [
        cells.link(each.name, cells.path("hosts", each.host, "vms", each.uuid)),
        cells.state(each.state),
        cells.number(each.cpus),
        cells.number(each.cpu_percent, "%"),
        cells.size(memory, "B"),
        cells.size(each.net_bytes_s),
        cells.size(each.disk_bytes_s),
    ]


def _own(host: Any) -> Rows:
    if host.own is None:
        return []
    own = host.own.figures
    used, total = own.get("memory_used"), own.get("memory_total")
    share = used / total if used is not None and total else None
    load = [own.get(f"load_{minutes}") for minutes in (1, 5, 15)]
    return [
        ["CPU", cells.number(own.get("cpu_percent"), "%")],
        ["Load, 1, 5 and 15 min", " ".join(cells.number(each, "", 2) for each in load)],
        ["Memory", f"{cells.size(used, 'B')} of {cells.size(total, 'B')}{cells.bar(share)}"],
        ["Swap", f"{cells.size(own.get('swap_used'), 'B')} of {cells.size(own.get('swap_total'), 'B')}"],
        ["Processes", cells.number(own.get("processes"))],
    ]


def _filesystems(host: Any) -> Rows:
    found = host.own.filesystems if host.own is not None else []
    return [
        [
            cells.text(each["mountpoint"]),
            cells.size(each["used"], "B"),
            cells.size(each["total"], "B"),
            cells.bar(_share(each["used"], each["total"])),
        ]
        for each in found
    ]


def _share(part: float | None, whole: float | None) -> float | None:
    return part / whole if part is not None and whole else None


def _rates(kind: str, *names: str) -> Callable[[Any], Rows]:
    def rows(host: Any) -> Rows:
        found = getattr(host.own, kind) if host.own is not None else []
        return [[cells.text(each["device"]), *(cells.size(each.get(name)) for name in names)] for each in found]

    return rows


NUMBER: Final = "number"
FIRST: Final = (
    Shape(
        "VMs",
        (
            Column("VM"),
            Column("State"),
            Column("CPUs", NUMBER),
            Column("CPU", NUMBER),
            Column("Memory", NUMBER),
            Column("Network", NUMBER),
            Column("Disks", NUMBER),
        ),
        _vms,
    ),
)
"""Shown above the charts."""
REST: Final = (
    Shape(
        "Temperatures",
        (
            Column("Sensor"),
            Column("Now", NUMBER),
            Column("Critical", NUMBER),
            Column("Fatal", NUMBER),
            Column("Health"),
        ),
        _temperatures,
    ),
    Shape("Fans", (Column("Fan"), Column("Speed", NUMBER), Column("Lowest", NUMBER), Column("Health")), _fans),
    Shape(
        "Power supplies",
        (
            Column("Supply"),
            Column("In", NUMBER),
            Column("Out", NUMBER),
            Column("Capacity", NUMBER),
            Column("Efficiency", NUMBER),
            Column("Model"),
            Column("Health"),
        ),
        _supplies,
    ),
    Shape(
        "Drives",
        (
            Column("Drive"),
            Column("Model"),
            Column("Capacity", NUMBER),
            Column("Kind"),
            Column("Serial"),
            Column(""),
            Column("Health"),
        ),
        _drives,
    ),
    Shape("Health by part", (Column("Part"), Column("Health"), Column("Of what", "wide facts")), _components),
    Shape("Operating system", (Column("What"), Column("Now")), _own),
    Shape(
        "Filesystems", (Column("Mounted at"), Column("Used", NUMBER), Column("Of", NUMBER), Column("")), _filesystems
    ),
    Shape(
        "Interfaces",
        (Column("Interface"), Column("Received", NUMBER), Column("Sent", NUMBER)),
        _rates("interfaces", "rxbytes_rate", "txbytes_rate"),
    ),
    Shape(
        "Disks",
        (Column("Disk"), Column("Read", NUMBER), Column("Written", NUMBER)),
        _rates("disks", "read_bytes_rate", "write_bytes_rate"),
    ),
    Shape(
        "Voltages",
        (Column("Rail"), Column("Now", NUMBER), Column("Lowest", NUMBER), Column("Highest", NUMBER), Column("Health")),
        _voltages,
    ),
)
