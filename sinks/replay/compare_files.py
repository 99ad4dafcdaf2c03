"""Stored files against what a replay gives: names every difference, and stores nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sinks import datasets
from sinks.files import formats
from sinks.files.hourly_files import folder
from sinks.files.manifest import Entry, Range, read_manifest
from sinks.files.retention import kept_since
from sinks.replay.destination import KINDS, Difference, Tally, Tell

if TYPE_CHECKING:
    from runtime.kafka import Span
    from sinks.rows import Dataset, Row
    from sinks.sink import Item


class FileComparison:
    """Stored files as what a replay is compared with, one partition number after the other.

    Args:
        root: where the files are.
        within: what the replay is about.
        topics: name → alias of each topic.
        incomplete: topics of which the replay has not all that there was: what is stored beyond it is no difference.
        tell: told of each difference.
    """

    def __init__(
        self,
        root: Path,
        within: Range,
        topics: Mapping[str, str],
        incomplete: set[str],
        tell: Tell,
    ) -> None:
        self._root, self._range, self._topics, self._incomplete, self._tell = root, within, topics, incomplete, tell
        self._since = kept_since(root)
        self._entries: list[Entry] = []
        """What is stored."""
        self._stored: dict[str, dict[Row, list[Row]]] = {}
        self._done: dict[str, set[Row]] = {}
        self._records: set[tuple[str, Any, Any]] = set()
        self.tally = Tally()
        self.counts = dict.fromkeys(KINDS, 0)

    def look(self) -> None:
        """Notes what is stored."""
        self._entries = list(read_manifest(self._root))

    def open(self, number: int, aliases: Mapping[str, Span]) -> None:
        """Reads what is stored of one partition number."""
        names = {name for name, alias in self._topics.items() if alias in aliases}
        hours = folder(self._range.since), folder(self._range.until)
        known = [each for alias in aliases for each in datasets.of(alias)]
        self._stored, self._done = {each.name: {} for each in known}, {each.name: set() for each in known}
        self._records = set()
        for entry in self._entries:
            for file in entry.files if entry.topic in names and entry.partition == number else ():
                hour = "/".join(Path(file.path).parts[1:3])
                if file.dataset in self._stored and hours[0] <= hour <= hours[1] and (self._root / file.path).exists():
                    self._read(datasets.named(file.dataset), self._root / file.path)

    def put(self, item: Item) -> None:
        """Compares the rows of one record."""
        self._records.add((item.alias, item.record.get("epoch"), item.record.get("sequence")))
        for dataset, row in self._rows([item]):
            identity, stored = dataset.identity(row), self._stored[dataset.name]
            if identity in self._done[dataset.name] or self._is_gone(row):
                continue
            self._done[dataset.name].add(identity)
            found = stored.pop(identity, [])
            if not found:
                self._differ("missing", dataset, row)
                continue
            self.tally.add(dataset.name, new=0, there=1)
            for again in found[1:]:
                self._differ("twice", dataset, again)
            if row not in found:
                self._differ("different", dataset, row, found[0])

    def leave(self, item: Item) -> None:
        """Of what the live sink will store, or has just stored, nothing is said."""
        for dataset, row in self._rows([item]):
            self._stored[dataset.name].pop(dataset.identity(row), None)

    def commit(self, number: int, covered: Mapping[str, Span]) -> None:  # noqa: ARG002  the signature of a destination
        """What is stored and did not come is additional."""
        for name, rows in self._stored.items():
            dataset = datasets.named(name)
            if dataset.alias not in self._incomplete:
                for found in rows.values():
                    for row in found if self._is_asked_for(dataset, found[0]) else ():
                        self._differ("additional", dataset, row)

    def finish(self, left_out: Iterable[str]) -> None:
        """Each partition number was compared as a whole."""

    def close(self) -> None:
        """Nothing to let go."""

    def _rows(self, items: Iterable[Item]) -> Iterable[tuple[Dataset, Row]]:
        tables, refused = formats.tables(items)
        self.tally.refuse(refused.values())
        return [(dataset, row) for (dataset, _), rows in tables.items() for row in rows]

    def _read(self, dataset: Dataset, path: Path) -> None:
        for row in formats.read(path, dataset, dataset.names):
            if not self._is_gone(row):
                self._stored[dataset.name].setdefault(dataset.identity(row), []).append(row)

    def _is_gone(self, row: Row) -> bool:
        """Whether retention deletes it."""
        return self._since is not None and bool(row[0] < self._since)

    def _is_asked_for(self, dataset: Dataset, row: Row) -> bool:
        """Whether a stored row is of a record that the replay is about."""
        values = dict(zip(dataset.names, row, strict=True))
        if any(part.sources[0][0] for part in dataset.parts):  # a time of its own, not the record's
            return (dataset.alias, values["epoch"], values["sequence"]) in self._records
        return self._range.holds({"observed_at": values["time"], "host": values.get("host")})

    def _differ(self, what: str, dataset: Dataset, row: Row, stored: Row | None = None) -> None:
        self.counts[what] += 1
        names = dataset.names[: 1 + len(dataset.tags)]
        found: Difference = {"what": what, "dataset": dataset.name, "row": _named(names, row)}
        if stored is not None:
            pairs = zip(dataset.names, stored, row, strict=True)
            found["fields"] = {name: [_plain(a), _plain(b)] for name, a, b in pairs if a != b}
        self._tell(found)


def _named(names: Iterable[str], row: Row) -> dict[str, Any]:
    return {name: _plain(value) for name, value in zip(names, row, strict=False)}


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


def line(found: Difference) -> str:
    """A difference as one line: of fields what is stored, then what the replay gives."""
    where = " ".join(str(value) for value in found["row"].values())
    fields = ", ".join(f"{name} {a!r} instead of {b!r}" for name, (a, b) in found.get("fields", {}).items())
    return f"{found['what']} {found['dataset']} {where}" + (f": {fields}" if fields else "")
