"""Counts what should be there against what is: sequences of raw records, facts by identity.

Neither keeps what it has seen: sequences become ranges, facts a digest each, in a temporary database on disk. What an
audit needs of memory does not grow with what it reads.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final, Self

from sinks.files.int_ranges import Ranges

Record = dict[str, Any]
AT_ONCE: Final = 5_000
"""Facts that are written together."""
LOST: Final = """
    select distinct identity, 1 from facts as one where kind = :kind and side = 'expected' and not exists
        (select 1 from facts where kind = :kind and side = 'found' and identity = one.identity)"""
PENDING: Final = """
    select distinct identity, 1 from facts as one where kind = :kind and side = 'possible' and not exists
        (select 1 from facts where kind = :kind and side in ('found', 'expected') and identity = one.identity)"""
TWICE: Final = """
    select identity, count(*) - 1 from facts as one where kind = :kind and side = 'found' and exists
        (select 1 from facts where kind = :kind and side in ('expected', 'possible') and identity = one.identity)
    group by identity having count(*) > 1"""
WRONG: Final = """
    select one.identity, 1 from
        (select identity, min(rowid) as first from facts where kind = :kind and side = 'found' group by identity) as one
    where exists
        (select 1 from facts where kind = :kind and side in ('expected', 'possible') and identity = one.identity)
    and not exists
        (select 1 from facts where kind = :kind and side in ('expected', 'possible') and identity = one.identity
            and value = (select value from facts where rowid = one.first))"""
INVENTED: Final = """
    select identity, count(*) from facts as one where kind = :kind and side = 'found' and not exists
        (select 1 from facts where kind = :kind and side in ('expected', 'possible') and identity = one.identity)
    group by identity"""


@dataclass
class Tally:
    """How two sides compare."""

    lost: int = 0
    """Should be there and are not."""
    twice: int = 0
    """Are there more than once, counted as often as they are too many."""
    wrong: int = 0
    """Are there, with another value."""
    invented: int = 0
    """Are there and should not be."""
    pending: int = 0
    """Are not there, and need not be yet."""
    examples: list[str] = field(default_factory=list)


class Facts:
    """Facts of several kinds, by identity, on two sides. As a context manager: its database goes at the end."""

    EXAMPLES: Final = 5
    """Of each kind and each way to differ."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)  # a file without a name, which nobody else sees
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

    def expect(self, kind: str, identity: Hashable, value: Any, *, yet: bool = True) -> None:
        """Takes in what should be there. An identity with two values is right if it is either. `yet`: already."""
        self._put("expected" if yet else "possible", kind, identity, value)

    def find(self, kind: str, identity: Hashable, value: Any) -> None:
        """Takes in what is there."""
        self._put("found", kind, identity, value)

    def tally(self, kind: str, *, complete: bool = True) -> Tally:
        """Compares. `complete`: the expected side is whole, so that what is found beyond it is invented."""
        self._index()
        tally = Tally()
        tally.lost = self._count(tally, kind, "lost", LOST)
        tally.twice = self._count(tally, kind, "twice", TWICE)
        tally.wrong = self._count(tally, kind, "wrong", WRONG)
        [[tally.pending]] = self._db.execute(f"select count(*) from ({PENDING})", {"kind": kind})  # noqa: S608  ours
        if complete:
            tally.invented = self._count(tally, kind, "invented", INVENTED)
        return tally

    def found(self, kind: str) -> int:
        """How many facts of a kind are there, one that is there twice counted twice."""
        self._index()
        [[count]] = self._db.execute("select count(*) from facts where kind = ? and side = 'found'", [kind])
        return int(count)

    def _put(self, side: str, kind: str, identity: Hashable, value: Any) -> None:
        self._waiting.append((kind, side, _text(identity), digest(value)))
        if len(self._waiting) >= AT_ONCE:
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

    def _count(self, tally: Tally, kind: str, what: str, query: str) -> int:
        count = 0
        for number, (identity, each) in enumerate(self._db.execute(query, {"kind": kind})):
            count += each
            if number < self.EXAMPLES:
                tally.examples.append(f"{what}: {identity}")
        return count


def digest(value: Any) -> bytes:
    """The same for values that are equal, also where one side has 1 and the other 1.0."""
    return blake2b(_text(value).encode(), digest_size=16).digest()


def _text(value: Any) -> str:
    return json.dumps(_plain(value), sort_keys=True, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(name): _plain(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    if isinstance(value, float):
        return int(value) if value.is_integer() else repr(value)
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()  # DuckDB, pyarrow and ours have zones of different kinds
    return value.hex() if isinstance(value, bytes) else value


@dataclass
class Series:
    """The raw records of one topic and of one identity but for epoch and sequence, in the order of their partition."""

    seen: dict[str, Ranges] = field(default_factory=dict)
    """Sequences by epoch."""
    named: dict[str, Ranges] = field(default_factory=dict)
    """Sequences that a header says were dropped."""
    numbered: dict[str, int] = field(default_factory=dict)
    """Last sequence of an epoch, as the next epoch's first record names it."""
    newest: tuple[str, int] | None = None
    late: int = 0
    twice: int = 0

    def see(self, record: Record) -> None:
        """Takes the next record in."""
        epoch, sequence = record["epoch"], record["sequence"]
        sequences = self.seen.setdefault(epoch, Ranges())
        if sequence in sequences:
            self.twice += 1
            return
        sequences.add(sequence, sequence)
        if self.newest is not None and (epoch, sequence) < self.newest:
            self.late += 1
        else:
            self.newest = (epoch, sequence)
        if record["previous_epoch"] is not None:
            self.numbered[record["previous_epoch"]] = record["previous_sequence"]
        for each in record["dropped"]:
            self.named.setdefault(each.get("epoch") or epoch, Ranges()).add(each["first"], each["last"])

    def gaps(self, *, from_start: bool) -> tuple[int, int]:
        """(lost, named): sequences missing without a word, and those a later header accounts for.

        Args:
            from_start: the topic still holds its first record, so that every epoch must begin at 0.
        """
        lost = named = 0
        for number, (epoch, sequences) in enumerate(sorted(self.seen.items())):
            begin = 0 if from_start or number else sequences.first
            told = self.named.get(epoch, Ranges())
            for first, last in sequences.holes(begin):
                accounted = told.within(first, last)
                named += accounted
                lost += last - first + 1 - accounted
            # What a killed producer numbered last and could not hand over.
            named += max(0, self.numbered.get(epoch, -1) - sequences.last)
        named += sum(last + 1 for epoch, last in self.numbered.items() if epoch not in self.seen and from_start)
        return lost, named
