"""Renders tables as terminal lines: columns share the width, the least important are dropped first. Pure.

Names reported by machines are plain text here: neither markup nor control characters in them have any effect.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from rich.cells import cell_len
from rich.text import Text

from rackstream.text import units
from rackstream.text.sanitize import printable

STYLES: Final = {"good": "green", "warn": "yellow", "bad": "bold red", "soft": "dim"}
"""Tone → Rich style, in the terminal's own colours. Colour is never the only sign: the text says the same."""
COLUMN_GAP: Final = "  "
Link = tuple[str, ...]
"""What a row opens: a view and its subject, such as ("host", "node-1")."""


@dataclass(frozen=True)
class TableColumn:
    """A column of a table."""

    title: str
    align_right: bool = False
    """True for numbers."""
    min_width: int = 0
    """Cells it takes at least, so that it does not jump as its values change."""
    shrink_to: int | None = None
    """Cells it may be cut down to; None: it is not cut."""
    drop_rank: int = 0
    """Columns of the highest rank are dropped first when width is short; 0: never dropped."""
    sort: str = ""
    """Sort order of the query that corresponds to this column; empty: not sortable."""


@dataclass(frozen=True)
class TableRow:
    """A row of a table."""

    cells: Sequence[Text]
    link: Link | None = None


@dataclass(frozen=True)
class TextTable:
    """A table; without columns, paragraphs: each row then has one cell, which is wrapped."""

    title: str
    columns: Sequence[TableColumn] = ()
    rows: Sequence[TableRow] = field(default_factory=list)
    empty: str = ""
    """Text shown if there are no rows; without it, an empty table is hidden."""

    def with_sort_mark(self, sort: str, *, descending: bool) -> TextTable:
        """Returns the table with an arrow at the column that it is sorted by."""
        arrow = "▼" if descending else "▲"
        columns = (
            replace(column, title=f"{column.title} {arrow}") if column.sort == sort else column
            for column in self.columns
        )
        return replace(self, columns=tuple(columns))


@dataclass(frozen=True)
class ScreenLine:
    """A line of the terminal."""

    text: Text
    link: Link | None = None
    is_row: bool = False
    """True if the cursor can be placed on it."""


def styled(value: object, tone: str = "") -> Text:
    """Any value as text; a dash for None and the empty string."""
    if value is None or value == "":
        return Text("–", "dim")
    return Text(str(printable(str(value))), STYLES.get(tone, ""))


def status_text(word: str | None, prefix: str = "") -> Text:
    """A status in the colour of its meaning. `prefix`: name of what is in that status."""
    return styled(" ".join(part for part in (prefix, units.humanize(word)) if part), units.tone(word))


def join(parts: Iterable[Text], separator: str = " ") -> Text:
    """Joins texts into one line."""
    return Text(separator).join(parts)


def render_tables(tables: Iterable[TextTable], width: int) -> list[ScreenLine]:
    """Renders tables below each other, each with its title."""
    lines: list[ScreenLine] = []
    for table in tables:
        if not table.rows and not table.empty:
            continue
        lines += [ScreenLine(Text())] if lines else []
        lines += [ScreenLine(Text(table.title, "bold"))] if table.title else []
        if not table.rows:
            lines.append(ScreenLine(styled(table.empty, "soft")))
        elif table.columns:
            header, rows = render_table(table, width)
            lines += [ScreenLine(header), *rows]
        else:
            lines += _paragraphs(table.rows, width)
    return lines


def _paragraphs(rows: Iterable[TableRow], width: int) -> list[ScreenLine]:
    """Wraps rows of one cell at spaces, and within words that are longer than a line."""
    return [ScreenLine(part, row.link, is_row=True) for row in rows for part in _wrap(row.cells[0], width)]


def _wrap(text: Text, width: int) -> list[Text]:
    parts, start, space = [], 0, 0
    for at, character in enumerate(text.plain):
        if character == " ":
            space = at
        if cell_len(text.plain[start : at + 1]) > max(width, 2):
            end = space if space > start else at
            parts.append(text[start:end])
            start = end + (text.plain[end] == " ")
    return [*parts, text[start:]]


def render_table(table: TextTable, width: int) -> tuple[Text, list[ScreenLine]]:
    """Renders the column titles, and one line per row."""
    widths = _column_widths(table, width)
    columns = table.columns
    header = Text(COLUMN_GAP).join(
        _pad(Text(columns[at].title, "dim"), columns[at], cells) for at, cells in widths.items()
    )
    rows = [
        ScreenLine(
            Text(COLUMN_GAP).join(_pad(row.cells[at], columns[at], cells) for at, cells in widths.items()),
            row.link,
            is_row=True,
        )
        for row in table.rows
    ]
    return header, rows


def _column_widths(table: TextTable, width: int) -> dict[int, int]:
    """Index of each column that fits → its width in cells."""
    full = {
        at: max([column.min_width, cell_len(column.title), *(cell_len(row.cells[at].plain) for row in table.rows)])
        for at, column in enumerate(table.columns)
    }
    widths = {
        at: cells if (shrunk := table.columns[at].shrink_to) is None else min(cells, shrunk)
        for at, cells in full.items()
    }

    def spare() -> int:
        return width - sum(widths.values()) - len(COLUMN_GAP) * (len(widths) - 1)

    while spare() < 0:
        last = max(widths, key=lambda at: (table.columns[at].drop_rank, at))
        if not table.columns[last].drop_rank:
            break
        del widths[last]
    if spare() < 0:  # even the columns that are never dropped do not fit: cut the widest ones
        while spare() < 0 and max(widths.values()) > 3:
            widths[max(widths, key=lambda at: widths[at])] -= 1
        return widths
    for at, cells in widths.items():
        widths[at] += min(spare(), full[at] - cells)
    return widths


def _pad(text: Text, column: TableColumn, width: int) -> Text:
    cell = text.copy()
    cell.truncate(width, overflow="ellipsis")
    padding = Text(" " * (width - cell_len(cell.plain)))
    return padding + cell if column.align_right else cell + padding
