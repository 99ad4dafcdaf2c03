"""Time series for charts from the stored files: one question per chart, averaged to as many points as a chart shows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from rackstream.stored.query import Files
from runtime.errors import Misconfigured

POINTS: Final = 240
"""Steps that a period is divided into."""
LINES: Final = 12
"""Lines of one chart: those that go highest."""
Line = tuple[str, list[tuple[float, float]]]
"""Its name, and its points: Unix time in milliseconds, value."""


@dataclass(frozen=True, eq=False)
class Chart:
    """One chart, equal to itself only. The SQL in it is ours; what users give goes in as parameters."""

    title: str
    unit: str
    dataset: str
    values: Mapping[str, str]
    """Name of a line → SQL of its value; where a chart is split, the one name is not shown."""
    split: str = ""
    """SQL of what its lines are split by and named after; empty: it is not split."""


@dataclass(frozen=True)
class Period:
    """What a chart shows."""

    since: datetime
    until: datetime

    @property
    def step(self) -> timedelta:
        """Between two points, whole seconds."""
        return timedelta(seconds=max(1, round((self.until - self.since).total_seconds() / POINTS)))


def lines(root: Path, chart: Chart, where: Mapping[str, str], period: Period) -> list[Line]:
    """The lines of a chart; none where nothing is stored of that time. A step without values has no point.

    Args:
        root: where the files sink stores.
        chart: what to draw.
        where: column → value that rows must have.
        period: from when until when.
    """
    try:
        stored = Files(root, since=period.since)
    except Misconfigured:
        return []
    found: dict[str, list[tuple[float, float]]] = {}
    with stored as files:
        asked = files.ask(_sql(chart, where), (period.step, *where.values(), period.since, period.until))
        for at, split, *means in asked.rows:
            for name, mean in zip(chart.values, means, strict=True):
                if mean is not None:
                    found.setdefault(str(split) if chart.split else name, []).append((at, round(mean, 3)))
    highest = sorted(found.items(), key=lambda line: -max(mean for _, mean in line[1]))
    return sorted(highest[:LINES], key=lambda line: line[0])


def _sql(chart: Chart, where: Mapping[str, str]) -> str:
    means = ", ".join(f"avg({value})" for value in chart.values.values())
    conditions = " AND ".join([*(f'"{column}" = ?' for column in where), "time >= ?", "time < ?"])
    return (
        f"SELECT epoch_ms(time_bucket(?, time)), {chart.split or 'NULL'}, {means} FROM {chart.dataset} "  # noqa: S608  our own words
        f"WHERE {conditions} GROUP BY ALL ORDER BY 1"
    )
