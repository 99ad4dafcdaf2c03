"""Spool file: records not yet accepted by Kafka, in order, within limits of size and age.

The spool is a file of its own beside the sequence journal. The journal is small, written for every record and never
synced; the spool is written only while Kafka does not accept records, is synced at its checkpoints so that it survives
a power cut, and may be on another, larger disk. Only one process at a time can open it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, NamedTuple

from pydantic import Field

from runtime.errors import Misconfigured
from runtime.private_files import make_private_directory, make_private_file
from runtime.settings import Settings

LOCK_TIMEOUT_S: Final = 5.0
"""Another process that has the file open gets this long to exit."""
ROW_OVERHEAD_BYTES: Final = 200
"""Upper limit of the bytes that a record takes on disk in addition to its key and value."""
SCHEMA: Final = """
create table if not exists records (
  id integer primary key, at real not null, size integer not null, host text not null, category text not null,
  epoch text not null, sequence integer not null, topic text not null, key blob not null, value blob not null
);
create table if not exists dropped (
  host text, category text, epoch text, first integer, last integer, cause text,
  primary key (host, category, epoch, first)
) without rowid;
"""


class SpoolSettings(Settings):
    """Location and limits of the spools, in which records wait while Kafka is unavailable."""

    directory: Annotated[Path | None, Field(validation_alias="RACKSTREAM_SPOOL_DIR")] = None
    """Directory of the spools; unset: `producers` in the data directory."""
    max_bytes: Annotated[int, Field(validation_alias="RACKSTREAM_SPOOL_MAX_BYTES", ge=1_000_000)] = 1_073_741_824
    """Bytes that one producer's spool may hold; beyond, its oldest records are dropped, counted and reported."""
    max_age_s: Annotated[float, Field(validation_alias="RACKSTREAM_SPOOL_MAX_AGE_S", gt=0)] = timedelta(
        days=7
    ).total_seconds()
    """Seconds that a record may wait there; default 7 days, as long as the raw topics retain it."""


class RecordId(NamedTuple):
    """Identity of a record."""

    host: str
    category: str
    epoch: str
    sequence: int


class OutgoingRecord(NamedTuple):
    """Encoded record on its way to Kafka."""

    at: float
    """Unix time at which it was published."""
    host: str
    category: str
    epoch: str
    sequence: int
    topic: str
    key: bytes
    value: bytes

    @property
    def id(self) -> RecordId:
        """Identity of the record."""
        return RecordId(self.host, self.category, self.epoch, self.sequence)

    @property
    def size(self) -> int:
        """Upper limit of the bytes it takes on disk."""
        return len(self.key) + len(self.value) + ROW_OVERHEAD_BYTES


@dataclass(frozen=True)
class DroppedRange:
    """Dropped records: sequences first to last of one epoch."""

    host: str
    category: str
    epoch: str
    first: int
    last: int
    cause: str

    @classmethod
    def of_record(cls, record: OutgoingRecord, cause: str) -> DroppedRange:
        """Returns the range of a single record."""
        return cls(record.host, record.category, record.epoch, record.sequence, record.sequence, cause)

    @property
    def count(self) -> int:
        """Number of dropped records."""
        return self.last - self.first + 1

    def joined(self, other: DroppedRange) -> DroppedRange | None:
        """Returns one range for both, or None if `other` does not directly follow this range."""
        follows = other.first == self.last + 1 and replace(other, first=self.first, last=self.last) == self
        return replace(self, last=other.last) if follows else None


def merge_ranges(drops: Iterable[DroppedRange]) -> list[DroppedRange]:
    """Joins contiguous ranges; the result is ordered by the first range of each."""
    open_ranges: dict[tuple[str, str, str], int] = {}
    ranges: list[DroppedRange] = []
    for drop in drops:
        series = (drop.host, drop.category, drop.epoch)
        index = open_ranges.get(series)
        if index is not None and (joined := ranges[index].joined(drop)):
            ranges[index] = joined
        else:
            open_ranges[series] = len(ranges)
            ranges.append(drop)
    return ranges


@dataclass
class SpoolChanges:
    """Changes to the spool that its next write makes along with new records."""

    finished: list[int] = field(default_factory=list)
    """Numbers of spooled records that were delivered or rejected: they are deleted."""
    dropped: list[DroppedRange] = field(default_factory=list)
    """Drops to store until a delivered record reports them."""
    reported: list[DroppedRange] = field(default_factory=list)
    """Drops that a delivered record has reported: they are deleted."""

    def __bool__(self) -> bool:
        return bool(self.finished or self.dropped or self.reported)

    def pop_all(self) -> SpoolChanges:
        """Returns the changes and clears them."""
        changes = SpoolChanges(self.finished, self.dropped, self.reported)
        self.finished, self.dropped, self.reported = [], [], []
        return changes

    def restore(self, changes: SpoolChanges) -> None:
        """Puts changes back that could not be written."""
        self.finished[:0] = changes.finished
        self.dropped[:0] = changes.dropped
        self.reported[:0] = changes.reported


class Spool:
    """Spool file of one producer. Every change is one transaction; for one thread at a time.

    Methods raise sqlite3.Error when the disk is full or fails; the call has then changed nothing.
    """

    def __init__(self, path: Path, *, max_bytes: int, max_age_s: float) -> None:
        """Opens or creates the file.

        Raises:
            Misconfigured: The file cannot be opened, is no spool, or another process has it open.
        """
        self.path = path
        self.max_bytes, self.max_age_s = max_bytes, max_age_s
        try:
            make_private_directory(path.parent)
            make_private_file(path)
            self.database = sqlite3.connect(path, timeout=LOCK_TIMEOUT_S, isolation_level=None, check_same_thread=False)
            """Connection to the file, which it keeps locked against other processes."""
            self.database.execute("pragma auto_vacuum = incremental")  # must precede the first table
            self.database.execute("pragma locking_mode = exclusive")
            self.database.execute("pragma journal_mode = wal")
            self.database.execute("pragma synchronous = normal")
            self.database.executescript(SCHEMA)
            count, size, oldest, last = self.database.execute(
                "select count(*), coalesce(sum(size), 0), min(at), coalesce(max(id), 0) from records"
            ).fetchone()
        except (OSError, sqlite3.Error) as error:
            raise Misconfigured(
                f"the producer's spool {path} cannot be opened ({error}); "
                + (
                    "another producer of this name runs on this data directory: give one of them another --name"
                    if "locked" in str(error)
                    else "set RACKSTREAM_SPOOL_DIR to a writable directory, or move the file away"
                )
            ) from error
        self.records: int = count
        """Number of records in the file."""
        self.bytes: int = size
        """Upper limit of the bytes they take."""
        self.oldest_at: float | None = oldest
        """Unix time at which the oldest record was published. None: the spool is empty."""
        self._last_number: int = last

    def write(self, records: Sequence[OutgoingRecord], changes: SpoolChanges | None = None) -> list[int]:
        """Appends records and applies changes. Returns the numbers of the records, which rise."""
        changes = changes or SpoolChanges()
        numbers = list(range(self._last_number + 1, self._last_number + 1 + len(records)))
        with self._transaction():
            deleted, freed_bytes = self._delete(changes.finished)
            self.database.executemany(
                "insert into records (id, size, at, host, category, epoch, sequence, topic, key, value) "
                "values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                ((number, record.size, *record) for number, record in zip(numbers, records, strict=True)),
            )
            self._store_drops(changes.dropped)
            self.database.executemany(
                "delete from dropped where host = ? and category = ? and epoch = ? and first >= ? and last <= ?",
                ((drop.host, drop.category, drop.epoch, drop.first, drop.last) for drop in changes.reported),
            )
            oldest_at = self._query_oldest_at()
        self._last_number += len(records)
        self.records += len(records) - deleted
        self.bytes += sum(record.size for record in records) - freed_bytes
        self.oldest_at = oldest_at
        return numbers

    def read_after(self, number: int, *, max_records: int, max_bytes: int) -> list[tuple[int, OutgoingRecord]]:
        """Returns the records after `number`, oldest first; at least one, whatever `max_bytes` is."""
        records: list[tuple[int, OutgoingRecord]] = []
        size = 0
        for row in self.database.execute(
            "select id, at, host, category, epoch, sequence, topic, key, value from records where id > ? "
            "order by id limit ?",
            (number, max_records),
        ):
            record = OutgoingRecord(*row[1:])
            size += record.size
            if records and size > max_bytes:
                break
            records.append((row[0], record))
        return records

    def trim(self, now: float, *, in_flight_until: int) -> list[DroppedRange]:
        """Drops the oldest records beyond the limits of age and size.

        Returns the drops, which are also stored.

        Records up to number `in_flight_until` are on their way to Kafka and stay.
        """
        if self.bytes <= self.max_bytes and (self.oldest_at is None or self.oldest_at >= now - self.max_age_s):
            return []
        size, last, drops = self.bytes, in_flight_until, []
        for number, at, record_size, host, category, epoch, sequence in self.database.execute(
            "select id, at, size, host, category, epoch, sequence from records where id > ? order by id",
            (in_flight_until,),
        ):
            if size > self.max_bytes:
                cause = "spool full"
            elif at < now - self.max_age_s:
                cause = "too old"
            else:
                break
            size -= record_size
            last = number
            drops.append(DroppedRange(host, category, epoch, sequence, sequence, cause))
        if not drops:
            return []
        ranges = merge_ranges(drops)
        with self._transaction():
            self.database.execute("delete from records where id > ? and id <= ?", (in_flight_until, last))
            self._store_drops(ranges)
            oldest_at = self._query_oldest_at()
        self.records -= len(drops)
        self.bytes, self.oldest_at = size, oldest_at
        return ranges

    def unreported_drops(self) -> list[DroppedRange]:
        """Returns drops of this or an earlier process that no delivered record has reported."""
        rows = self.database.execute(
            "select host, category, epoch, first, last, cause from dropped order by epoch, first"
        )
        return [DroppedRange(*row) for row in rows]

    def absorb(self, other: Spool) -> int:
        """Moves the records of another spool here, in order. Returns their number.

        If the process is killed meanwhile, some records are in both spools.
        """
        count = 0
        while chunk := other.read_after(0, max_records=1000, max_bytes=16 * 1024 * 1024):
            self.write([record for _, record in chunk])
            other.write((), SpoolChanges(finished=[number for number, _ in chunk]))
            count += len(chunk)
        return count

    def shrink(self) -> None:
        """Returns the space of deleted records to the file system."""
        with suppress(sqlite3.Error):  # disk full: done by a later call
            # As a script, since `execute` makes only one step, which frees one page.
            self.database.executescript("pragma incremental_vacuum; pragma wal_checkpoint(truncate);")

    def close(self) -> None:
        """Closes the file."""
        self.database.close()

    def _delete(self, numbers: Sequence[int]) -> tuple[int, int]:
        """Deletes records. Returns how many there were and the bytes they took."""
        freed_bytes = deleted = 0
        for number in numbers:
            row = self.database.execute("delete from records where id = ? returning size", (number,)).fetchone()
            if row is not None:
                deleted, freed_bytes = deleted + 1, freed_bytes + row[0]
        return deleted, freed_bytes

    def _store_drops(self, drops: Iterable[DroppedRange]) -> None:
        self.database.executemany(
            "insert or replace into dropped values (?, ?, ?, ?, ?, ?)",
            ((drop.host, drop.category, drop.epoch, drop.first, drop.last, drop.cause) for drop in drops),
        )

    def _query_oldest_at(self) -> float | None:
        row = self.database.execute("select at from records order by id limit 1").fetchone()
        return row[0] if row else None

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self.database.execute("begin immediate")
        try:
            yield
            self.database.execute("commit")
        except BaseException:
            if self.database.in_transaction:  # SQLite may have rolled back itself, as on a full disk
                self.database.execute("rollback")
            raise
