"""Rows as the content of files: Arrow tables for Parquet, text for JSON lines; and rows of files. Knows no manifest."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa
from pyarrow import parquet

from sinks import datasets
from sinks.files.hourly_files import folder
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
    return pa.Table.from_arrays([*arrays, pa.array([tuple(label.items()) for label in labels], LABELS)], schema=kinds)


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


def read(path: Path, dataset: Dataset, names: tuple[str, ...]) -> Iterator[Row]:
    """These columns of one file's rows. A column that the file does not have is null."""
    if path.suffix == ".parquet":
        # Of older files too, from before a schema grew.
        there = [name for name in names if name in parquet.read_schema(path).names]
        table = parquet.read_table(path, columns=there, partitioning=None)
        values = {name: table[name].to_pylist() for name in there}
        if "labels" in values:
            values["labels"] = [dict(label or ()) for label in values["labels"]]
        yield from zip(*(values.get(name) or [None] * len(table) for name in names), strict=True)
        return
    times = {"time"} | {column.name for column in dataset.columns if column.type == "timestamp"}
    with path.open() as text:
        for line in text:
            row = json.loads(line)
            yield tuple(_moment(row.get(name)) if name in times else row.get(name) for name in names)


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


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
