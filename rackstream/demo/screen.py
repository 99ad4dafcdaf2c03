"""The demo's screen: the view of `rackstream top`, the parts and their latest events. Pure."""

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
from rackstream.terminal.layout import ScreenLine, TextTable, render_tables, styled
from rackstream.text.sanitize import printable
from rackstream.view.model import View

COLOURS: Final = {"ready": "green", "starting": "yellow", "waiting": "red", "failed": "bold red", "stopped": "dim"}
BORDER_COLUMNS: Final = 4
"""Columns taken by the frame."""
COLUMN_GAP: Final = 3


def _text(lines: Iterable[ScreenLine]) -> Text:
    text = Text("\n", no_wrap=True, overflow="ellipsis").join(line.text for line in lines)
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def _parts(parts: Mapping[str, str]) -> Text:
    return Text("  ").join(Text(printable(f"● {name}"), style=COLOURS.get(state, "")) for name, state in parts.items())


def _titled(table: TextTable, total: int, title: str) -> TextTable:
    """Adds to a table's title how many of the total are shown."""
    count = len(table.rows)
    return replace(table, title=f"{title} ({total:,})" if count == total else f"{title} ({count} of {total:,})")


def draw(
    view: View,
    *,
    title: str,
    parts: Mapping[str, str],
    events: Sequence[tuple[datetime, str]],
    width: int,
    height: int,
) -> RenderableType:
    """Draws the screen, cut to `width` columns and `height` lines."""
    at, inner = datetime.now(UTC), width - BORDER_COLUMNS
    topics = [topic for topic in view.overview().topics if topic.records]
    page = view.hosts(limit=max(3, (height - len(topics) - 20) // 2))
    room = max(3, height - len(topics) - len(page.rows) - 20)
    busiest = view.vms(sort="cpu", descending=True, limit=room)
    counts, past = view.alert_counts(), view.alerts(state="history", limit=6)
    left_width = min(52, inner // 2)
    alerts = replace(
        list_tables.transitions(list(reversed(past.rows)), at),
        title=f"Alerts ({counts.active} active, {counts.raised} raised, {counts.cleared} cleared)",
    )
    side = Grid.grid(padding=(0, COLUMN_GAP, 0, 0))
    side.add_row(
        _text(render_tables([list_tables.topics(topics)], left_width)),
        _text(render_tables([alerts], inner - left_width - COLUMN_GAP)),
    )
    blocks: list[RenderableType] = [
        _parts(parts),
        _text(render_tables([_titled(list_tables.hosts(page, at), page.total, "Hosts")], inner)),
        _text(render_tables([_titled(list_tables.vms(busiest.rows), busiest.total, "Busiest VMs")], inner)),
        side,
        Text("\n").join(
            styled(f"{at:%H:%M:%S} {text.partition(chr(10))[0]}", "soft") for at, text in _recent_events(events)
        ),
    ]
    body = Group(*(item for block in blocks for item in (block, Text())))
    return Panel(body, title=styled(title), title_align="left", border_style="dim")


def _recent_events(events: Sequence[tuple[datetime, str]]) -> list[tuple[datetime, str]]:
    return [(at.astimezone(UTC), text) for at, text in events[-4:]]
