"""VM view: CPU, memory, NICs and disks with their rates, rates and angles of all counters, history."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from nicegui import ui

from rackstream.view.detail_answers import DeviceDetail
from rackstream.web import cells
from rackstream.web.alerts import host_link
from rackstream.web.charts import VM_CHARTS, HistoryCharts
from rackstream.web.grid import Grid, GridColumn
from rackstream.web.layout import PageFrame, main, panel, tile

NUMBER: Final = "number"
NICS: Final = (
    GridColumn("NIC"),
    GridColumn("Received", NUMBER),
    GridColumn("Sent", NUMBER),
    GridColumn("Packets in", NUMBER),
    GridColumn("Packets out", NUMBER),
    GridColumn("Errors", NUMBER),
    GridColumn("Drops", NUMBER),
    GridColumn("Total received", NUMBER),
    GridColumn("Total sent", NUMBER),
    GridColumn("Details"),
)
DISKS: Final = (
    GridColumn("Disk"),
    GridColumn("Read", NUMBER),
    GridColumn("Written", NUMBER),
    GridColumn("Reads", NUMBER),
    GridColumn("Writes", NUMBER),
    GridColumn("Errors", NUMBER),
    GridColumn("Total read", NUMBER),
    GridColumn("Total written", NUMBER),
    GridColumn("Details"),
)
RATES: Final = (GridColumn("Counter"), GridColumn("Rate", NUMBER), GridColumn("Angle", NUMBER))
MEMORY: Final = (GridColumn("Counter"), GridColumn("Value", NUMBER))
NOT_RUNNING: Final = "This VM is not running on this host. Its stored history is below."
UNITS: Final = (("bytes", "B/s"), ("memory", "KiB/s"), ("swap", "KiB/s"), ("time", "ns/s"))
"""Part of a counter's name → unit of its rate; others are counted per second."""


def _rate(value: float | None, unit: str = "/s") -> str:
    return cells.number(value, unit, 0 if value is None or abs(value) >= 10 else 1)


def _sum(counters: Mapping[str, int | None], *names: str) -> int | None:
    values = [value for name in names if (value := counters.get(name)) is not None]
    return sum(values) if values else None


def _error_count(count: int | None) -> str:
    return cells.text(f"{count:,}", "warn") if count else cells.number(count)


def _device_details(device: DeviceDetail) -> str:
    return cells.text(" ".join(value for value in device.about.values() if value))


def _nic_row(nic: DeviceDetail) -> list[str]:
    rates, counters = nic.rates, nic.counters
    return [
        cells.text(nic.name),
        cells.size(rates.get("rxbytes")),
        cells.size(rates.get("txbytes")),
        _rate(rates.get("rxpackets")),
        _rate(rates.get("txpackets")),
        _error_count(_sum(counters, "rxerrors", "txerrors")),
        _error_count(_sum(counters, "rxdrops", "txdrops")),
        cells.size(counters.get("rxbytes"), "B"),
        cells.size(counters.get("txbytes"), "B"),
        _device_details(nic),
    ]


def _disk_row(disk: DeviceDetail) -> list[str]:
    rates, counters = disk.rates, disk.counters
    return [
        cells.text(disk.name),
        cells.size(rates.get("rd_bytes")),
        cells.size(rates.get("wr_bytes")),
        _rate(rates.get("rd_req")),
        _rate(rates.get("wr_reqs")),
        _error_count(counters.get("errors")),
        cells.size(counters.get("rd_bytes"), "B"),
        cells.size(counters.get("wr_bytes"), "B"),
        _device_details(disk),
    ]


def _rate_row(counter: str, rate: float | None, angle: float | None) -> list[str]:
    unit = next((unit for part, unit in UNITS if part in counter), "/s")
    return [cells.mono(counter), _rate(rate, unit), cells.number(angle, "°", 1)]


def _memory_row(name: str, value: int | None) -> list[str]:
    words = name.replace("_", " ")
    if "fault" in name:
        return [words, cells.number(value)]
    return [words, _kib(value)]


def _kib(value: int | None) -> str:
    return cells.size(None if value is None else value * 1024, "B")


async def build(frame: PageFrame, host: str, uuid: str) -> None:
    """Builds the view of one VM."""
    with main():
        with ui.element("div").classes("title"):
            title = ui.html(cells.text(uuid), tag="h1")
            state = ui.html("")
        facts = ui.html("").classes("facts")
        not_running = ui.html(NOT_RUNNING).classes("notice")
        with ui.element("div").style("display: contents") as content:
            with ui.element("div").classes("tiles"):
                cpu, memory, network, disks = tile("CPU"), tile("Memory in use"), tile("Network"), tile("Disks")
                watts = tile("Power (estimate)")
            with panel("NICs"):
                nic_grid = Grid("NICs", NICS, empty="No NICs.")
            with panel("Disks"):
                disk_grid = Grid("Disks", DISKS, empty="No disks.")
        charts = HistoryCharts(frame, VM_CHARTS, {"host": host, "uuid": uuid})
        with ui.element("div").classes("panels") as more:
            with panel("Rates and angles"):
                rate_grid = Grid("Rates and angles of its counters", RATES, empty="Available after the second poll.")
            with panel("Memory"):
                memory_grid = Grid("Memory", MEMORY, empty="Not reported by the hypervisor.")

    async def refresh() -> None:
        vm = await frame.query(frame.view.vm, host, uuid)
        content.set_visibility(vm is not None)
        more.set_visibility(vm is not None)
        not_running.set_visibility(vm is None)
        if vm is None:
            return
        row = vm.row
        title.content = cells.text(row.name)
        stale = cells.text("does not answer its hypervisor, values are old", "state warn") if vm.stale else ""
        state.content = cells.state(row.state) + stale
        facts.content = f"<span>on {host_link(host)}</span>" + cells.facts(
            [("UUID", uuid), ("VMID", vm.vmid), ("CPUs", row.cpus), *vm.cloud.items()]
        )
        cpu.content = cells.number(row.cpu_percent, "%") + " <small>of a CPU</small>"
        memory.content = _kib(row.memory_kib)
        network.content, disks.content = cells.size(row.net_bytes_s), cells.size(row.disk_bytes_s)
        watts.content = cells.number(vm.watts, "W", 1)
        nic_grid.show([_nic_row(nic) for nic in vm.nics])
        disk_grid.show([_disk_row(disk) for disk in vm.disks])
        rate_grid.show([_rate_row(name, rate, vm.angles.get(name)) for name, rate in sorted(vm.rates.items())])
        memory_grid.show([_memory_row(name, value) for name, value in vm.memory.items()])

    await frame.refresh_every(1.0, refresh)
    ui.timer(0.1, charts.refresh, once=True)
    ui.timer(10.0, charts.refresh, immediate=False)
