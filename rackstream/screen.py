"""Draws a view in the terminal. Pure: a view in, a Rich renderable out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from rackstream.view.answers import Alert, HostPage, HostRow, TopicRow, VmPage
from rackstream.view.model import View

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


def _temperature(host: HostRow) -> Text:
    hot = host.hottest
    if hot is None:
        return Text("–")
    style = "bold red" if hot.nearness > 0.9 else "yellow" if hot.nearness > 0.8 else ""
    limit = f" of {hot.limit_celsius:.0f}" if hot.limit_celsius else ""
    return Text(f"{hot.celsius:.1f} °C {hot.sensor}{limit}", style=style)


def _hosts(page: HostPage) -> Table:
    left = page.total - len(page.rows)
    title = f"Hosts ({len(page.rows)} of {page.total})" if left else "Hosts"
    table = _table(title, "host", "status", "watts", "hottest sensor", "VMs", "CPU", right="watts|VMs|CPU")
    for host in page.rows:
        statuses = sorted(host.statuses.items())
        status = Text(" ").join(Text(f"{source} {each}", GOOD.get(each, "bold red")) for source, each in statuses)
        vms, cpu = number(host.vms), number(host.cpu_percent, " %")
        table.add_row(host.name, status, number(host.watts, " W"), _temperature(host), vms, cpu)
    return table


def _vms(page: VmPage) -> Table:
    shown, total = len(page.rows), page.total
    title = f"VMs ({total})" if shown == total else f"VMs ({shown} busiest of {total})"
    table = _table(title, "VM", "host", "state", "CPU", "memory", "network", "disk", right="CPU|memory|network|disk")
    for vm in page.rows:
        memory = "–" if vm.memory_kib is None else size(vm.memory_kib * 1024, "B")
        table.add_row(
            vm.name, vm.host, vm.state, number(vm.cpu_percent, " %"), memory,
            size(vm.net_bytes_s), size(vm.disk_bytes_s),
        )  # fmt: skip
    return table


def _alerts(view: View) -> Table:
    counts = view.counts()
    title = f"Alerts ({counts.active} active, {counts.raised} raised, {counts.cleared} cleared)"
    table = _table(title, "", "", "", "")
    table.show_header = False
    for each in reversed(view.alerts(state="history", limit=6).rows):
        table.add_row(*_transition(each))
    return table


def _transition(alert: Alert) -> tuple[str | Text, ...]:
    urgent = {"critical": "bold red", "warning": "yellow"}.get(alert.severity, "")
    style = "green" if alert.transition == "cleared" else urgent
    at = alert.observed_at.astimezone().strftime("%H:%M:%S")
    return at, Text(alert.transition, style=style), alert.host, alert.text


def _topics(topics: Sequence[TopicRow]) -> Table:
    table = _table("Topics", "topic", "records", "per s", right="records|per s")
    for each in topics:
        table.add_row(each.name, number(each.records), number(each.records_s, digits=1))
    return table


def _parts(parts: Mapping[str, str]) -> Text:
    return Text("  ").join(Text(f"● {name}", style=COLOURS.get(state, "")) for name, state in parts.items())


def draw(
    view: View,
    *,
    title: str,
    parts: Mapping[str, str],
    events: Sequence[tuple[datetime, str]],
    height: int,
) -> RenderableType:
    """The whole screen, cut to what `height` lines can hold."""
    topics = [each for each in view.overview().topics if each.records]
    hosts = view.hosts(limit=max(3, (height - len(topics) - 20) // 2))
    room = max(3, height - len(topics) - len(hosts.rows) - 20)
    vms = view.vms(sort="cpu", descending=True, limit=room)
    last = [(at.astimezone(), text.partition("\n")[0]) for at, text in events[-4:]]
    said = Text("\n").join(Text(f"{at:%H:%M:%S} {text}", style="dim") for at, text in last)
    side: Any = Table.grid(padding=(0, 4))
    side.add_row(_topics(topics), _alerts(view))
    blocks = (_parts(parts), _hosts(hosts), _vms(vms), side, said)
    body = Group(*(each for block in blocks for each in (block, Text())))
    return Panel(body, title=title, title_align="left", border_style="dim")
