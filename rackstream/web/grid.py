"""A live table: an HTML `<table>` whose cells are updated one by one, and only those that changed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from nicegui import events, ui

ActionHandler = Callable[[str], Any]
EMIT_ACTION: Final = (
    "(event) => { const button = event.target.closest('[data-act]'); if (button) emit(button.dataset.act); }"
)
"""Click handler of the whole table. NiceGUI takes cells as plain HTML and sends no events of the buttons in them."""


@dataclass(frozen=True)
class GridColumn:
    """A column of a grid."""

    label: str
    kind: str = ""
    """CSS class: `number` aligns right, `wide` wraps."""
    sort: str = ""
    """Sort order of the query that corresponds to this column; empty: not sortable."""


class Grid:
    """Rows of HTML cells. Elements of removed rows are hidden and reused."""

    def __init__(
        self, label: str, columns: Sequence[GridColumn], *, empty: str, on_action: ActionHandler | None = None
    ) -> None:
        """Builds the table without rows.

        Args:
            label: Accessible name of the table.
            columns: Its columns.
            empty: HTML shown instead of the table while it has no rows.
            on_action: Called with the action of a pressed button, and with `sort:<order>` for a column's header.
        """
        self._columns = columns
        self._rows: list[tuple[ui.element, list[ui.html]]] = []
        with ui.element("div").classes("scroll") as self._container:
            table = ui.element("table").classes("grid").props(f'aria-label="{escape(label)}"')
            with table:
                with ui.element("thead"), ui.element("tr"):
                    self._heads = [
                        ui.html("", tag="th").classes(column.kind).props('scope="col"') for column in self._columns
                    ]
                self._body = ui.element("tbody")
        self._empty = ui.html(empty).classes("empty")
        self._container.set_visibility(False)
        self.mark_sorted()
        if on_action is not None:
            table.on("click", lambda event: _dispatch(on_action, event), js_handler=EMIT_ACTION)

    def mark_sorted(self, sort: str = "", *, descending: bool = False) -> None:
        """Marks the column that the rows are sorted by."""
        for column, head in zip(self._columns, self._heads, strict=True):
            is_sorted = bool(sort) and column.sort == sort
            mark = ('<span aria-hidden="true"> ' + ("▾" if descending else "▴") + "</span>") if is_sorted else ""
            label = escape(column.label)
            head.content = f'<button data-act="sort:{column.sort}">{label}{mark}</button>' if column.sort else label
            head.props(
                f'aria-sort="{"descending" if descending else "ascending"}"' if is_sorted else "",
                remove="" if is_sorted else "aria-sort",
            )

    def set_empty(self, content: str) -> None:
        """Sets the HTML shown while there are no rows."""
        self._empty.content = content

    def show(self, rows: Sequence[Sequence[str]]) -> None:
        """Shows these rows of HTML cells."""
        self._container.set_visibility(bool(rows))
        self._empty.set_visibility(not rows)
        while len(self._rows) < len(rows):
            with self._body, ui.element("tr") as row:
                self._rows.append((row, [ui.html("", tag="td").classes(column.kind) for column in self._columns]))
        for number, (row, cells) in enumerate(self._rows):
            row.set_visibility(number < len(rows))
            if number < len(rows):
                for cell, content in zip(cells, rows[number], strict=True):
                    cell.content = content


def _dispatch(on_action: ActionHandler, event: events.GenericEventArguments) -> Any:
    return on_action(event.args) if isinstance(event.args, str) else None
