"""Counters of the audit: sequences of raw records, and facts expected against facts found.

Sequences are merged to ranges, and facts are kept as digests in a temporary database on disk, so memory does not grow
with the amount of data.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Final, Self

from schemas.records import AppSample, HostSample, LibvirtSample, RedfishSample
from sinks.files.int_ranges import IntRanges

RawRecord = AppSample | HostSample | LibvirtSample | RedfishSample
INSERT_BATCH: Final = 5_000
"""Facts inserted per transaction."""
LOST_QUERY: Final = """
    select distinct identity, 1 from facts as fact where kind = :kind and side = 'expected' and not exists
        (select 1 from facts where kind = :kind and side = 'found' and identity = fact.identity)"""
PENDING_QUERY: Final = """
    select distinct identity, 1 from facts as fact where kind = :kind and side = 'possible' and not exists
        (select 1 from facts where kind = :kind and side in ('found', 'expected') and identity = fact.identity)"""
TWICE_QUERY: Final = """
    select identity, count(*) - 1 from facts as fact where kind = :kind and side = 'found' and exists
        (select 1 from facts where kind = :kind and side in ('expected', 'possible') and identity = fact.identity)
    group by identity having count(*) > 1"""
WRONG_QUERY: Final = """
    select fact.identity, 1 from
        (select identity, min(rowid) as first from facts where kind = :kind and side = 'found' group by identity
        ) as fact
    where exists
        (select 1 from facts where kind = :kind and side in ('expected', 'possible') and identity = fact.identity)
    and not exists
        (select 1 from facts where kind = :kind and side in ('expected', 'possible') and identity = fact.identity
            and value = (select value from facts where rowid = fact.first))"""
INVENTED_QUERY: Final = """
    select identity, count(*) from facts as fact where kind = :kind and side = 'found' and not exists
        (select 1 from facts where kind = :kind and side in ('expected', 'possible') and identity = fact.identity)
    group by identity"""


@dataclass
class Reconciliation:
    """Differences between expected and found facts."""

    lost: int = 0
    """Expected, not found."""
    twice: int = 0
    """Surplus copies of facts found more than once."""
    wrong: int = 0
    """Found with another value than expected."""
    invented: int = 0
    """Found, not expected."""
    pending: int = 0
    """Not found, but not due yet."""
    examples: list[str] = field(default_factory=list)


class FactSets:
    """Expected and found facts of several kinds, by identity.

    As a context manager: the database is deleted on exit.
    """

    EXAMPLES: Final = 5
    """Examples kept per kind and kind of difference."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)  # an anonymous temporary file
        self._db.execute("pragma cache_size = -16384")
        self._db.execute("pragma synchronous = off")
        self._db.execute("pragma journal_mode = off")
        self._db.execute("create table facts (kind text, side text, identity text, value blob)")
        self._waiting: list[tuple[str, str, str, bytes]] = []
        self._indexed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def expect(self, kind: str, identity: Hashable, value: object, *, due: bool = True) -> None:
        """Adds an expected fact. Of several values expected for one identity, any is right.

        Args:
            kind: Kind of the fact.
            identity: Identity within the kind.
            value: The expected value.
            due: False if the fact need not be there yet.
        """
        self._put("expected" if due else "possible", kind, identity, value)

    def add_found(self, kind: str, identity: Hashable, value: object) -> None:
        """Adds a fact that was found."""
        self._put("found", kind, identity, value)

    def reconcile(self, kind: str, *, complete: bool = True) -> Reconciliation:
        """Compares the facts of a kind.

        Args:
            kind: Kind of the facts.
            complete: True if all expected facts are known, so that any other found fact counts as invented.
        """
        self._index()
        result = Reconciliation()
        result.lost = self._count(result, kind, "lost", LOST_QUERY)
        result.twice = self._count(result, kind, "twice", TWICE_QUERY)
        result.wrong = self._count(result, kind, "wrong", WRONG_QUERY)
        [[result.pending]] = self._db.execute(f"select count(*) from ({PENDING_QUERY})", {"kind": kind})  # noqa: S608  ours
        if complete:
            result.invented = self._count(result, kind, "invented", INVENTED_QUERY)
        return result

    def count_found(self, kind: str) -> int:
        """Number of found facts of a kind, copies included."""
        self._index()
        [[count]] = self._db.execute("select count(*) from facts where kind = ? and side = 'found'", [kind])
        return int(count)

    def _put(self, side: str, kind: str, identity: Hashable, value: object) -> None:
        self._waiting.append((kind, side, _text(identity), digest(value)))
        if len(self._waiting) >= INSERT_BATCH:
            self._write()

    def _write(self) -> None:
        self._db.execute("begin")
        self._db.executemany("insert into facts values (?, ?, ?, ?)", self._waiting)
        self._db.execute("commit")
        self._waiting.clear()

    def _index(self) -> None:
        self._write()
        if not self._indexed:
            self._db.execute("create index by_identity on facts (kind, side, identity)")
        self._indexed = True

    def _count(self, result: Reconciliation, kind: str, difference: str, query: str) -> int:
        count = 0
        for number, (identity, copies) in enumerate(self._db.execute(query, {"kind": kind})):
            count += copies
            if number < self.EXAMPLES:
                result.examples.append(f"{difference}: {identity}")
        return count


def digest(value: object) -> bytes:
    """Digest that is equal for equal values, also for 1 and 1.0."""
    return blake2b(_text(value).encode(), digest_size=16).digest()


def _text(value: object) -> str:
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False)


def _plain(value: object) -> object:
    if isinstance(value, dict):
        return {str(name): _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return int(value) if value.is_integer() else repr(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()  # DuckDB, pyarrow and the codec use different tzinfo classes
    return value.hex() if isinstance(value, bytes) else value


@dataclass
class SequenceRanges:
    """Sequences of raw records that share an identity apart from epoch and sequence.

    Records are added in the order of their partition.
    """

    received: dict[str, IntRanges] = field(default_factory=dict)
    """Sequences by epoch."""
    reported: dict[str, IntRanges] = field(default_factory=dict)
    """Sequences that record headers report as dropped, by epoch."""
    last_assigned: dict[str, int] = field(default_factory=dict)
    """Last sequence assigned in an epoch, as the first record of the next epoch reports it."""
    newest: tuple[str, int] | None = None
    late: int = 0
    twice: int = 0

    def add(self, record: RawRecord) -> None:
        """Adds the next record."""
        epoch, sequence = record["epoch"], record["sequence"]
        sequences = self.received.setdefault(epoch, IntRanges())
        if sequence in sequences:
            self.twice += 1
            return
        sequences.add(sequence, sequence)
        if self.newest is not None and (epoch, sequence) < self.newest:
            self.late += 1
        else:
            self.newest = (epoch, sequence)
        if record["previous_epoch"] is not None:
            self.last_assigned[record["previous_epoch"]] = record["previous_sequence"] or 0
        for dropped in record["dropped"]:
            self.reported.setdefault(dropped.get("epoch") or epoch, IntRanges()).add(dropped["first"], dropped["last"])

    def gaps(self, *, from_start: bool) -> tuple[int, int]:
        """Counts missing sequences.

        Args:
            from_start: True if the topic still holds its first record, so that every epoch must begin at 0.

        Returns:
            (lost, reported): missing without explanation, and reported as dropped by a later header.
        """
        lost = reported = 0
        for number, (epoch, sequences) in enumerate(sorted(self.received.items())):
            first_expected = 0 if from_start or number else sequences.first
            reported_ranges = self.reported.get(epoch, IntRanges())
            for first, last in sequences.gaps(first_expected):
                accounted = reported_ranges.count_within(first, last)
                reported += accounted
                lost += last - first + 1 - accounted
            # Records that a killed producer numbered last and could not send.
            reported += max(0, self.last_assigned.get(epoch, -1) - sequences.last)
        reported += sum(
            last + 1 for epoch, last in self.last_assigned.items() if epoch not in self.received and from_start
        )
        return lost, reported
