"""A live table: a real `<table>` whose cells are pushed one by one, and only those that changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from nicegui import events, ui

Told = Callable[[str], Any]
TELL: Final = "(event) => { const each = event.target.closest('[data-act]'); if (each) emit(each.dataset.act); }"
"""The one handler of all buttons of a table. Cells are text to the library, so it has no events of what is in them."""


@dataclass(frozen=True)
class Column:
    """One column."""

    label: str
    kind: str = ""
    """`number`: to the right; `wide`: broken over lines."""
    sort: str = ""
    """What the server sorts by when it is pressed; empty: it is not sorted by this."""


class Grid:
    """Rows of HTML cells. Elements of rows are kept while there are fewer, so that nothing is built twice."""

    def __init__(self, label: str, columns: Sequence[Column], *, empty: str, on_act: Told | None = None) -> None:
        """`label`: what the table is to those who hear it; `empty`: HTML that says what to do while it has no rows.

        `on_act` is told what a button in a cell stands for, and `sort:<what>` when a column's head is pressed.
        """
        self._columns = columns
        self._rows: list[tuple[ui.element, list[ui.html]]] = []
        with ui.element("div").classes("scroll") as self._whole:
            table = ui.element("table").classes("grid").props(f'aria-label="{escape(label)}"')
            with table:
                with ui.element("thead"), ui.element("tr"):
                    self._heads = [
                        ui.html("", tag="th").classes(column.kind).props('scope="col"') for column in self._columns
                    ]
                self._body = ui.element("tbody")
        self._empty = ui.html(empty).classes("empty")
        self._whole.set_visibility(False)
        self.sorted()
        if on_act is not None:
            table.on("click", lambda event: _told(on_act, event), js_handler=TELL)

    def sorted(self, by: str = "", *, descending: bool = False) -> None:
        """Marks the column that the rows are sorted by."""
        for column, head in zip(self._columns, self._heads, strict=True):
            is_sorted = bool(by) and column.sort == by
            mark = ('<span aria-hidden="true"> ' + ("▾" if descending else "▴") + "</span>") if is_sorted else ""
            label = escape(column.label)
            head.content = f'<button data-act="sort:{column.sort}">{label}{mark}</button>' if column.sort else label
            head.props(
                f'aria-sort="{"descending" if descending else "ascending"}"' if is_sorted else "",
                remove="" if is_sorted else "aria-sort",
            )

    def empty(self, content: str) -> None:
        """What it says while it has no rows, as HTML."""
        self._empty.content = content

    def show(self, rows: Sequence[Sequence[str]]) -> None:
        """Shows these rows of HTML."""
        self._whole.set_visibility(bool(rows))
        self._empty.set_visibility(not rows)
        while len(self._rows) < len(rows):
            with self._body, ui.element("tr") as row:
                self._rows.append((row, [ui.html("", tag="td").classes(column.kind) for column in self._columns]))
        for number, (row, cells) in enumerate(self._rows):
            row.set_visibility(number < len(rows))
            if number < len(rows):
                for cell, content in zip(cells, rows[number], strict=True):
                    cell.content = content


def _told(on_act: Told, event: events.GenericEventArguments) -> Any:
    return on_act(event.args) if isinstance(event.args, str) else None
