"""Draws a view in the terminal. Pure: a view in, a Rich renderable out."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from rackstream.view import HostView, View, VmView, sentence
from runtime.settings import KafkaSettings

STATES = {1: "running", 2: "blocked", 3: "paused", 4: "shutdown", 5: "shut off", 6: "crashed", 7: "suspended"}
COLOURS = {"ready": "green", "starting": "yellow", "waiting": "red", "failed": "bold red", "stopped": "dim"}
GOOD = {"up": "green", "partial": "yellow", "slow": "yellow"}


def number(value: float | None, unit: str = "", digits: int = 0) -> str:
    """A value with its unit, or a dash where there is none."""
    return "–" if value is None else f"{value:,.{digits}f}{unit}"


def size(value: float | None, unit: str = "B/s") -> str:
    """Bytes in the unit that keeps three digits."""
    if value is None:
        return "–"
    for prefix in ("", "k", "M", "G"):
        if abs(value) < 1000:
            return f"{value:.0f} {prefix}{unit}" if not prefix else f"{value:.1f} {prefix}{unit}"
        value /= 1000
    return f"{value:.1f} T{unit}"


def _table(title: str, *columns: str, right: str = "") -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, justify="right" if column in right.split("|") else "left", style="", no_wrap=True)
    return table


def _temperature(host: HostView) -> Text:
    if host.hottest is None:
        return Text("–")
    name, celsius, limit = host.hottest
    near = celsius / limit if limit else celsius / 100
    style = "bold red" if near > 0.9 else "yellow" if near > 0.8 else ""
    return Text(f"{celsius:.1f} °C {name}" + (f" of {limit:.0f}" if limit else ""), style=style)


def _hosts(hosts: Sequence[HostView]) -> Table:
    table = _table("Hosts", "host", "status", "watts", "hottest sensor", "VMs", "CPU", right="watts|VMs|CPU")
    for host in hosts:
        statuses = sorted(host.status.items())
        status = Text(" ").join(Text(f"{source} {each}", GOOD.get(each, "bold red")) for source, each in statuses)
        vms, cpu = number(host.vms), number(host.cpu_percent, " %")
        table.add_row(host.name, status, number(host.watts, " W"), _temperature(host), vms, cpu)
    return table


def _vms(vms: Sequence[VmView], shown: int) -> Table:
    title = f"VMs ({len(vms)})" if len(vms) <= shown else f"VMs ({shown} busiest of {len(vms)})"
    table = _table(title, "VM", "host", "state", "CPU", "memory", "network", "disk", right="CPU|memory|network|disk")
    busiest = sorted(vms, key=lambda vm: (-round(vm.cpu_percent or 0), vm.host, vm.name))[:shown]
    for vm in busiest:
        memory = "–" if vm.memory_kib is None else size(vm.memory_kib * 1024, "B")
        table.add_row(
            vm.name, vm.host, STATES.get(vm.state, "?"), number(vm.cpu_percent, " %"), memory,
            size(vm.net_bytes_s), size(vm.disk_bytes_s),
        )  # fmt: skip
    return table


def _alerts(view: View) -> Table:
    title = f"Alerts ({len(view.active)} active, {view.raised} raised, {view.cleared} cleared)"
    table = _table(title, "", "", "", "")
    table.show_header = False
    for record in list(view.transitions)[-6:]:
        raised = record["transition"] != "cleared"
        style = {"critical": "bold red", "warning": "yellow"}.get(record["severity"], "") if raised else "green"
        at = record["observed_at"].astimezone().strftime("%H:%M:%S")
        table.add_row(at, Text(record["transition"], style=style), record["host"], sentence(record))
    return table


def _topics(view: View, settings: KafkaSettings, now_s: float) -> Table:
    table = _table("Topics", "topic", "records", "per s", right="records|per s")
    for alias in settings.catalog.topics:
        if alias in view.topics:
            topic = view.topics[alias]
            table.add_row(settings.catalog[alias].name, f"{topic.records:,}", f"{topic.rate(now_s):.1f}")
    return table


def _parts(parts: Mapping[str, str]) -> Text:
    return Text("  ").join(Text(f"● {name}", style=COLOURS.get(state, "")) for name, state in parts.items())


def draw(
    view: View,
    settings: KafkaSettings,
    *,
    title: str,
    parts: Mapping[str, str],
    events: Sequence[tuple[datetime, str]],
    height: int,
) -> RenderableType:
    """The whole screen, cut to what `height` lines can hold."""
    hosts = sorted(view.hosts.values(), key=lambda host: host.name)
    room = max(3, height - len(view.topics) - len(hosts) - 20)
    last = [(at.astimezone(), text.partition("\n")[0]) for at, text in events[-4:]]
    said = Text("\n").join(Text(f"{at:%H:%M:%S} {text}", style="dim") for at, text in last)
    side: Any = Table.grid(padding=(0, 4))
    side.add_row(_topics(view, settings, time.monotonic()), _alerts(view))
    blocks = (_parts(parts), _hosts(hosts), _vms(list(view.vms.values()), room), side, said)
    body = Group(*(each for block in blocks for each in (block, Text())))
    return Panel(body, title=title, title_align="left", border_style="dim")
