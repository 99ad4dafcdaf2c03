"""File formats: rows as Arrow tables for Parquet or as JSON Lines, and reading them back. Independent of manifests."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import datetime
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa
from pyarrow import parquet

from sinks import datasets
from sinks.files.hourly_files import hour_folder
from sinks.rows import Dataset, Row

if TYPE_CHECKING:
    from sinks.sink import Item

ARROW_TYPES: Final = {
    "string": pa.string(),
    "long": pa.int64(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("us", tz="UTC"),
}
LABELS_TYPE: Final = pa.map_(pa.string(), pa.string())
RowsByFile = dict[tuple[Dataset, str], list[Row]]
"""Rows by dataset and hour folder."""


def arrow_schema(dataset: Dataset) -> pa.Schema:
    """Returns the Parquet schema of a dataset."""
    columns = [(column.name, ARROW_TYPES[column.type]) for column in dataset.columns]
    return pa.schema([("time", ARROW_TYPES["timestamp"]), *columns, ("labels", LABELS_TYPE)])


def arrow_table(dataset: Dataset, rows: list[Row]) -> pa.Table:
    """Returns rows as an Arrow table."""
    *columns, labels = zip(*rows, strict=True)
    schema = arrow_schema(dataset)
    arrays = [pa.array(values, field.type) for values, field in zip(columns, schema, strict=False)]
    label_array = pa.array([tuple(row_labels.items()) for row_labels in labels], LABELS_TYPE)
    return pa.Table.from_arrays([*arrays, label_array], schema=schema)


def _json_value(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    # JSON has neither NaN nor infinity.
    return None if isinstance(value, float) and not isfinite(value) else value


def json_lines(dataset: Dataset, rows: list[Row]) -> bytes:
    """Returns rows as JSON Lines, with null for missing values."""
    objects = (dict(zip(dataset.names, map(_json_value, row), strict=True)) for row in rows)
    lines = (json.dumps(fields, ensure_ascii=False, separators=(",", ":")) for fields in objects)
    return "".join(f"{line}\n" for line in lines).encode()


def read_rows(path: Path, dataset: Dataset, names: tuple[str, ...]) -> Iterator[Row]:
    """Yields some columns of a file's rows. A column that the file does not have is null."""
    if path.suffix == ".parquet":
        with parquet.ParquetFile(path) as file:
            # Files from before a schema was extended have fewer columns.
            existing = [name for name in names if name in file.schema_arrow.names]
            table = file.read(columns=existing)
        values = {name: table[name].to_pylist() for name in existing}
        if "labels" in values:
            values["labels"] = [dict(labels or ()) for labels in values["labels"]]
        yield from zip(*(values.get(name) or [None] * len(table) for name in names), strict=True)
        return
    times = {"time"} | {column.name for column in dataset.columns if column.type == "timestamp"}
    with path.open() as file:
        for line in file:
            row = json.loads(line)
            yield tuple(_parse_time(row.get(name)) if name in times else row.get(name) for name in names)


def _parse_time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)


def rows_by_file(items: Iterable[Item]) -> tuple[RowsByFile, dict[int, str]]:
    """Converts records of one topic into rows.

    Returns:
        The rows by dataset and hour, and the reason by offset for records that cannot be converted.
    """
    files: RowsByFile = {}
    refused: dict[int, str] = {}
    for item in items:
        try:
            rows = [
                (dataset, row, hour_folder(row[0]))
                for dataset in datasets.for_topic(item.alias)
                for row in dataset.rows(item.record)
            ]
        except Exception as error:  # noqa: BLE001  one record must never stop a partition
            refused[item.offset] = f"cannot be converted to rows: {error!r}"
            continue
        for dataset, row, hour in rows:
            files.setdefault((dataset, hour), []).append(row)
    return files, refused
