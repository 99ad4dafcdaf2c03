"""The files sink: rows as Parquet or JSON Lines in hourly files."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Literal

from pyarrow import parquet

from sinks import datasets
from sinks.files import formats
from sinks.files.dedup_store import DedupStore
from sinks.files.hourly_files import FileContents, HourlyFileSink, WriteFile
from sinks.files.retention import KEEP_ALL, RetentionLimits

if TYPE_CHECKING:
    from runtime.settings import KafkaSettings
    from sinks.rows import Dataset, Row
    from sinks.sink import Item

Format = Literal["parquet", "jsonl"]


def file_writer(dataset: Dataset, rows: list[Row], file_format: Format) -> WriteFile:
    """Returns a function that writes rows to a file."""
    return partial(_write_parquet if file_format == "parquet" else _write_json_lines, dataset, rows)


def _write_parquet(dataset: Dataset, rows: list[Row], file: IO[bytes]) -> int:
    parquet.write_table(formats.arrow_table(dataset, rows), file, compression="zstd")
    return len(rows)


def _write_json_lines(dataset: Dataset, rows: list[Row], file: IO[bytes]) -> int:
    file.write(formats.json_lines(dataset, rows))
    return len(rows)


class FilesSink(HourlyFileSink):
    """Stores the rows of records, those of each record once."""

    name = "files"
    topics = datasets.aliases()

    def __init__(
        self,
        settings: KafkaSettings,
        root: Path,
        file_format: Format = "parquet",
        retention: RetentionLimits = KEEP_ALL,
    ) -> None:
        super().__init__(settings, root, file_format, retention, DedupStore(settings))
        self._row_format: Format = file_format

    def datasets_of(self, topic: str) -> list[str]:
        """Returns the datasets of a topic."""
        return [dataset.name for dataset in datasets.for_topic(self._settings.catalog.find(topic).alias)]

    def file_contents(self, items: list[Item]) -> tuple[FileContents, dict[int, str]]:
        """Groups the rows of records by dataset and hour."""
        files, refused = formats.rows_by_file(items)
        contents = {
            (dataset.name, hour): file_writer(dataset, rows, self._row_format)
            for (dataset, hour), rows in files.items()
        }
        return contents, refused
