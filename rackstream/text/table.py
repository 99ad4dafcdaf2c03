"""Prints rows as a table, CSV, JSON or a chart."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final

from rackstream.text.json import jsonable
from rackstream.text.sanitize import DataOutput, echo, echo_coloured, json_text, printable, terminal_console
from runtime.errors import Misconfigured

Rows = Iterator[tuple[object, ...]]
Coordinate = Any
"""Time or number on the x axis."""
MAX_ROWS: Final = 500
"""Rows of a printed table. Nobody reads more; programs take CSV or JSON."""
COLUMN_GAP: Final = 3
"""Characters between two columns."""
MAX_CHART_POINTS: Final = 100_000
MAX_SERIES: Final = 12
"""Lines in one chart."""


def print_table(names: Sequence[str], rows: Rows) -> None:
    """Prints a table as wide as the terminal, followed by the number of rows."""
    from rich import box
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    console, table = terminal_console(), Table(box=box.SIMPLE_HEAD, pad_edge=False)
    first_rows = list(islice(rows, MAX_ROWS))
    texts = [[_cell_text(value) for value in row] for row in first_rows]
    columns = [[name, *(row[column] for row in texts)] for column, name in enumerate(names)]
    longest_words = [max((cell_len(word) for text in column for word in text.split()), default=0) for column in columns]
    # Rich narrows the widest columns first. If all words fit, only columns with spaces give way: ids stay whole.
    words_fit = sum(longest_words) + COLUMN_GAP * len(names) <= console.width
    for column, name in enumerate(names):
        numbers = all(isinstance(row[column], int | float) for row in first_rows if row[column] is not None)
        is_unbreakable = words_fit and not any(" " in text for text in columns[column])
        table.add_column(name, justify="right" if numbers else "left", overflow="fold", no_wrap=is_unbreakable)
    for row_texts in texts:
        table.add_row(*map(Text, row_texts))
    console.print(table)
    omitted = sum(1 for _ in rows)
    total = f"{len(first_rows) + omitted} row" + ("" if len(first_rows) + omitted == 1 else "s")
    console.print(
        f"{total}; only the first {MAX_ROWS} are shown, --csv and --json print all" if omitted else total, style="dim"
    )


def print_csv(names: Sequence[str], rows: Rows) -> None:
    """Prints CSV: times in ISO 8601, unknown values empty, maps and lists as JSON."""
    writer = csv.writer(DataOutput(), lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow([_flatten(value) for value in row])


def print_json(names: Sequence[str], rows: Rows) -> None:
    """Prints one JSON array with an object per row."""
    separator = "["
    for row in rows:
        echo(separator + json_text(dict(zip(names, map(jsonable, row), strict=True))), nl=False)
        separator = ",\n"
    echo("[]" if separator == "[" else "]")


def print_chart(names: Sequence[str], rows: Rows) -> None:
    """Prints a line chart of rows.

    The first column is the x axis, each number column a line; text columns split lines.

    Raises:
        Misconfigured: The rows have nothing to draw; the message says which columns a chart needs.
    """
    import plotext

    points = list(islice(rows, MAX_CHART_POINTS))
    lines = _series(names, points)
    if not lines:
        raise Misconfigured(
            "nothing to draw: select a time or a number first, then numbers, and perhaps a text to split by"
        )
    plotext.clear_figure()
    plotext.theme("pro")
    if any(isinstance(row[0], datetime) for row in points):
        plotext.date_form("d/m/Y H:M:S")
        lines = {name: ([f"{at:%d/%m/%Y %H:%M:%S}" for at in xs], ys) for name, (xs, ys) in lines.items()}
    for name, (xs, ys) in list(lines.items())[:MAX_SERIES]:
        plotext.plot(xs, ys, label=name)
    plotext.xlabel(names[0])
    plotext.plot_size(None, 24)
    drawn = plotext.build()
    echo_coloured(drawn)
    if len(lines) > MAX_SERIES:
        echo(f"{len(lines)} lines; only the first {MAX_SERIES} are drawn")


def _series(names: Sequence[str], rows: list[tuple[object, ...]]) -> dict[str, tuple[list[Coordinate], list[float]]]:
    """Returns the points of each line, ordered by the first column, without unknown values."""
    series: dict[str, list[tuple[Coordinate, float]]] = {}
    for row in rows:
        if not isinstance(row[0], datetime | int | float):
            continue
        split = " ".join(printable(value) for value in row[1:] if isinstance(value, str))
        for name, value in zip(names[1:], row[1:], strict=True):
            if isinstance(value, int | float) and not isinstance(value, bool):
                series.setdefault(f"{split} {name}".strip(), []).append((row[0], value))
    ordered = {name: sorted(points, key=lambda point: point[0]) for name, points in series.items()}
    return {name: ([at for at, _ in points], [value for _, value in points]) for name, points in ordered.items()}


def _cell_text(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}" + (f".{value.microsecond:06d}".rstrip("0") if value.microsecond else "")
    if isinstance(value, float):
        return f"{value:g}"
    return str(printable(str(_flatten(value))))


def _flatten(value: object) -> object:
    value = jsonable(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
