"""Comparison of stored files with a replay: reports every difference, and stores nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from sinks import datasets
from sinks.files import formats
from sinks.files.hourly_files import hour_folder
from sinks.files.manifest import ManifestEntry, ReplayRange, read_manifest
from sinks.files.retention import kept_since
from sinks.replay.destination import DIFFERENCE_KINDS, Difference, DifferenceKind, OnDifference, ReplayCounts

if TYPE_CHECKING:
    from runtime.kafka import OffsetRange
    from sinks.rows import Dataset, Row
    from sinks.sink import Item


class FileComparison:
    """Compares stored files with a replay, one partition number after the other.

    Args:
        root: Directory of the files.
        period: The records of the replay.
        topics: Name → alias of each topic.
        incomplete: Aliases of topics of which the replay lacks records: additional stored rows are no difference.
        on_difference: Called with each difference.
    """

    def __init__(
        self,
        root: Path,
        period: ReplayRange,
        topics: Mapping[str, str],
        incomplete: set[str],
        on_difference: OnDifference,
    ) -> None:
        self._root, self._period, self._topics, self._incomplete = root, period, topics, incomplete
        self._on_difference = on_difference
        self._kept_since = kept_since(root)
        self._entries: list[ManifestEntry] = []
        self._stored: dict[str, dict[Row, list[Row]]] = {}
        """By dataset: identity → stored rows that the replay has not yielded yet."""
        self._compared: dict[str, set[Row]] = {}
        """By dataset: identities that the replay has yielded."""
        self._records: set[tuple[str, object, object]] = set()
        """Alias, epoch and sequence of the records of the replay."""
        self.counts = ReplayCounts()
        self.difference_counts: dict[DifferenceKind, int] = dict.fromkeys(DIFFERENCE_KINDS, 0)

    def read_stored(self) -> None:
        """Reads the manifests."""
        self._entries = list(read_manifest(self._root))

    def open(self, number: int, aliases: Mapping[str, OffsetRange]) -> None:
        """Reads the stored rows of one partition number."""
        topics = {name for name, alias in self._topics.items() if alias in aliases}
        first_hour, last_hour = hour_folder(self._period.since), hour_folder(self._period.until)
        names = [dataset.name for alias in aliases for dataset in datasets.for_topic(alias)]
        self._stored, self._compared = {name: {} for name in names}, {name: set() for name in names}
        self._records = set()
        for entry in self._entries:
            for file in entry.files if entry.topic in topics and entry.partition == number else ():
                hour = "/".join(Path(file.path).parts[1:3])
                path = self._root / file.path
                if file.dataset in self._stored and first_hour <= hour <= last_hour and path.exists():
                    self._read_file(datasets.find(file.dataset), path)

    def put(self, item: Item) -> None:
        """Compares the rows of one record."""
        self._records.add((item.alias, item.record.get("epoch"), item.record.get("sequence")))
        for dataset, row in self._rows(item):
            identity = dataset.identity(row)
            if identity in self._compared[dataset.name] or self._is_expired(row):
                continue
            self._compared[dataset.name].add(identity)
            stored_rows = self._stored[dataset.name].pop(identity, [])
            if not stored_rows:
                self._report("missing", dataset, row)
                continue
            self.counts.add(dataset.name, new=0, already_stored=1)
            for duplicate in stored_rows[1:]:
                self._report("twice", dataset, duplicate)
            if row not in stored_rows:
                self._report("different", dataset, row, stored_rows[0])

    def skip(self, item: Item) -> None:
        """Ignores the rows of a record that the live sink will store, or has just stored."""
        for dataset, row in self._rows(item):
            self._stored[dataset.name].pop(dataset.identity(row), None)

    def commit(self, number: int, covered: Mapping[str, OffsetRange]) -> None:  # noqa: ARG002  the signature of a destination
        """Reports stored rows that the replay did not yield as `additional`."""
        for name, rows_by_identity in self._stored.items():
            dataset = datasets.find(name)
            if dataset.alias not in self._incomplete:
                for rows in rows_by_identity.values():
                    for row in rows if self._is_in_replay(dataset, rows[0]) else ():
                        self._report("additional", dataset, row)

    def finish(self, left_out: Iterable[str]) -> None:
        """Does nothing: each partition number was compared as a whole."""

    def close(self) -> None:
        """Does nothing."""

    def _rows(self, item: Item) -> list[tuple[Dataset, Row]]:
        files, refused = formats.rows_by_file([item])
        self.counts.refuse(refused.values())
        return [(dataset, row) for (dataset, _), rows in files.items() for row in rows]

    def _read_file(self, dataset: Dataset, path: Path) -> None:
        for row in formats.read_rows(path, dataset, dataset.names):
            if not self._is_expired(row):
                self._stored[dataset.name].setdefault(dataset.identity(row), []).append(row)

    def _is_expired(self, row: Row) -> bool:
        """True if retention deletes the row."""
        return self._kept_since is not None and bool(row[0] < self._kept_since)

    def _is_in_replay(self, dataset: Dataset, row: Row) -> bool:
        """True if a stored row comes from a record of the replay."""
        values = dict(zip(dataset.names, row, strict=True))
        if any(part.sources[0][0] for part in dataset.parts):  # rows have times of their own, not the record's
            return (dataset.alias, values["epoch"], values["sequence"]) in self._records
        return self._period.contains({"observed_at": values["time"], "host": values.get("host")})

    def _report(self, kind: DifferenceKind, dataset: Dataset, row: Row, stored: Row | None = None) -> None:
        self.difference_counts[kind] += 1
        names = dataset.names[: 1 + len(dataset.tags)]
        identity = {name: _json_value(value) for name, value in zip(names, row, strict=False)}
        difference: Difference = {"what": kind, "dataset": dataset.name, "row": identity}
        if stored is not None:
            values = zip(dataset.names, stored, row, strict=True)
            difference["fields"] = {
                name: [_json_value(old), _json_value(new)] for name, old, new in values if old != new
            }
        self._on_difference(difference)


def _json_value(value: object) -> object:
    return value.isoformat() if isinstance(value, datetime) else value


def difference_line(difference: Difference) -> str:
    """Formats a difference on one line; of fields, the stored value comes first."""
    identity = " ".join(str(value) for value in difference["row"].values())
    fields = difference.get("fields", {})
    changes = ", ".join(f"{name} {stored!r} instead of {replayed!r}" for name, (stored, replayed) in fields.items())
    return f"{difference['what']} {difference['dataset']} {identity}" + (f": {changes}" if changes else "")
