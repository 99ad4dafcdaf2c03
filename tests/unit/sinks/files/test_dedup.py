"""What is remembered of stored records: ranges of numbers, and which record is new."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import catalog
from schemas.testing import make_raw_record, make_record
from sinks.files import dedup
from sinks.files.dedup import NewRecords, StoredIdentities, identity_reader
from sinks.files.int_ranges import IntRanges

TOPICS = catalog.load()
NUMBERS = st.integers(0, 60)
RECORDS = st.tuples(st.sampled_from("ab"), st.sampled_from(["1-a", "2-b", "3-c"]), st.integers(0, 12))
"""Host, epoch, sequence."""


@given(st.lists(st.tuples(NUMBERS, st.integers(0, 5))))
def test_ranges_are_a_set(added):
    ranges, plain = IntRanges(), set()
    for first, length in added:
        ranges.add(first, first + length)
        plain.update(range(first, first + length + 1))

    assert len(plain) == len(ranges)
    assert plain == {number for number in range(70) if number in ranges}
    assert ranges.bounds == IntRanges(ranges.bounds).bounds == tuple(sorted(set(ranges.bounds)))
    if plain:
        assert (min(plain), max(plain)) == (ranges.first, ranges.last)
        missing = {number for first, last in ranges.gaps(0) for number in range(first, last + 1)}
        assert set(range(max(plain))) - plain == missing
        assert len(plain & set(range(10, 31))) == ranges.count_within(10, 30)


def test_of_too_many_ranges_the_highest_are_kept():
    ranges = IntRanges([0, 1, 2, 3, 4, 6])
    ranges.keep_highest(2)

    assert (2, 3, 4, 6) == ranges.bounds


def sample(host, epoch, sequence):
    return make_raw_record("HostSample", at_s=0, host=host, category="host", epoch=epoch) | {"sequence": sequence}


@given(st.lists(st.tuples(st.lists(RECORDS), st.sampled_from(["stored", "failed", "some refused", "restarted"]))))
def test_a_record_is_new_unless_the_same_was_stored(batches):
    read = identity_reader(TOPICS["raw-host"])
    stored, known = StoredIdentities(), set()
    for records, outcome in batches:
        fresh, taken = NewRecords(stored, read), []
        for record in records:
            assert (record not in known and record not in taken) == fresh.add(sample(*record))
            taken += [record] if record not in known and record not in taken else []
        refused = taken[::2] if outcome == "some refused" else []
        for each in refused:
            fresh.discard(sample(*each))
        if outcome != "failed":
            fresh.commit()
            known.update(set(taken) - set(refused))
        if outcome == "restarted":
            stored = StoredIdentities.load(json.loads(json.dumps(list(stored.dump()))))

    for each in known:
        assert not NewRecords(stored, read).add(sample(*each))


@pytest.mark.parametrize(
    ("alias", "one", "other"),
    [
        pytest.param("raw-app", {"producer": "p1"}, {"producer": "p2"}, id="processes of one application"),
        pytest.param("raw-redfish", {"category": "power"}, {"category": "thermal"}, id="categories"),
        pytest.param("power", {"sequence": 1}, {"sequence": 2}, id="a derived record"),
        pytest.param("alerts", {"revision": 0}, {"revision": 1}, id="revisions of an alert"),
        pytest.param("alerts", {"id": "a"}, {"id": "b"}, id="alerts"),
        pytest.param("vm-power", {"host": "a"}, {"host": "b"}, id="minutes"),
        pytest.param("heartbeats", {"epoch": "1-a"}, {"epoch": "2-b"}, id="starts of a producer"),
    ],
)
def test_records_differ_by_the_identity_of_their_topic(alias, one, other):
    kind, read = TOPICS[alias].schema, identity_reader(TOPICS[alias])
    fresh = NewRecords(StoredIdentities(), read)

    assert [True, True, False] == [fresh.add(make_record(kind, **each)) for each in (one, other, one)]


@pytest.mark.parametrize("alias", ["state-health", "state-targets"])
def test_of_a_state_any_number_of_records_is_new(alias):
    assert identity_reader(TOPICS[alias]) is None


def test_of_a_series_the_newest_epochs_are_remembered():
    read, stored = identity_reader(TOPICS["raw-host"]), StoredIdentities()
    names = [f"{number}-a" for number in range(dedup.MAX_EPOCHS + 1)]
    for name in names:
        fresh = NewRecords(stored, read)
        fresh.add(sample("a", name, 0))
        fresh.commit()

    assert [name for name in names if NewRecords(stored, read).add(sample("a", name, 0))] == names[:1]


def test_of_many_series_those_that_came_last_are_remembered(monkeypatch):
    monkeypatch.setattr(dedup, "MAX_SERIES", 10)
    read, stored = identity_reader(TOPICS["raw-host"]), StoredIdentities()
    for number in range(100):
        for host in (f"once-{number}", f"often-{number % 5}"):
            fresh = NewRecords(stored, read)
            fresh.add(sample(host, "1-a", number))
            fresh.commit()

    assert all(not NewRecords(stored, read).add(sample(f"often-{number % 5}", "1-a", number)) for number in range(100))
    assert all(not NewRecords(stored, read).add(sample(f"once-{number}", "1-a", number)) for number in range(95, 100))
    assert NewRecords(stored, read).add(sample("once-50", "1-a", 50))
