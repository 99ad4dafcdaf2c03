"""Stored history: which offsets it covers, and its rows as the datasets define them. Reads committed files only."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from runtime.settings import KafkaSettings
from sinks.manifest import read_manifest, stored
from sinks.rows import Dataset, Row
from sinks.settings import FilesSettings


def root(settings: KafkaSettings) -> Path:
    """Where the files sink stores."""
    return FilesSettings.read().root or settings.data_dir / "files"


def reached(files: Path) -> dict[tuple[str, int], int]:
    """(topic, partition) → the first offset that is not stored."""
    ends: dict[tuple[str, int], int] = {}
    for entry in read_manifest(files):
        key = (entry.topic, entry.partition)
        ends[key] = max(ends.get(key, 0), entry.last + 1)
    return ends


def rows(files: Path, dataset: Dataset) -> Iterator[Row]:
    """Every stored row of a dataset, in the order of its columns; one that is stored twice comes twice."""
    for path in stored(files, dataset.name):
        read = _jsonl if path.suffix == ".jsonl" else _parquet
        yield from read(path, dataset)


def _parquet(path: Path, dataset: Dataset) -> Iterator[Row]:
    from pyarrow import parquet

    table = parquet.read_table(path, partitioning=None)
    columns = [table[name].to_pylist() if name in table.column_names else [None] * len(table) for name in dataset.names]
    for values in zip(*columns, strict=True):
        yield (*values[:-1], dict(values[-1] or ()))


def _jsonl(path: Path, dataset: Dataset) -> Iterator[Row]:
    kinds = {"time": "timestamp"} | {column.name: column.type for column in dataset.columns}
    with path.open() as lines:
        for line in lines:
            row = json.loads(line)
            yield tuple(_value(row.get(name), kinds.get(name)) for name in dataset.names)


def _value(value: Any, kind: str | None) -> Any:
    return datetime.fromisoformat(value) if kind == "timestamp" and value is not None else value
