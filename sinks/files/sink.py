"""The files sink: rows as Parquet or JSON lines, partitioned by their own day and hour (UTC). How: `hours`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from pyarrow import parquet

from sinks import datasets
from sinks.files import formats
from sinks.files.dedup_store import Recall
from sinks.files.hourly_files import Contents, HourSink, Write
from sinks.files.retention import FOREVER, Keep

if TYPE_CHECKING:
    from runtime.settings import KafkaSettings
    from sinks.rows import Dataset, Row
    from sinks.sink import Item

Format = Literal["parquet", "jsonl"]


def writer(dataset: Dataset, rows: list[Row], kind: Format) -> Write:
    """What writes rows in a format."""
    return partial(_parquet if kind == "parquet" else _lines, dataset, rows)


def _parquet(dataset: Dataset, rows: list[Row], file: IO[bytes]) -> int:
    parquet.write_table(formats.table(dataset, rows), file, compression="zstd")
    return len(rows)


def _lines(dataset: Dataset, rows: list[Row], file: IO[bytes]) -> int:
    file.write(formats.lines(dataset, rows))
    return len(rows)


class FilesSink(HourSink):
    """Stores rows as files, those of each record once."""

    name = "files"
    topics = datasets.aliases()

    def __init__(self, settings: KafkaSettings, root: Path, kind: Format = "parquet", keep: Keep = FOREVER) -> None:
        super().__init__(settings, root, kind, keep, Recall(settings))
        self._format: Format = kind

    def datasets_of(self, topic: str) -> list[str]:
        """The datasets of a topic."""
        return [each.name for each in datasets.of(self._settings.catalog.named(topic).alias)]

    def contents(self, items: list[Item]) -> tuple[Contents, dict[int, str]]:
        """Rows by dataset and hour."""
        tables, refused = formats.tables(items)
        made = {(each.name, hour): writer(each, rows, self._format) for (each, hour), rows in tables.items()}
        return made, refused
