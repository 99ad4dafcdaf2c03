"""The spool: order, limits and what a kill leaves, against a plain list."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from producers.publishing.drop_report import DropReporter
from producers.publishing.spool import (
    ROW_OVERHEAD_BYTES,
    DroppedRange,
    OutgoingRecord,
    Spool,
    SpoolChanges,
    SpoolSettings,
    merge_ranges,
)
from runtime.errors import Misconfigured

MAX_BYTES, MAX_AGE_S = 10 * (ROW_OVERHEAD_BYTES + 20), 100.0


def row(sequence: int, *, at: float = 0.0, host: str = "h", size: int = 10) -> OutgoingRecord:
    return OutgoingRecord(at, host, "thermal", "e", sequence, "t", host.encode(), bytes(size))


def spool(path: Path, **limits: float) -> Spool:
    return Spool(path, **{"max_bytes": MAX_BYTES, "max_age_s": MAX_AGE_S} | limits)


class Model(RuleBasedStateMachine):
    """Rows are appended, handed over, confirmed, trimmed; the process is killed and comes again."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.path = Path(self.directory.name) / "p.spool.db"
        self.spool = spool(self.path)
        self.rows: list[tuple[int, OutgoingRecord]] = []
        self.dropped: set[int] = set()
        self.cursor = self.next = 0
        self.now = 0.0

    def teardown(self) -> None:
        self.spool.close()
        self.directory.cleanup()

    @rule(sizes=st.lists(st.integers(0, 60), max_size=6), passes=st.floats(0, 60))
    def put(self, sizes: list[int], passes: float) -> None:
        self.now += passes
        rows = [row(self.next + n, at=self.now, size=size) for n, size in enumerate(sizes)]
        self.next += len(rows)
        numbers = self.spool.write(rows)
        assert numbers == sorted(numbers)
        assert not numbers or numbers[0] > max((number for number, _ in self.rows), default=0)
        self.rows += zip(numbers, rows, strict=True)

    @rule(most=st.integers(1, 5))
    def hand_over(self, most: int) -> None:
        waiting = [entry for entry in self.rows if entry[0] > self.cursor]
        batch = self.spool.read_after(self.cursor, max_records=most, max_bytes=10**9)
        assert batch == waiting[:most]
        self.cursor = max((number for number, _ in batch), default=self.cursor)

    @precondition(lambda self: any(number <= self.cursor for number, _ in self.rows))
    @rule(data=st.data())
    def confirm(self, data: st.DataObject) -> None:
        on_their_way = [number for number, _ in self.rows if number <= self.cursor]
        gone = data.draw(st.sets(st.sampled_from(on_their_way)))
        self.spool.write((), SpoolChanges(finished=[*gone, 10**6]))
        self.rows = [entry for entry in self.rows if entry[0] not in gone]

    @rule()
    def trim(self) -> None:
        drops = self.spool.trim(self.now, in_flight_until=self.cursor)
        expected = []
        for number, each in [each for each in self.rows if each[0] > self.cursor]:
            size = sum(left.size for _, left in self.rows)
            if size <= MAX_BYTES and each.at >= self.now - MAX_AGE_S:
                break
            self.rows.remove((number, each))
            expected.append(each.sequence)
        assert expected == [sequence for drop in drops for sequence in range(drop.first, drop.last + 1)]
        self.dropped.update(expected)

    @rule()
    def kill(self) -> None:
        self.spool.close()
        self.spool = spool(self.path)
        self.cursor = 0

    @rule()
    def shrink(self) -> None:
        self.spool.shrink()

    @invariant()
    def counts_are_right(self) -> None:
        assert (len(self.rows), sum(each.size for _, each in self.rows)) == (self.spool.records, self.spool.bytes)
        assert min((each.at for _, each in self.rows), default=None) == self.spool.oldest_at
        drops = self.spool.unreported_drops()
        unreported = {sequence for drop in drops for sequence in range(drop.first, drop.last + 1)}
        assert self.dropped == unreported


Model.TestCase.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)
TestModel = Model.TestCase


def test_what_a_named_range_says_is_forgotten_and_nothing_else(tmp_path: Path) -> None:
    ours = spool(tmp_path / "s.db")
    ours.write(
        (),
        SpoolChanges(
            dropped=[
                DroppedRange("h", "c", "e", 0, 4, "full"),
                DroppedRange("h", "c", "e", 5, 9, "full"),
                DroppedRange("g", "c", "e", 0, 1, "full"),
            ]
        ),
    )
    ours.write((), SpoolChanges(reported=[DroppedRange("h", "c", "e", 0, 9, "full")]))

    assert [DroppedRange("g", "c", "e", 0, 1, "full")] == ours.unreported_drops()
    ours.close()


def test_a_full_disk_takes_nothing_and_loses_nothing(tmp_path: Path) -> None:
    ours = spool(tmp_path / "s.db", max_bytes=10**9)
    ours.write([row(n, size=1000) for n in range(100)])
    [[pages]] = ours.database.execute("pragma page_count").fetchall()
    ours.database.execute(f"pragma max_page_count = {pages}")
    with pytest.raises(sqlite3.Error, match="full"):
        ours.write([row(n, size=1000) for n in range(100, 200)], SpoolChanges(finished=[1]))
    assert (100, list(range(100))) == (
        ours.records,
        [each.sequence for _, each in ours.read_after(0, max_records=300, max_bytes=10**9)],
    )
    ours.database.execute("pragma max_page_count = 100000")
    ours.write([row(100)], SpoolChanges(finished=[1]))
    ours.close()

    again = spool(tmp_path / "s.db")
    assert list(range(1, 101)) == [each.sequence for _, each in again.read_after(0, max_records=300, max_bytes=10**9)]
    again.close()


def test_what_was_sent_gives_the_disk_back(tmp_path: Path) -> None:
    ours = spool(tmp_path / "s.db", max_bytes=10**9)
    numbers = ours.write([row(n, size=10_000) for n in range(300)])
    ours.write((), SpoolChanges(finished=numbers))
    ours.shrink()
    ours.close()

    assert sum(each.stat().st_size for each in tmp_path.iterdir()) < 100_000


def test_a_second_process_of_a_name_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producers.publishing.spool.LOCK_TIMEOUT_S", 0.1)
    ours = spool(tmp_path / "s.db")
    with pytest.raises(Misconfigured, match=r"locked.*another producer of this name.*--name"):
        spool(tmp_path / "s.db")
    ours.close()


def test_a_file_that_is_no_spool_is_named(tmp_path: Path) -> None:
    (tmp_path / "s.db").write_text("something else, and long enough not to be taken for an empty file " * 20)
    with pytest.raises(Misconfigured, match=r"s\.db cannot be opened \(file is not a database\).*move the file away"):
        spool(tmp_path / "s.db")


def test_rows_of_an_ended_process_are_taken_over_in_their_order(tmp_path: Path) -> None:
    ours, other = spool(tmp_path / "a.db"), spool(tmp_path / "b.db")
    ours.write([row(0)])
    other.write([row(n, host="other") for n in range(3)])

    assert 3 == ours.absorb(other)
    assert [("h", 0), ("other", 0), ("other", 1), ("other", 2)] == [
        (each.host, each.sequence) for _, each in ours.read_after(0, max_records=9, max_bytes=10**9)
    ]
    assert 0 == other.records
    ours.close()
    other.close()


def test_contiguous_drops_of_one_cause_are_one_range() -> None:
    drops = [
        DroppedRange(host, "c", "e", sequence, sequence, cause)
        for host, sequence, cause in [("h", 0, "x"), ("g", 7, "x"), ("h", 1, "x"), ("h", 2, "y"), ("h", 4, "y")]
    ]

    assert [("h", 0, 1), ("g", 7, 7), ("h", 2, 2), ("h", 4, 4)] == [
        (each.host, each.first, each.last) for each in merge_ranges(drops)
    ]


def test_a_range_is_named_by_one_record_until_that_is_lost_itself() -> None:
    key = ("h", "c")
    naming = DropReporter([DroppedRange(*key, "old", 3, 4, "too old")])
    naming.add(DroppedRange(*key, "e", 0, 1, "spool full"))
    first = naming.header_entries(key, "e")
    assert [("old", 3, 4), (None, 0, 1)] == [(each["epoch"], each["first"], each["last"]) for each in first]
    naming.mark_reported(key, "e", 5)
    assert [] == naming.header_entries(key, "e"), "record 5 names it"

    naming.add(DroppedRange(*key, "e", 2, 5, "spool full"))
    assert [(3, 4), (0, 5)] == [(each["first"], each["last"]) for each in naming.header_entries(key, "e")]
    naming.mark_reported(key, "e", 6)
    naming.add(DroppedRange(*key, "e", 9, 9, "spool full"))
    assert [DroppedRange(*key, "old", 3, 4, "too old"), DroppedRange(*key, "e", 0, 5, "spool full")] == naming.confirm(
        key, "e", 6
    )
    assert [(9, 9)] == [(each["first"], each["last"]) for each in naming.header_entries(key, "e")]


def test_limits_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RACKSTREAM_SPOOL_DIR", "/elsewhere")
    monkeypatch.setenv("RACKSTREAM_SPOOL_MAX_BYTES", "5000000")
    monkeypatch.setenv("RACKSTREAM_SPOOL_MAX_AGE_S", "60")
    read = SpoolSettings.read()

    assert (Path("/elsewhere"), 5_000_000, 60.0) == (read.directory, read.max_bytes, read.max_age_s)
