"""Series for charts from the stored files: one query per chart, averaged to its resolution."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from rackstream.stored.query import StoredFiles
from runtime.errors import Misconfigured

MAX_POINTS: Final = 240
"""Points per line: a period is divided into so many steps."""
MAX_LINES: Final = 12
"""Lines of one chart; those with the highest peaks are kept."""
ChartLine = tuple[str, list[tuple[float, float]]]
"""Name of a line, and its points: Unix time in milliseconds, value."""


@dataclass(frozen=True, eq=False)
class Chart:
    """Definition of one chart, equal only to itself.

    Its SQL is constant; user input is passed as parameters.
    """

    title: str
    unit: str
    dataset: str
    values: Mapping[str, str]
    """Line name → SQL of its value. In a split chart, the only name is not shown."""
    split: str = ""
    """SQL of the expression that splits the chart into lines and names them; empty for no split."""


@dataclass(frozen=True)
class ChartPeriod:
    """Time range of a chart."""

    since: datetime
    until: datetime

    @property
    def step(self) -> timedelta:
        """Time between two points, in whole seconds."""
        return timedelta(seconds=max(1, round((self.until - self.since).total_seconds() / MAX_POINTS)))


def chart_lines(root: Path, chart: Chart, filters: Mapping[str, str], period: ChartPeriod) -> list[ChartLine]:
    """Reads the lines of a chart; empty if nothing is stored in the period.

    Steps without values have no point.

    Args:
        root: Directory of the files sink.
        chart: The chart to draw.
        filters: Column → value that rows must have.
        period: Time range to draw.
    """
    try:
        stored = StoredFiles(root, since=period.since)
    except Misconfigured:
        return []
    lines: dict[str, list[tuple[float, float]]] = {}
    with stored as files:
        result = files.query(_sql(chart, filters), (period.step, *filters.values(), period.since, period.until))
        for at, split, *means in result.rows:
            for name, mean in zip(chart.values, means, strict=True):
                if mean is not None:
                    lines.setdefault(str(split) if chart.split else name, []).append((at, round(mean, 3)))
    by_peak = sorted(lines.items(), key=lambda line: -max(mean for _, mean in line[1]))
    return sorted(by_peak[:MAX_LINES], key=lambda line: line[0])


def _sql(chart: Chart, filters: Mapping[str, str]) -> str:
    means = ", ".join(f"avg({value})" for value in chart.values.values())
    conditions = " AND ".join([*(f'"{column}" = ?' for column in filters), "time >= ?", "time < ?"])
    return (
        f"SELECT epoch_ms(time_bucket(?, time)), {chart.split or 'NULL'}, {means} FROM {chart.dataset} "  # noqa: S608  our own words
        f"WHERE {conditions} GROUP BY ALL ORDER BY 1"
    )
