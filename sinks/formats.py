"""Rows as the content of files: Arrow tables for Parquet, text for JSON lines. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

from sinks import datasets
from sinks.rows import Dataset, Row

if TYPE_CHECKING:
    from sinks.sink import Item

ARROW: Final = {
    "string": pa.string(),
    "long": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
LABELS: Final = pa.map_(pa.string(), pa.string())
Tables = dict[tuple[Dataset, str], list[Row]]
"""Rows by dataset and hour folder."""


def schema(dataset: Dataset) -> pa.Schema:
    """The Parquet schema of a dataset."""
    columns = [(column.name, ARROW[column.type]) for column in dataset.columns]
    return pa.schema([("time", ARROW["timestamp"]), *columns, ("labels", LABELS)])


def table(dataset: Dataset, rows: list[Row]) -> pa.Table:
    """Rows as an Arrow table."""
    *columns, labels = zip(*rows, strict=True)
    kinds = schema(dataset)
    arrays = [pa.array(values, kind.type) for values, kind in zip(columns, kinds, strict=False)]
    return pa.Table.from_arrays([*arrays, pa.array([tuple(each.items()) for each in labels], LABELS)], schema=kinds)


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat()
    # JSON has no NaN and no infinity.
    return None if isinstance(value, float) and not isfinite(value) else value


def lines(dataset: Dataset, rows: list[Row]) -> bytes:
    """Rows as JSON lines, unknown values as null."""
    texts = (
        json.dumps(dict(zip(dataset.names, map(_plain, row), strict=True)), ensure_ascii=False, separators=(",", ":"))
        for row in rows
    )
    return "".join(f"{text}\n" for text in texts).encode()


def folder(moment: datetime) -> str:
    """The hour folder of a row's time."""
    return moment.astimezone(UTC).strftime("date=%Y-%m-%d/hour=%H")


def tables(items: Iterable[Item]) -> tuple[Tables, dict[int, str]]:
    """The rows of some records of one topic, and why of which offsets no rows can be made."""
    found: Tables = {}
    refused: dict[int, str] = {}
    for item in items:
        try:
            rows = [(each, row, folder(row[0])) for each in datasets.of(item.alias) for row in each.rows(item.record)]
        except Exception as error:  # noqa: BLE001  one record must never stop a partition
            refused[item.offset] = f"no rows can be made of it: {error!r}"
            continue
        for dataset, row, hour in rows:
            found.setdefault((dataset, hour), []).append(row)
    return found, refused
