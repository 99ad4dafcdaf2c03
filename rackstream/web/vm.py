"""One VM: its CPU and memory, its NICs and disks with their rates, rates and angles of its counters, history."""

from __future__ import annotations

from typing import Any, Final

from nicegui import ui

from rackstream.web import cells
from rackstream.web.alerts import host_link
from rackstream.web.charts import VM, Charts
from rackstream.web.grid import Column, Grid
from rackstream.web.layout import Frame, main, panel, tile

NUMBER: Final = "number"
NICS: Final = (
    Column("NIC"),
    Column("Received", NUMBER),
    Column("Sent", NUMBER),
    Column("Packets in", NUMBER),
    Column("Packets out", NUMBER),
    Column("Errors", NUMBER),
    Column("Drops", NUMBER),
    Column("Received in all", NUMBER),
    Column("Sent in all", NUMBER),
    Column("About"),
)
DISKS: Final = (
    Column("Disk"),
    Column("Read", NUMBER),
    Column("Written", NUMBER),
    Column("Reads", NUMBER),
    Column("Writes", NUMBER),
    Column("Errors", NUMBER),
    Column("Read in all", NUMBER),
    Column("Written in all", NUMBER),
    Column("About"),
)
RATES: Final = (Column("Counter"), Column("Rate", NUMBER), Column("Angle", NUMBER))
MEMORY: Final = (Column("What"), Column("Now", NUMBER))
GONE: Final = "This VM does not run on this host now. What is stored of it is below."
UNITS: Final = (("bytes", "B/s"), ("memory", "KiB/s"), ("swap", "KiB/s"), ("time", "ns/s"))
"""What is in a counter's name → the unit of its rate; any other is counted per second."""


def _rate(value: float | None, unit: str = "/s") -> str:
    return cells.number(value, unit, 0 if value is None or abs(value) >= 10 else 1)


def _sum(figures: dict[str, Any], *names: str) -> float | None:
    found = [figures[name] for name in names if figures.get(name) is not None]
    return sum(found) if found else None


def _about(device: Any) -> str:
    return cells.text(" ".join(value for value in device.about.values() if value))


def _nic(nic: Any) -> list[str]:
    rates, counters = nic.rates, nic.counters
    errors, drops = _sum(counters, "rxerrors", "txerrors"), _sum(counters, "rxdrops", "txdrops")
    return [
        cells.text(nic.name),
        cells.size(rates.get("rxbytes")),
        cells.size(rates.get("txbytes")),
        _rate(rates.get("rxpackets")),
        _rate(rates.get("txpackets")),
        cells.number(errors) if not errors else cells.text(f"{errors:,}", "warn"),
        cells.number(drops) if not drops else cells.text(f"{drops:,}", "warn"),
        cells.size(counters.get("rxbytes"), "B"),
        cells.size(counters.get("txbytes"), "B"),
        _about(nic),
    ]


def _disk(disk: Any) -> list[str]:
    rates, counters = disk.rates, disk.counters
    errors = counters.get("errors")
    return [
        cells.text(disk.name),
        cells.size(rates.get("rd_bytes")),
        cells.size(rates.get("wr_bytes")),
        _rate(rates.get("rd_req")),
        _rate(rates.get("wr_reqs")),
        cells.number(errors) if not errors else cells.text(f"{errors:,}", "warn"),
        cells.size(counters.get("rd_bytes"), "B"),
        cells.size(counters.get("wr_bytes"), "B"),
        _about(disk),
    ]


def _unit(counter: str) -> str:
    return next((unit for part, unit in UNITS if part in counter), "/s")


def _counter(name: str, rate: float | None, angle: float | None) -> list[str]:
    return [f'<span class="mono">{cells.text(name)}</span>', _rate(rate, _unit(name)), cells.number(angle, "°", 1)]


def _memory(name: str, value: int | None) -> list[str]:
    words = name.replace("_", " ")
    if "fault" in name:
        return [words, cells.number(value)]
    return [words, cells.size(None if value is None else value * 1024, "B")]


async def build(frame: Frame, host: str, uuid: str) -> None:
    """Builds the view of one VM."""
    with main():
        with ui.element("div").classes("title"):
            title = ui.html(cells.text(uuid), tag="h1")
            state = ui.html("")
        facts = ui.html("").classes("facts")
        gone = ui.html(GONE).classes("notice")
        with ui.element("div").style("display: contents") as known:
            with ui.element("div").classes("tiles"):
                cpu, memory, net, disks = tile("CPU"), tile("Memory in use"), tile("Network"), tile("Disks")
                watts = tile("Power, an estimate")
            with panel("NICs"):
                nics = Grid("NICs", NICS, empty="It has no NIC.")
            with panel("Disks"):
                drives = Grid("Disks", DISKS, empty="It has no disk.")
        charts = Charts(frame, VM, {"host": host, "uuid": uuid})
        with ui.element("div").classes("panels") as more:
            with panel("Rates and angles"):
                rates = Grid("Rates and angles of its counters", RATES, empty="They come with the second poll.")
            with panel("Memory"):
                details = Grid("Memory", MEMORY, empty="Its hypervisor tells nothing of it.")

    async def refresh() -> None:
        vm = await frame.console.ask("vm", host, uuid)
        for each in (known, more):
            each.set_visibility(vm is not None)
        gone.set_visibility(vm is None)
        if vm is None:
            return
        row = vm.row
        title.content = cells.text(row.name)
        state.content = cells.state(row.state) + (cells.state("late", "does not answer:") if vm.stale else "")
        facts.content = f"<span>on {host_link(host)}</span>" + cells.facts(
            [("UUID", uuid), ("number", vm.vmid), ("CPUs", row.cpus), *vm.cloud.items()]
        )
        cpu.content = cells.number(row.cpu_percent, "%") + " <small>of a CPU</small>"
        memory.content = cells.size(None if row.memory_kib is None else row.memory_kib * 1024, "B")
        net.content, disks.content = cells.size(row.net_bytes_s), cells.size(row.disk_bytes_s)
        watts.content = cells.number(vm.watts, "W", 1)
        nics.show([_nic(nic) for nic in vm.nics])
        drives.show([_disk(disk) for disk in vm.disks])
        rates.show([_counter(name, value, vm.angles.get(name)) for name, value in sorted(vm.rates.items())])
        details.show([_memory(name, value) for name, value in vm.memory.items()])

    await frame.every(1.0, refresh)
    ui.timer(0.1, charts.refresh, once=True)
    ui.timer(10.0, charts.refresh, immediate=False)
