"""Tables as lines of a terminal: columns share the width there is, the least important go first. Pure.

Whatever a machine tells becomes text here and nothing else: neither markup nor control characters of it have an effect.
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
"""Tone → how it looks in a terminal's own colours; any other is plain. The word beside it says the same."""
BETWEEN: Final = "  "
Place = tuple[str, ...]
"""What a row leads to: a view and what it is of, such as ("host", "node-1")."""


@dataclass(frozen=True)
class Column:
    """One column."""

    title: str
    right: bool = False
    """For numbers."""
    wide: int = 0
    """Cells that it takes at least, so that it does not jump with its values."""
    least: int | None = None
    """Cells that it can be cut to; None: it is not cut."""
    rank: int = 0
    """Columns of the highest rank go first where there is no room; 0: never."""
    sort: str = ""
    """By what its list is asked for to be in its order."""


@dataclass(frozen=True)
class Row:
    """One row."""

    cells: Sequence[Text]
    leads: Place | None = None


@dataclass(frozen=True)
class Table:
    """A table, or without columns a paragraph: then each row has one cell, which is wrapped."""

    title: str
    columns: Sequence[Column] = ()
    rows: Sequence[Row] = field(default_factory=list)
    empty: str = ""
    """What is said without rows; without it, nothing is shown then."""

    def sorted(self, by: str, *, descending: bool) -> Table:
        """The same, with an arrow at the column that it is sorted by."""
        arrow = "▼" if descending else "▲"
        marked = (
            replace(column, title=f"{column.title} {arrow}") if column.sort == by else column for column in self.columns
        )
        return replace(self, columns=tuple(marked))


@dataclass(frozen=True)
class Line:
    """One line of a terminal."""

    text: Text
    leads: Place | None = None
    is_row: bool = False
    """One that can be chosen."""


def said(value: object, tone: str = "") -> Text:
    """Any value as text; a dash where there is none."""
    if value is None or value == "":
        return Text("–", "dim")
    return Text(str(printable(str(value))), STYLES.get(tone, ""))


def state(word: str | None, before: str = "") -> Text:
    """A state in the colour of its meaning. `before`: whose it is."""
    return said(" ".join(each for each in (before, units.words(word)) if each), units.tone(word))


def joined(parts: Iterable[Text], between: str = " ") -> Text:
    """Texts in one line."""
    return Text(between).join(parts)


def heading(title: str) -> Line:
    """The title of a table."""
    return Line(Text(title, "bold"))


def whole(tables: Iterable[Table], width: int) -> list[Line]:
    """Tables below each other, each with its title."""
    found: list[Line] = []
    for table in tables:
        if not table.rows and not table.empty:
            continue
        found += [Line(Text())] if found else []
        found += [heading(table.title)] if table.title else []
        if not table.rows:
            found.append(Line(said(table.empty, "soft")))
        elif table.columns:
            top, rows = fit(table, width)
            found += [Line(top), *rows]
        else:
            found += paragraph(table.rows, width)
    return found


def paragraph(rows: Iterable[Row], width: int) -> list[Line]:
    """Rows of one cell, wrapped at spaces, and within words that are longer than a line."""
    return [Line(part, row.leads, is_row=True) for row in rows for part in _wrapped(row.cells[0], width)]


def _wrapped(text: Text, width: int) -> list[Text]:
    found, start, space = [], 0, 0
    for at, each in enumerate(text.plain):
        if each == " ":
            space = at
        if cell_len(text.plain[start : at + 1]) > max(width, 2):
            end = space if space > start else at
            found.append(text[start:end])
            start = end + (text.plain[end] == " ")
    return [*found, text[start:]]


def fit(table: Table, width: int) -> tuple[Text, list[Line]]:
    """The line of titles, and a line for each row."""
    widths = _widths(table, width)
    top = Text(BETWEEN).join(
        _cell(Text(table.columns[at].title, "dim"), table.columns[at], wide) for at, wide in widths.items()
    )
    rows = [
        Line(
            Text(BETWEEN).join(_cell(row.cells[at], table.columns[at], wide) for at, wide in widths.items()),
            row.leads,
            is_row=True,
        )
        for row in table.rows
    ]
    return top, rows


def _widths(table: Table, width: int) -> dict[int, int]:
    """Column → its cells, of those that are shown."""
    full = {
        at: max([column.wide, cell_len(column.title), *(cell_len(row.cells[at].plain) for row in table.rows)])
        for at, column in enumerate(table.columns)
    }
    given = {at: wide if (least := table.columns[at].least) is None else min(wide, least) for at, wide in full.items()}

    def left() -> int:
        return width - sum(given.values()) - len(BETWEEN) * (len(given) - 1)

    while left() < 0:
        worst = max(given, key=lambda at: (table.columns[at].rank, at))
        if not table.columns[worst].rank:
            break
        del given[worst]
    if left() < 0:  # not even those that never go: the widest are cut, whatever they are
        while left() < 0 and max(given.values()) > 3:
            given[max(given, key=lambda at: given[at])] -= 1
        return given
    for at, wide in given.items():
        given[at] += min(left(), full[at] - wide)
    return given


def _cell(text: Text, column: Column, width: int) -> Text:
    cell = text.copy()
    cell.truncate(width, overflow="ellipsis")
    missing = width - cell_len(cell.plain)
    return Text(" " * missing) + cell if column.right else cell + Text(" " * missing)
