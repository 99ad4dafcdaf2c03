"""Backfill of stored files: adds the rows of a replay that are missing. Neither deletes nor changes stored rows.

    <root>/<dataset>/date=YYYY-MM-DD/hour=HH/replay-<id>-<topic>-<number>.<format>
    <root>/_manifest/replay.jsonl

All rows of one record and dataset are in one file, so a record is stored if one of its rows is. A replay loses nothing
that Kafka no longer has, for stored rows stay. The files of a partition number are committed together, by lines in the
manifest of replays; files of a replay that was killed are deleted by the next one. The sink may run meanwhile, as it
writes other files.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Final

from runtime.errors import Misconfigured, Retry
from sinks import datasets
from sinks.files import formats
from sinks.files.coverage import Coverage
from sinks.files.hourly_files import fsync_folder, hour_folder, remove_files, write_file
from sinks.files.manifest import FOLDER, ManifestEntry, ManifestFile, ReplayRange, StoredFile, read_manifest
from sinks.files.sink import Format, file_writer
from sinks.replay.destination import ReplayCounts, TopicIds
from sinks.rows import Dataset, Row

if TYPE_CHECKING:
    from runtime.kafka import OffsetRange
    from sinks.sink import Item

MAX_BUFFERED_ROWS: Final = 200_000
REPLAY_FILE: Final = re.compile(r"\.?replay-\d+T\d+-.+")


class FileBackfill:
    """Stored files as destination of a replay.

    Raises:
        Retry: Another replay is running, or the disk is full, read-only or gone.
        Misconfigured: There are files, but no manifest that lists the committed ones.
    """

    def __init__(
        self,
        root: Path,
        file_format: Format,
        period: ReplayRange,
        topics: TopicIds,
        *,
        started: datetime,
        write: bool,
    ) -> None:
        """`started` distinguishes the files of this replay. `write`: False to only count what would be stored."""
        self._root, self._format, self._period, self._topics = root, file_format, period, topics
        self._id = started.strftime("%Y%m%dT%H%M%S%f")
        self.counts = ReplayCounts()
        if not any((root / FOLDER).glob("*.jsonl")) and any(root.glob("*/date=*/hour=*/*")):
            raise Misconfigured(
                f"{root} has files but no {FOLDER}, which lists them: bring it back, or move the files away too"
            )
        self._manifest = ManifestFile(root, "replay") if write else None
        self._coverage = Coverage(read_manifest(root))
        self._stored_keys: dict[str, set[Row]] = {}
        """By dataset: values of `record_columns` of the stored rows of the open partition number."""
        self._rows: dict[tuple[Dataset, str], list[Row]] = {}
        """Buffered rows by dataset and hour folder."""
        self._buffered = 0
        self._created: list[Path] = []
        """Files that are not committed yet."""
        self._files: dict[str, list[StoredFile]] = {}
        """The same by alias."""
        self._file_number = 0
        if self._manifest is not None:
            remove_files(list(self._uncommitted_files(self._manifest)))

    def _uncommitted_files(self, manifest: ManifestFile) -> Iterator[Path]:
        """Yields files of replays that were killed."""
        files = {
            str(path.relative_to(self._root)): path
            for path in self._root.glob("*/date=*/hour=*/*replay-*")
            if REPLAY_FILE.fullmatch(path.name)
        }
        committed = manifest.committed(set(files))
        yield from (path for name, path in files.items() if name not in committed)

    def open(self, number: int, aliases: Iterable[str]) -> None:
        """Begins one partition number: reads which records of these topics are stored."""
        first_hour, last_hour = hour_folder(self._period.since), hour_folder(self._period.until)
        topics = {self._topics[alias][0] for alias in aliases}
        self._stored_keys = {dataset.name: set() for alias in aliases for dataset in datasets.for_topic(alias)}
        for entry in read_manifest(self._root):
            for file in entry.files if entry.topic in topics and entry.partition == number else ():
                hour = "/".join(Path(file.path).parts[1:3])
                path = self._root / file.path
                if file.dataset in self._stored_keys and first_hour <= hour <= last_hour and path.exists():
                    dataset = datasets.find(file.dataset)
                    keys = formats.read_rows(path, dataset, record_columns(dataset))
                    self._stored_keys[file.dataset].update(keys)

    def put(self, item: Item) -> None:
        """Buffers the rows of one record that are not stored."""
        files, refused = formats.rows_by_file([item])
        self.counts.refuse(refused.values())
        for (dataset, hour), rows in files.items():
            key_of = _record_key(dataset)
            stored_keys = self._stored_keys[dataset.name]
            # Compared before this record's keys are added: two of its own rows may have the same key.
            new_rows = [row for row in rows if key_of(row) not in stored_keys]
            stored_keys.update(map(key_of, new_rows))
            self.counts.add(dataset.name, new=len(new_rows), already_stored=len(rows) - len(new_rows))
            if new_rows and self._manifest is not None:
                self._rows.setdefault((dataset, hour), []).extend(new_rows)
                self._buffered += len(new_rows)
        if self._buffered >= MAX_BUFFERED_ROWS:
            self._retry_on_disk_errors(self._write)

    def skip(self, item: Item) -> None:
        """Does nothing."""

    def commit(self, number: int, covered: Mapping[str, OffsetRange]) -> None:
        """Ends one partition number: the records of the replay at these offsets of each topic are stored."""
        manifest = self._manifest
        if manifest is not None:
            self._retry_on_disk_errors(lambda: self._commit(manifest, number, covered))

    def close(self) -> None:
        """Deletes uncommitted files and releases the lock for the next replay."""
        remove_files(self._created)
        if self._manifest is not None:
            self._manifest.close()

    def _write(self) -> None:
        """Writes the buffered rows to files."""
        self._file_number += 1
        for (dataset, hour), rows in self._rows.items():
            name = f"replay-{self._id}-{self._topics[dataset.alias][0]}-{self._file_number}.{self._format}"
            path = self._root / dataset.name / hour / name
            write = file_writer(dataset, rows, self._format)
            file = write_file(self._root, path, dataset.name, write, self._created)
            self._files.setdefault(dataset.alias, []).append(file)
        self._rows, self._buffered = {}, 0

    def _commit(self, manifest: ManifestFile, number: int, covered: Mapping[str, OffsetRange]) -> None:
        if self._buffered:
            self._write()
        for folder in {path.parent for path in self._created}:
            fsync_folder(folder)
        manifest.verify_root()
        for alias, (first, end) in covered.items():
            files = tuple(self._files.pop(alias, ()))
            last = max(first, end) - 1
            entry = ManifestEntry(*self._topics[alias], number, first, last, self._format, files, self._period)
            if files or (first < end and not self._coverage.covers_entry(entry)):
                manifest.append(entry)
            committed = {self._root / file.path for file in files}
            self._created = [path for path in self._created if path not in committed]

    def _retry_on_disk_errors(self, work: Callable[[], None]) -> None:
        try:
            work()
        except OSError as error:
            raise Retry(f"cannot write under {self._root}: {error.strerror or error}") from error


def record_columns(dataset: Dataset) -> tuple[str, ...]:
    """Returns the columns that identify a row's record: its time, tags of the record itself, epoch and sequence."""
    depths = [max(part.sources[index][0] for part in dataset.parts) for index in range(len(dataset.names))]
    tags = {column.name for column in dataset.tags}
    record_tags = tuple(name for name, depth in zip(dataset.names, depths, strict=True) if name in tags and depth == 0)
    return ("time", *record_tags, "epoch", "sequence")


def _record_key(dataset: Dataset) -> Callable[[Row], Row]:
    """Returns a function that reads the values of `record_columns`."""
    return itemgetter(*(dataset.names.index(name) for name in record_columns(dataset)))
