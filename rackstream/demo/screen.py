"""The demo in the terminal: the view as `rackstream top` has it, the demo's parts, and what was said of them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.table import Table as Grid
from rich.text import Text

from rackstream.terminal import list_tables
from rackstream.terminal.layout import Line, Table, said, whole
from rackstream.text.sanitize import printable
from rackstream.view.model import View

COLOURS: Final = {"ready": "green", "starting": "yellow", "waiting": "red", "failed": "bold red", "stopped": "dim"}
EDGES: Final = 4
"""Columns of the frame around."""
BETWEEN: Final = 3


def _text(lines: Iterable[Line]) -> Text:
    found = Text("\n", no_wrap=True, overflow="ellipsis").join(line.text for line in lines)
    found.no_wrap, found.overflow = True, "ellipsis"
    return found


def _parts(parts: Mapping[str, str]) -> Text:
    return Text("  ").join(Text(printable(f"● {name}"), style=COLOURS.get(state, "")) for name, state in parts.items())


def _some(table: Table, total: int, what: str) -> Table:
    """A table titled by how many of all it has."""
    shown = len(table.rows)
    return replace(table, title=f"{what} ({total:,})" if shown == total else f"{what} ({shown} of {total:,})")


def draw(
    view: View,
    *,
    title: str,
    parts: Mapping[str, str],
    events: Sequence[tuple[datetime, str]],
    width: int,
    height: int,
) -> RenderableType:
    """The whole screen, cut to what `width` columns and `height` lines hold."""
    at, inner = datetime.now(UTC), width - EDGES
    topics = [topic for topic in view.overview().topics if topic.records]
    page = view.hosts(limit=max(3, (height - len(topics) - 20) // 2))
    room = max(3, height - len(topics) - len(page.rows) - 20)
    busiest = view.vms(sort="cpu", descending=True, limit=room)
    counts, past = view.counts(), view.alerts(state="history", limit=6)
    left = min(52, inner // 2)
    alerts = replace(
        list_tables.transitions(list(reversed(past.rows)), at),
        title=f"Alerts ({counts.active} active, {counts.raised} raised, {counts.cleared} cleared)",
    )
    side = Grid.grid(padding=(0, BETWEEN, 0, 0))
    side.add_row(_text(whole([list_tables.topics(topics)], left)), _text(whole([alerts], inner - left - BETWEEN)))
    blocks: list[RenderableType] = [
        _parts(parts),
        _text(whole([_some(list_tables.hosts(page, at), page.total, "Hosts")], inner)),
        _text(whole([_some(list_tables.vms(busiest.rows), busiest.total, "VMs, the busiest")], inner)),
        side,
        Text("\n").join(said(f"{told:%H:%M:%S} {text.partition(chr(10))[0]}", "soft") for told, text in _last(events)),
    ]
    body = Group(*(each for block in blocks for each in (block, Text())))
    return Panel(body, title=said(title), title_align="left", border_style="dim")


def _last(events: Sequence[tuple[datetime, str]]) -> list[tuple[datetime, str]]:
    return [(told.astimezone(UTC), text) for told, text in events[-4:]]
