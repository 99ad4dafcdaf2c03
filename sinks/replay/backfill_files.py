"""Fills stored files up with the rows that a replay brings and that are not there. Deletes and changes no stored row.

    <root>/<dataset>/date=YYYY-MM-DD/hour=HH/replay-<id>-<topic>-<number>.<format>
    <root>/_manifest/replay.jsonl

The rows of one record and dataset are in one file, so the record is there if one of its rows is. What Kafka does not
hold any more is not lost by a replay, for what is stored stays. A partition number's files are committed together, by
lines of the replays' own manifest; those of a replay that was killed before are deleted by the next one. The sink may
run meanwhile: it writes other files.
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
from sinks.files.hourly_files import folder, remove, sync, write_file
from sinks.files.manifest import FOLDER, Entry, File, Journal, Range, read_manifest
from sinks.files.sink import Format, writer
from sinks.replay.destination import Tally, Topics
from sinks.rows import Dataset, Row

if TYPE_CHECKING:
    from runtime.kafka import Span
    from sinks.sink import Item

HELD_ROWS: Final = 200_000
"""Rows in memory before files are written."""
OURS: Final = re.compile(r"\.?replay-\d+T\d+-.+")


class Refill:
    """Stored files as the destination of a replay. `write=False`: only counts what would be stored.

    Raises:
        Retry: another replay runs, or the disk says no.
        Misconfigured: there are files, and no manifest says which of them count.
    """

    def __init__(
        self, root: Path, kind: Format, within: Range, topics: Topics, *, started: datetime, write: bool
    ) -> None:
        self._root, self._format, self._range, self._topics = root, kind, within, topics
        self._id = started.strftime("%Y%m%dT%H%M%S%f")
        self.tally = Tally()
        if not any((root / FOLDER).glob("*.jsonl")) and any(root.glob("*/date=*/hour=*/*")):
            raise Misconfigured(
                f"{root} has files and no {FOLDER}, which says what they hold: bring it back, or move them away too"
            )
        self._journal = Journal(root, "replay") if write else None
        self._coverage = Coverage(read_manifest(root))
        self._seen: dict[str, set[Row]] = {}
        self._rows: dict[tuple[Dataset, str], list[Row]] = {}
        self._held = 0
        self._made: list[Path] = []
        self._files: dict[str, list[File]] = {}
        self._written = 0
        if self._journal is not None:
            remove(list(self._left_over(self._journal)))

    def _left_over(self, journal: Journal) -> Iterator[Path]:
        found = {
            str(path.relative_to(self._root)): path
            for path in self._root.glob("*/date=*/hour=*/*replay-*")
            if OURS.fullmatch(path.name)
        }
        committed = journal.committed(set(found))
        yield from (path for name, path in found.items() if name not in committed)

    def open(self, number: int, aliases: Iterable[str]) -> None:
        """Begins one partition number: learns which records of these topics are stored."""
        hours = folder(self._range.since), folder(self._range.until)
        names = {self._topics[alias][0] for alias in aliases}
        self._seen = {each.name: set() for alias in aliases for each in datasets.of(alias)}
        for entry in read_manifest(self._root):
            for file in entry.files if entry.topic in names and entry.partition == number else ():
                hour = "/".join(Path(file.path).parts[1:3])
                path = self._root / file.path
                if file.dataset in self._seen and hours[0] <= hour <= hours[1] and path.exists():
                    dataset = datasets.named(file.dataset)
                    self._seen[file.dataset].update(formats.read(path, dataset, origin(dataset)))

    def put(self, item: Item) -> None:
        """Takes one record's rows, those of it that are not stored."""
        tables, refused = formats.tables([item])
        self.tally.refuse(refused.values())
        for (dataset, hour), rows in tables.items():
            origin_of = _picker(dataset)
            seen = self._seen[dataset.name]
            # Compared with what was there before this record: two of its own rows may have one origin.
            fresh = [row for row in rows if origin_of(row) not in seen]
            seen.update(map(origin_of, fresh))
            self.tally.add(dataset.name, new=len(fresh), there=len(rows) - len(fresh))
            if fresh and self._journal is not None:
                self._rows.setdefault((dataset, hour), []).extend(fresh)
                self._held += len(fresh)
        if self._held >= HELD_ROWS:
            self._guarded(self._write)

    def leave(self, item: Item) -> None:
        """Nothing to do."""

    def commit(self, number: int, covered: Mapping[str, Span]) -> None:
        """Ends one partition number: of each topic the records at these offsets, of the replay's range, are stored."""
        if self._journal is not None:
            self._guarded(lambda: self._commit(number, covered))

    def close(self) -> None:
        """Lets the next replay in; files that are not committed go."""
        remove(self._made)
        if self._journal is not None:
            self._journal.close()

    def _write(self) -> None:
        """Writes the rows held."""
        self._written += 1
        for (dataset, hour), rows in self._rows.items():
            name = f"replay-{self._id}-{self._topics[dataset.alias][0]}-{self._written}.{self._format}"
            path = self._root / dataset.name / hour / name
            write = writer(dataset, rows, self._format)
            file = write_file(self._root, path, dataset.name, write, self._made)
            self._files.setdefault(dataset.alias, []).append(file)
        self._rows, self._held = {}, 0

    def _commit(self, number: int, covered: Mapping[str, Span]) -> None:
        assert self._journal is not None
        if self._held:
            self._write()
        for each in {path.parent for path in self._made}:
            sync(each)
        self._journal.check()
        for alias, (first, end) in covered.items():
            files = tuple(self._files.pop(alias, ()))
            entry = Entry(*self._topics[alias], number, first, max(first, end) - 1, self._format, files, self._range)
            if files or (first < end and not self._coverage.implies(entry)):
                self._journal.append(entry)
            paths = {self._root / file.path for file in files}
            self._made = [path for path in self._made if path not in paths]

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except OSError as error:
            raise Retry(f"cannot write under {self._root}: {error.strerror or error}") from error


def origin(dataset: Dataset) -> tuple[str, ...]:
    """The columns that say which record a row is of: its time, the tags read off the record itself, epoch, sequence."""
    depths = [max(part.sources[at][0] for part in dataset.parts) for at in range(len(dataset.names))]
    tags = {column.name for column in dataset.tags}
    of_record = tuple(name for name, depth in zip(dataset.names, depths, strict=True) if name in tags and depth == 0)
    return ("time", *of_record, "epoch", "sequence")


def _picker(dataset: Dataset) -> Callable[[Row], Row]:
    return itemgetter(*(dataset.names.index(name) for name in origin(dataset)))
