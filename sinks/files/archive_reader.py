"""Reads the records of an archive by topic, partition and offset, from its files alone. No Kafka.

A topic that was deleted and created again, or that lost its end, has used offsets twice. Here the newest run of offsets
keeps them, if it belongs to the topic that is on Kafka now; earlier runs get offsets below 0, in their order.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, cast

import fastavro

from runtime.errors import Misconfigured
from runtime.kafka import OffsetRange
from sinks.files.archive_sink import SCHEMA_FOLDER, ArchivedRow
from sinks.files.manifest import ManifestEntry, read_manifest
from sinks.sink import KafkaRecord, Partition

if TYPE_CHECKING:
    from schemas.catalog import AvroType


class ArchivedRecord(NamedTuple):
    """Record of an archive."""

    offset: int
    original: KafkaRecord


@dataclass(frozen=True)
class _OffsetRun:
    """Consecutive commits of one partition whose offsets have the same numbering."""

    topic_id: str
    entries: tuple[ManifestEntry, ...]

    @property
    def end(self) -> int:
        return self.entries[-1].last + 1


@dataclass(frozen=True)
class _ShiftedCommit:
    """Commit with the number that is added to its offsets."""

    entry: ManifestEntry
    shift: int

    @property
    def first(self) -> int:
        return self.entry.first + self.shift

    @property
    def end(self) -> int:
        return self.entry.last + 1 + self.shift


class Archive:
    """An archive as of its creation: commits that follow later are not seen.

    Args:
        root: Its directory.
        current: Topic → its id on Kafka now. None if Kafka is unavailable: the newest run of each topic counts.

    Raises:
        Misconfigured: There is no archive.
    """

    def __init__(self, root: Path, current: Mapping[str, str] | None) -> None:
        self._root: Final = root
        self.topic_ids: dict[str, str] = {}
        """Topic → id of its newest run in the archive."""
        self.missing_files: list[str] = []
        """Committed files that do not exist any more."""
        self._commits: dict[Partition, list[_ShiftedCommit]] = {}
        self._incomplete: set[Partition] = set()
        entries: dict[Partition, list[ManifestEntry]] = {}
        for entry in read_manifest(root):
            entries.setdefault((entry.topic, entry.partition), []).append(entry)
        if not entries:
            raise Misconfigured(f"{root} has no archive: `rackstream sink archive` writes one; name its directory")
        for partition in sorted(entries):
            runs = self._sort_runs(_offset_runs(entries[partition]))
            topic = partition[0]
            if runs:
                self.topic_ids[topic] = runs[-1].topic_id
            current_id = (self.topic_ids if current is None else current).get(topic)
            self._commits[partition] = list(_shift_offsets(runs, current_id))
            files = (file for run in runs for entry in run.entries for file in entry.files)
            missing = [file.path for file in files if not self._exists(file.path)]
            if missing:
                self.missing_files += missing
                self._incomplete.add(partition)

    @property
    def spans(self) -> dict[str, dict[int, OffsetRange]]:
        """Offsets [first, end) by topic and partition."""
        spans: dict[str, dict[int, OffsetRange]] = {}
        for (topic, number), commits in self._commits.items():
            spans.setdefault(topic, {})[number] = (commits[0].first, commits[-1].end)
        return spans

    def schemas(self) -> dict[int, dict[str, AvroType]]:
        """Returns the schemas that the records were written with, by id."""
        return {int(path.stem): json.loads(path.read_text()) for path in (self._root / SCHEMA_FOLDER).glob("*.avsc")}

    def is_complete(self, partition: Partition) -> bool:
        """True if the archive has every record of a partition since the topic was created."""
        commits = self._commits[partition]
        has_no_gap = all(before.end == after.first for before, after in pairwise(commits))
        return has_no_gap and commits[0].entry.first == 0 and partition not in self._incomplete

    def offset_at(self, partition: Partition, appended_ms: int) -> int:
        """Returns the first offset appended at or after a time; the end if there is none."""
        commits = [
            commit for commit in self._commits[partition] if any(self._exists(file.path) for file in commit.entry.files)
        ]
        index = bisect_left(commits, appended_ms, key=lambda commit: self._first_appended_ms(commit.entry) or 0)
        for commit in commits[max(0, index - 1) :]:
            for record in self._records(commit):
                if _unix_ms(record.original.appended_at) >= appended_ms:
                    return record.offset
        return self._commits[partition][-1].end

    def read(self, partition: Partition, span: OffsetRange) -> Iterator[ArchivedRecord]:
        """Yields the records in [first, end), in the order of their offsets."""
        first, end = span
        for commit in self._commits[partition]:
            if commit.first < end and first < commit.end:
                yield from (record for record in self._records(commit) if first <= record.offset < end)

    def _records(self, commit: _ShiftedCommit) -> list[ArchivedRecord]:
        """Returns the records of one commit, which are in the files of several hours, in the order of their offsets."""
        records = [
            ArchivedRecord(row["offset"] + commit.shift, _kafka_record(row))
            for file in commit.entry.files
            for row in self._read_file(file.path)
        ]
        return sorted(records, key=lambda record: record.offset)

    def _read_file(self, path: str) -> Iterator[ArchivedRow]:
        if self._exists(path):
            with (self._root / path).open("rb") as file:
                yield from cast("Iterator[ArchivedRow]", fastavro.reader(file))

    def _exists(self, path: str) -> bool:
        return (self._root / path).exists()

    def _first_appended_ms(self, entry: ManifestEntry) -> int | None:
        """Returns when the first record of a commit was appended; None if its files are gone."""
        first_rows = [next(self._read_file(file.path), None) for file in entry.files]
        return min((_unix_ms(row["appended_at"]) for row in first_rows if row is not None), default=None)

    def _sort_runs(self, runs: list[_OffsetRun]) -> list[_OffsetRun]:
        """Sorts runs by the time of the first record of their topic id; runs of one topic id are in order already."""
        started_ms: dict[str, int] = {}
        for run in runs:
            times = (first_ms for entry in run.entries if (first_ms := self._first_appended_ms(entry)) is not None)
            started_ms.setdefault(run.topic_id, next(times, 0))
        return sorted(runs, key=lambda run: started_ms[run.topic_id])


def _unix_ms(time: datetime) -> int:
    return round(time.timestamp() * 1000)


def _kafka_record(row: ArchivedRow) -> KafkaRecord:
    headers = tuple((header["key"], header["value"]) for header in row["headers"])
    return KafkaRecord(row["key"], row["value"], row["appended_at"], headers)


def _offset_runs(entries: Iterable[ManifestEntry]) -> list[_OffsetRun]:
    """Splits the commits of one partition where the numbering of its offsets begins again."""
    runs: list[list[ManifestEntry]] = []
    for entry in entries:
        if entry.last < entry.first:
            runs.append([])  # the topic had lost its end: see `ManifestEntry`
            continue
        if not runs or (runs[-1] and runs[-1][-1].topic_id != entry.topic_id):
            runs.append([])
        runs[-1].append(entry)
    return [_OffsetRun(run[0].topic_id, tuple(run)) for run in runs if run]


def _shift_offsets(runs: list[_OffsetRun], current_id: str | None) -> Iterator[_ShiftedCommit]:
    shifts: list[int] = []
    next_end = 0
    for age, run in enumerate(reversed(runs)):
        if age == 0 and run.topic_id == current_id:
            shifts.append(0)
            next_end = 0
        else:
            shifts.append(next_end - run.end)
            next_end -= run.end
    for run, shift in zip(runs, reversed(shifts), strict=True):
        yield from (_ShiftedCommit(entry, shift) for entry in run.entries)
