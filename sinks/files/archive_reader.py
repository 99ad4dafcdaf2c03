"""Reads an archive: its records by topic, partition and offset, from the files alone. No Kafka. Files: `archive`.

A topic that was deleted and created again, or that lost its end, used offsets twice. Here the newest run of a topic
keeps its numbers, if it is the one that is on Kafka now; what was before gets numbers below 0, in its order.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final, NamedTuple

import fastavro

from runtime.errors import Misconfigured
from runtime.kafka import Span
from sinks.files.archive_sink import SCHEMAS
from sinks.files.manifest import Entry, read_manifest
from sinks.sink import Partition, Wire


class Archived(NamedTuple):
    """One record."""

    offset: int
    wire: Wire


@dataclass(frozen=True)
class _Run:
    """The commits of one partition with one numbering."""

    topic_id: str
    entries: tuple[Entry, ...]

    @property
    def end(self) -> int:
        return self.entries[-1].last + 1


@dataclass(frozen=True)
class _Shifted:
    """One commit, and what is added to its offsets."""

    entry: Entry
    shift: int

    @property
    def first(self) -> int:
        return self.entry.first + self.shift

    @property
    def end(self) -> int:
        return self.entry.last + 1 + self.shift


class Archive:
    """One archive, as its manifests are now.

    Args:
        root: its directory.
        current: topic → its id on Kafka now; None: Kafka is gone, and the newest run of each is the one that counts.

    Raises:
        Misconfigured: there is none.
    """

    def __init__(self, root: Path, current: Mapping[str, str] | None) -> None:
        self._root: Final = root
        self.ids: dict[str, str] = {}
        """Topic → the id of its newest run here."""
        entries = list(read_manifest(root))
        if not entries:
            raise Misconfigured(f"{root} has no archive: `rackstream sink archive` writes one; name its directory")
        self._commits: dict[Partition, list[_Shifted]] = {}
        self.missing: list[str] = []
        """Files that were committed and are gone."""
        self._broken: set[Partition] = set()
        for key in sorted({(each.topic, each.partition) for each in entries}):
            runs = self._in_order(_runs([each for each in entries if (each.topic, each.partition) == key]))
            if runs:
                self.ids[key[0]] = runs[-1].topic_id
            self._commits[key] = list(_shifted(runs, (self.ids if current is None else current).get(key[0])))
            gone = [
                file.path for run in runs for each in run.entries for file in each.files if not self._has(file.path)
            ]
            if gone:
                self.missing += gone
                self._broken.add(key)

    @property
    def spans(self) -> dict[str, dict[int, Span]]:
        """First offset and end of each topic and partition."""
        found: dict[str, dict[int, Span]] = {}
        for (topic, number), commits in self._commits.items():
            found.setdefault(topic, {})[number] = (commits[0].first, commits[-1].end)
        return found

    def schemas(self) -> dict[int, dict[str, Any]]:
        """The schemas that the records were written with, by id."""
        return {int(path.stem): json.loads(path.read_text()) for path in (self._root / SCHEMAS).glob("*.avsc")}

    def whole(self, partition: Partition) -> bool:
        """Whether every record from the topic's first on is here."""
        commits = self._commits[partition]
        fits = all(before.end == after.first for before, after in pairwise(commits))
        return fits and commits[0].entry.first == 0 and partition not in self._broken

    def at(self, partition: Partition, appended_ms: int) -> int:
        """The first offset appended at or after a time; the end if there is none."""
        commits = [each for each in self._commits[partition] if any(self._has(file.path) for file in each.entry.files)]
        found = bisect_left(commits, appended_ms, key=lambda each: self._first_ms(each.entry) or 0)
        for each in commits[max(0, found - 1) :]:
            for record in self._records(each):
                if _ms(record.wire.appended_at) >= appended_ms:
                    return record.offset
        return self._commits[partition][-1].end

    def read(self, partition: Partition, span: Span) -> Iterator[Archived]:
        """The records in [first, end), in their order."""
        first, end = span
        for each in self._commits[partition]:
            if each.first < end and first < each.end:
                yield from (record for record in self._records(each) if first <= record.offset < end)

    def _records(self, commit: _Shifted) -> list[Archived]:
        """What one commit has, in the order of its offsets, which lie in several hours' files."""
        found = [
            Archived(each["offset"] + commit.shift, _wire(each))
            for file in commit.entry.files
            for each in self._file(file.path)
        ]
        return sorted(found, key=lambda each: each.offset)

    def _file(self, path: str) -> Iterator[dict[str, Any]]:
        if self._has(path):
            with (self._root / path).open("rb") as file:
                yield from fastavro.reader(file)

    def _has(self, path: str) -> bool:
        return (self._root / path).exists()

    def _first_ms(self, entry: Entry) -> int | None:
        """When the first record of a commit was appended; None: none is left of it."""
        firsts = [next(self._file(file.path), None) for file in entry.files]
        return min((_ms(each["appended_at"]) for each in firsts if each is not None), default=None)

    def _in_order(self, runs: list[_Run]) -> list[_Run]:
        """Runs by the time of their first record; those of one topic id are in order as they are."""
        known: dict[str, int] = {}
        for run in runs:
            times = (found for each in run.entries if (found := self._first_ms(each)) is not None)
            known.setdefault(run.topic_id, next(times, 0))
        return sorted(runs, key=lambda run: known[run.topic_id])


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _wire(plain: dict[str, Any]) -> Wire:
    headers = tuple((header["key"], header["value"]) for header in plain["headers"])
    return Wire(plain["key"], plain["value"], plain["appended_at"], headers)


def _runs(entries: Iterable[Entry]) -> list[_Run]:
    """The commits of one partition, parted where the numbering begins anew."""
    found: list[list[Entry]] = []
    for entry in entries:
        if entry.last < entry.first:
            found.append([])  # the topic had lost its end: see `Entry`
            continue
        if not found or (found[-1] and found[-1][-1].topic_id != entry.topic_id):
            found.append([])
        found[-1].append(entry)
    return [_Run(run[0].topic_id, tuple(run)) for run in found if run]


def _shifted(runs: list[_Run], current: str | None) -> Iterator[_Shifted]:
    shifts: list[int] = []
    below = 0
    for at, run in enumerate(reversed(runs)):
        if at == 0 and run.topic_id == current:
            shifts.append(0)
            below = 0
        else:
            shifts.append(below - run.end)
            below -= run.end
    for run, shift in zip(runs, reversed(shifts), strict=True):
        yield from (_Shifted(entry, shift) for entry in run.entries)
