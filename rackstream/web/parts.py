"""Tables of a host's parts, such as temperatures, fans and drives. Tables without rows are hidden."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from rackstream.view.answers import VmRow
from rackstream.view.detail_answers import (
    DriveDetail,
    FanDetail,
    HostDetail,
    PowerSupplyDetail,
    TemperatureDetail,
    VoltageDetail,
)
from rackstream.web import cells
from rackstream.web.grid import Grid, GridColumn
from rackstream.web.layout import panel

Rows = list[list[str]]
NUMBER: Final = "number"


@dataclass(frozen=True)
class PartTable:
    """Definition of the table of one kind of part."""

    title: str
    columns: Sequence[GridColumn]
    rows: Callable[[HostDetail], Rows]


class PartPanel:
    """Shows the table of one kind of part while the host has any."""

    def __init__(self, table: PartTable) -> None:
        self._table = table
        with panel(table.title) as box:
            self._grid = Grid(table.title, table.columns, empty="")
        self._box = box.box

    def show(self, host: HostDetail) -> None:
        """Updates the rows."""
        rows = self._table.rows(host)
        self._box.set_visibility(bool(rows))
        self._grid.show(rows)


def _health(part: TemperatureDetail | FanDetail | PowerSupplyDetail | VoltageDetail | DriveDetail) -> str:
    """Health of a part, with its state unless that is Enabled."""
    health = cells.state(part.health)
    return health if part.state in (None, "Enabled") else f"{health} {cells.text(part.state, 'soft')}"


def _temperatures(host: HostDetail) -> Rows:
    return [
        [
            cells.text(temperature.name),
            cells.celsius(temperature.celsius),
            cells.number(temperature.upper_critical, "°C"),
            cells.number(temperature.upper_fatal, "°C"),
            _health(temperature),
        ]
        for temperature in host.temperatures
    ]


def _fans(host: HostDetail) -> Rows:
    return [
        [
            cells.text(fan.name),
            cells.number(fan.rpm, "RPM") if fan.percent is None else cells.number(fan.percent, "%"),
            cells.number(fan.lower_critical, "RPM" if fan.percent is None else "%"),
            _health(fan),
        ]
        for fan in host.fans
    ]


def _supplies(host: HostDetail) -> Rows:
    return [
        [
            cells.text(supply.name),
            cells.number(supply.input_watts, "W"),
            cells.number(supply.output_watts, "W"),
            cells.number(supply.capacity_watts, "W"),
            cells.number(supply.efficiency_percent, "%"),
            cells.text(supply.model),
            _health(supply),
        ]
        for supply in host.supplies
    ]


def _drives(host: HostDetail) -> Rows:
    return [
        [
            cells.text(drive.name),
            cells.text(drive.model),
            cells.size(drive.capacity_bytes, "B"),
            cells.text(" ".join(word for word in (drive.media, drive.protocol) if word)),
            cells.text(drive.serial),
            cells.text("failure predicted", "bad") if drive.failure_predicted else "",
            _health(drive),
        ]
        for drive in host.drives
    ]


def _voltages(host: HostDetail) -> Rows:
    return [
        [
            cells.text(voltage.name),
            cells.number(voltage.volts, "V", 2),
            cells.number(voltage.lower_critical, "V", 2),
            cells.number(voltage.upper_critical, "V", 2),
            _health(voltage),
        ]
        for voltage in host.voltages
    ]


def _components(host: HostDetail) -> Rows:
    return [
        [
            cells.text(component.name),
            cells.state(component.status),
            cells.facts((name.replace("_", " "), value) for name, value in component.details.items()),
        ]
        for component in host.components
    ]


def _vms(host: HostDetail) -> Rows:
    return [_vm_row(vm) for vm in host.vms]


def _vm_row(vm: VmRow) -> list[str]:
    return [
        cells.link(vm.name, cells.path("hosts", vm.host, "vms", vm.uuid)),
        cells.state(vm.state),
        cells.number(vm.cpus),
        cells.number(vm.cpu_percent, "%"),
        cells.size(None if vm.memory_kib is None else vm.memory_kib * 1024, "B"),
        cells.size(vm.net_bytes_s),
        cells.size(vm.disk_bytes_s),
    ]


def _operating_system(host: HostDetail) -> Rows:
    if host.own is None:
        return []
    figures = host.own.figures
    used, total = figures.get("memory_used"), figures.get("memory_total")
    loads = (figures.get(f"load_{minutes}") for minutes in (1, 5, 15))
    return [
        ["CPU", cells.number(figures.get("cpu_percent"), "%")],
        ["Load, 1, 5 and 15 min", " ".join(cells.number(load, "", 2) for load in loads)],
        ["Memory", f"{cells.size(used, 'B')} of {cells.size(total, 'B')}{cells.bar(_share(used, total))}"],
        ["Swap", f"{cells.size(figures.get('swap_used'), 'B')} of {cells.size(figures.get('swap_total'), 'B')}"],
        ["Processes", cells.number(figures.get("processes"))],
    ]


def _filesystems(host: HostDetail) -> Rows:
    return [
        [
            cells.text(filesystem.mountpoint),
            cells.size(filesystem.used, "B"),
            cells.size(filesystem.total, "B"),
            cells.bar(_share(filesystem.used, filesystem.total)),
        ]
        for filesystem in (host.own.filesystems if host.own else [])
    ]


def _share(used: float | None, total: float | None) -> float | None:
    return used / total if used is not None and total else None


def _interfaces(host: HostDetail) -> Rows:
    return [
        [cells.text(interface.device), cells.size(interface.rxbytes_rate), cells.size(interface.txbytes_rate)]
        for interface in (host.own.interfaces if host.own else [])
    ]


def _disks(host: HostDetail) -> Rows:
    return [
        [cells.text(disk.device), cells.size(disk.read_bytes_rate), cells.size(disk.write_bytes_rate)]
        for disk in (host.own.disks if host.own else [])
    ]


PARTS_ABOVE_CHARTS: Final = (
    PartTable(
        "VMs",
        (
            GridColumn("VM"),
            GridColumn("State"),
            GridColumn("CPUs", NUMBER),
            GridColumn("CPU", NUMBER),
            GridColumn("Memory", NUMBER),
            GridColumn("Network", NUMBER),
            GridColumn("Disks", NUMBER),
        ),
        _vms,
    ),
)
PARTS: Final = (
    PartTable(
        "Temperatures",
        (
            GridColumn("Sensor"),
            GridColumn("Reading", NUMBER),
            GridColumn("Critical", NUMBER),
            GridColumn("Fatal", NUMBER),
            GridColumn("Health"),
        ),
        _temperatures,
    ),
    PartTable(
        "Fans",
        (GridColumn("Fan"), GridColumn("Speed", NUMBER), GridColumn("Lower critical", NUMBER), GridColumn("Health")),
        _fans,
    ),
    PartTable(
        "Power supplies",
        (
            GridColumn("Supply"),
            GridColumn("Input", NUMBER),
            GridColumn("Output", NUMBER),
            GridColumn("Capacity", NUMBER),
            GridColumn("Efficiency", NUMBER),
            GridColumn("Model"),
            GridColumn("Health"),
        ),
        _supplies,
    ),
    PartTable(
        "Drives",
        (
            GridColumn("Drive"),
            GridColumn("Model"),
            GridColumn("Capacity", NUMBER),
            GridColumn("Type"),
            GridColumn("Serial"),
            GridColumn(""),
            GridColumn("Health"),
        ),
        _drives,
    ),
    PartTable(
        "Health by component",
        (GridColumn("Component"), GridColumn("Health"), GridColumn("Details", "wide facts")),
        _components,
    ),
    PartTable("Operating system", (GridColumn("Resource"), GridColumn("Value")), _operating_system),
    PartTable(
        "Filesystems",
        (GridColumn("Mount point"), GridColumn("Used", NUMBER), GridColumn("Size", NUMBER), GridColumn("")),
        _filesystems,
    ),
    PartTable(
        "Interfaces",
        (GridColumn("Interface"), GridColumn("Received", NUMBER), GridColumn("Sent", NUMBER)),
        _interfaces,
    ),
    PartTable("Disks", (GridColumn("Disk"), GridColumn("Read", NUMBER), GridColumn("Written", NUMBER)), _disks),
    PartTable(
        "Voltages",
        (
            GridColumn("Rail"),
            GridColumn("Reading", NUMBER),
            GridColumn("Lower critical", NUMBER),
            GridColumn("Upper critical", NUMBER),
            GridColumn("Health"),
        ),
        _voltages,
    ),
)
