"""Records that Kafka has not taken yet, on disk and in order, within limits of size and age. SQLite in WAL mode.

A file of its own beside the journal: the journal is small, is written at every record and never synced; this one is
written only while Kafka does not take records, is synced at its checkpoints so that a power cut leaves it whole, and
may be on another, larger disk. One process at a time has it open.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, NamedTuple

from pydantic import Field

from runtime.errors import Misconfigured
from runtime.settings import Settings

LOCKED_S: Final = 5.0
"""Another process that has the file open may take this long to end."""
FRAME: Final = 200
"""Bytes that a record takes on disk beside its key and value, at most."""
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
    """Where records wait while Kafka does not take them, and how many may."""

    directory: Annotated[Path | None, Field(validation_alias="RACKSTREAM_SPOOL_DIR")] = None
    """Directory of the spools; unset: `producers` in the data directory."""
    max_bytes: Annotated[int, Field(validation_alias="RACKSTREAM_SPOOL_MAX_BYTES", ge=1_000_000)] = 1_073_741_824
    """Bytes that one producer's spool may hold; beyond, its oldest records are dropped, counted and named."""
    max_age_s: Annotated[float, Field(validation_alias="RACKSTREAM_SPOOL_MAX_AGE_S", gt=0)] = timedelta(
        days=7
    ).total_seconds()
    """Seconds that a record may wait there; default 7 days, as long as the raw topics keep it."""


class Row(NamedTuple):
    """One record as it goes to Kafka, and what it is."""

    at: float
    """When it was handed over: Unix time."""
    host: str
    category: str
    epoch: str
    sequence: int
    topic: str
    key: bytes
    value: bytes

    @property
    def size(self) -> int:
        """Bytes it takes on disk, at most."""
        return len(self.key) + len(self.value) + FRAME


@dataclass(frozen=True)
class Drop:
    """Records given up: sequences first to last of one epoch."""

    host: str
    category: str
    epoch: str
    first: int
    last: int
    cause: str

    @property
    def count(self) -> int:
        """How many they are."""
        return self.last - self.first + 1

    def joined(self, other: Drop) -> Drop | None:
        """Both as one, where `other` goes on where this one ends; else None."""
        follows = other.first == self.last + 1 and replace(other, first=self.first, last=self.last) == self
        return replace(self, last=other.last) if follows else None


def merged(drops: Iterable[Drop]) -> list[Drop]:
    """The same, with what is contiguous made one; in the order of each range's first."""
    open_: dict[tuple[str, str, str], int] = {}
    found: list[Drop] = []
    for drop in drops:
        series = (drop.host, drop.category, drop.epoch)
        at = open_.get(series)
        if at is not None and (both := found[at].joined(drop)):
            found[at] = both
        else:
            open_[series] = len(found)
            found.append(drop)
    return found


class Spool:
    """One producer's file. Every change is one transaction; for one thread at a time.

    Methods raise sqlite3.Error when the disk is full or fails; then nothing of that call has happened.
    """

    def __init__(self, path: Path, *, max_bytes: int, max_age_s: float) -> None:
        """Opens or makes the file.

        Raises:
            Misconfigured: it cannot be opened, is no spool, or another process has it open.
        """
        self.path = path
        self.max_bytes, self.max_age_s = max_bytes, max_age_s
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = sqlite3.connect(path, timeout=LOCKED_S, isolation_level=None, check_same_thread=False)
            self._db.execute("pragma auto_vacuum = incremental")  # before the file has anything in it
            self._db.execute("pragma locking_mode = exclusive")
            self._db.execute("pragma journal_mode = wal")
            self._db.execute("pragma synchronous = normal")
            self._db.executescript(SCHEMA)
            count, size, oldest, last = self._db.execute(
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
        """Records in the file."""
        self.bytes: int = size
        """Bytes they take, at most."""
        self.oldest_at: float | None = oldest
        """When the oldest of them was handed over: Unix time; None without records."""
        self._last: int = last

    def write(
        self,
        rows: Sequence[Row],
        *,
        gone: Iterable[int] = (),
        noted: Iterable[Drop] = (),
        named: Iterable[Drop] = (),
    ) -> list[int]:
        """Appends rows and returns their numbers, which rise.

        `gone`: numbers of rows that are not needed any more. `noted`: drops to be remembered. `named`: drops that a
        delivered record has named, to be forgotten.
        """
        numbers = list(range(self._last + 1, self._last + 1 + len(rows)))
        gone = list(gone)
        with self._changing():
            deleted, freed = self._delete(gone)
            self._db.executemany(
                "insert into records (id, size, at, host, category, epoch, sequence, topic, key, value) "
                "values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                ((number, row.size, *row) for number, row in zip(numbers, rows, strict=True)),
            )
            self._note(noted)
            self._db.executemany(
                "delete from dropped where host = ? and category = ? and epoch = ? and first >= ? and last <= ?",
                ((each.host, each.category, each.epoch, each.first, each.last) for each in named),
            )
            oldest = self._oldest()
        self._last += len(rows)
        self.records += len(rows) - deleted
        self.bytes += sum(row.size for row in rows) - freed
        self.oldest_at = oldest
        return numbers

    def after(self, number: int, *, most: int, most_bytes: int) -> list[tuple[int, Row]]:
        """The next rows beyond `number`, oldest first: up to `most` of them, and `most_bytes` but for the first."""
        found: list[tuple[int, Row]] = []
        size = 0
        for each in self._db.execute(
            "select id, at, host, category, epoch, sequence, topic, key, value from records where id > ? "
            "order by id limit ?",
            (number, most),
        ):
            row = Row(*each[1:])
            size += row.size
            if found and size > most_bytes:
                break
            found.append((each[0], row))
        return found

    def trim(self, now: float, *, beyond: int) -> list[Drop]:
        """Drops the oldest rows that are too old or too much, remembers and returns them.

        Rows up to `beyond` are on their way to Kafka and stay.
        """
        if self.bytes <= self.max_bytes and (self.oldest_at is None or self.oldest_at >= now - self.max_age_s):
            return []
        size, last, drops = self.bytes, beyond, []
        for number, at, taken, host, category, epoch, sequence in self._db.execute(
            "select id, at, size, host, category, epoch, sequence from records where id > ? order by id", (beyond,)
        ):
            if size > self.max_bytes:
                cause = "spool full"
            elif at < now - self.max_age_s:
                cause = "too old"
            else:
                break
            size -= taken
            last = number
            drops.append(Drop(host, category, epoch, sequence, sequence, cause))
        if not drops:
            return []
        ranges = merged(drops)
        with self._changing():
            self._db.execute("delete from records where id > ? and id <= ?", (beyond, last))
            self._note(ranges)
            oldest = self._oldest()
        self.records -= len(drops)
        self.bytes, self.oldest_at = size, oldest
        return ranges

    def drops(self) -> list[Drop]:
        """What was dropped and is not known to have been named, by this or an earlier process."""
        rows = self._db.execute("select host, category, epoch, first, last, cause from dropped order by epoch, first")
        return [Drop(*row) for row in rows]

    def take_over(self, other: Spool) -> int:
        """Moves another's rows here, in their order; returns how many. A kill on the way leaves some in both."""
        count = 0
        while found := other.after(0, most=1000, most_bytes=16 * 1024 * 1024):
            self.write([row for _, row in found])
            other.write((), gone=[number for number, _ in found])
            count += len(found)
        return count

    def shrink(self) -> None:
        """Gives the disk back what deleted rows took."""
        with suppress(sqlite3.Error):  # on a full disk: a later time
            # As a script: `execute` makes but one step, which frees one page.
            self._db.executescript("pragma incremental_vacuum; pragma wal_checkpoint(truncate);")

    def close(self) -> None:
        """Closes the file."""
        self._db.close()

    def _delete(self, numbers: Sequence[int]) -> tuple[int, int]:
        freed = deleted = 0
        for number in numbers:
            row = self._db.execute("delete from records where id = ? returning size", (number,)).fetchone()
            if row is not None:
                deleted, freed = deleted + 1, freed + row[0]
        return deleted, freed

    def _note(self, drops: Iterable[Drop]) -> None:
        self._db.executemany(
            "insert or replace into dropped values (?, ?, ?, ?, ?, ?)",
            ((drop.host, drop.category, drop.epoch, drop.first, drop.last, drop.cause) for drop in drops),
        )

    def _oldest(self) -> float | None:
        row = self._db.execute("select at from records order by id limit 1").fetchone()
        return row[0] if row else None

    @contextmanager
    def _changing(self) -> Iterator[None]:
        self._db.execute("begin immediate")
        try:
            yield
            self._db.execute("commit")
        except BaseException:
            if self._db.in_transaction:  # a full disk may have rolled back by itself
                self._db.execute("rollback")
            raise
