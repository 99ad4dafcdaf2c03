"""Rows for people and for programs: a table, CSV, JSON, a chart. Knows no data source."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import islice
from typing import Any, Final

from rackstream.text.sanitize import printable
from rackstream.topics.tail import plain
from runtime.errors import Misconfigured

Rows = Iterator[tuple[Any, ...]]
SHOWN: Final = 500
"""Rows of a table. Nobody reads more; programs take CSV or JSON."""
CHART_POINTS: Final = 100_000
SERIES_MAX: Final = 12
"""Lines in one chart."""


def as_table(names: Sequence[str], rows: Rows) -> None:
    """Prints a table as wide as the terminal, and how many rows are left out."""
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    shown = list(islice(rows, SHOWN))
    for position, name in enumerate(names):
        numbers = all(isinstance(row[position], int | float) for row in shown if row[position] is not None)
        table.add_column(name, justify="right" if numbers else "left", overflow="fold")
    for row in shown:
        table.add_row(*[Text(_text(value)) for value in row])
    console = Console()
    console.print(table)
    left = sum(1 for _ in rows)
    total = f"{len(shown) + left} row" + ("" if len(shown) + left == 1 else "s")
    console.print(f"{total}; the first {SHOWN} shown, --csv and --json give all" if left else total, style="dim")


def as_csv(names: Sequence[str], rows: Rows) -> None:
    """Prints CSV: times as ISO 8601, unknown values empty, maps and lists as JSON."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(names)
    for row in rows:
        writer.writerow([_flat(value) for value in row])


def as_json(names: Sequence[str], rows: Rows) -> None:
    """Prints one JSON array with an object per row."""
    before = "["
    for row in rows:
        sys.stdout.write(before + json.dumps(dict(zip(names, map(plain, row), strict=True)), ensure_ascii=False))
        before = ",\n"
    sys.stdout.write("[]\n" if before == "[" else "]\n")


def as_chart(names: Sequence[str], rows: Rows) -> None:
    """Prints a line chart: the first column across (a time or a number), each number a line, split by text columns.

    Raises:
        Misconfigured: the rows have nothing to draw; the message says what is wanted.
    """
    import plotext

    taken = list(islice(rows, CHART_POINTS))
    lines = _series(names, taken)
    if not lines:
        raise Misconfigured("nothing to draw: select a time or a number first, then numbers (and a text to split by)")
    plotext.clear_figure()
    plotext.theme("pro")
    if any(isinstance(row[0], datetime) for row in taken):
        plotext.date_form("d/m/Y H:M:S")
        lines = {name: ([f"{at:%d/%m/%Y %H:%M:%S}" for at in across], up) for name, (across, up) in lines.items()}
    for name, (across, up) in list(lines.items())[:SERIES_MAX]:
        plotext.plot(across, up, label=name)
    plotext.xlabel(names[0])
    plotext.plot_size(None, 24)
    drawn = plotext.build()
    print(drawn if sys.stdout.isatty() else plotext.uncolorize(drawn))  # noqa: T201
    if len(lines) > SERIES_MAX:
        print(f"{len(lines)} lines; the first {SERIES_MAX} drawn")  # noqa: T201


def _series(names: Sequence[str], rows: list[tuple[Any, ...]]) -> dict[str, tuple[list[Any], list[float]]]:
    """Name of a line → its points in the order of the first column. What is unknown is left out."""
    found: dict[str, list[tuple[Any, float]]] = {}
    for row in rows:
        if not isinstance(row[0], datetime | int | float):
            continue
        split = " ".join(value for value in row[1:] if isinstance(value, str))
        for name, value in zip(names[1:], row[1:], strict=True):
            if isinstance(value, int | float) and not isinstance(value, bool):
                found.setdefault(f"{split} {name}".strip(), []).append((row[0], value))
    ordered = {name: sorted(points, key=lambda point: point[0]) for name, points in found.items()}
    return {name: ([at for at, _ in points], [value for _, value in points]) for name, points in ordered.items()}


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}" + (f".{value.microsecond:06d}".rstrip("0") if value.microsecond else "")
    if isinstance(value, float):
        return f"{value:g}"
    return str(printable(str(_flat(value))))


def _flat(value: Any) -> Any:
    value = plain(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
