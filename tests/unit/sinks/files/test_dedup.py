"""What is remembered of stored records: ranges of numbers, and which record is new."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas import catalog
from schemas.testing import item, raw
from sinks.files import dedup
from sinks.files.dedup import Fresh, Stored, reader
from sinks.files.int_ranges import Ranges

TOPICS = catalog.load()
NUMBERS = st.integers(0, 60)
RECORDS = st.tuples(st.sampled_from("ab"), st.sampled_from(["1-a", "2-b", "3-c"]), st.integers(0, 12))
"""Host, epoch, sequence."""


@given(st.lists(st.tuples(NUMBERS, st.integers(0, 5))))
def test_ranges_are_a_set(added):
    ranges, plain = Ranges(), set()
    for first, length in added:
        ranges.add(first, first + length)
        plain.update(range(first, first + length + 1))

    assert len(plain) == len(ranges)
    assert plain == {number for number in range(70) if number in ranges}
    assert ranges.bounds == Ranges(ranges.bounds).bounds == tuple(sorted(set(ranges.bounds)))
    if plain:
        assert (min(plain), max(plain)) == (ranges.first, ranges.last)
        missing = {number for first, last in ranges.holes(0) for number in range(first, last + 1)}
        assert set(range(max(plain))) - plain == missing
        assert len(plain & set(range(10, 31))) == ranges.within(10, 30)


def test_of_too_many_ranges_the_highest_are_kept():
    ranges = Ranges([0, 1, 2, 3, 4, 6])
    ranges.keep_highest(2)

    assert (2, 3, 4, 6) == ranges.bounds


def sample(host, epoch, sequence):
    return raw("HostSample", at_s=0, host=host, category="host", epoch=epoch) | {"sequence": sequence}


@given(st.lists(st.tuples(st.lists(RECORDS), st.sampled_from(["stored", "failed", "some refused", "restarted"]))))
def test_a_record_is_new_unless_the_same_was_stored(batches):
    read = reader(TOPICS["raw-host"])
    stored, known = Stored(), set()
    for records, outcome in batches:
        fresh, taken = Fresh(stored, read), []
        for record in records:
            assert (record not in known and record not in taken) == fresh.take(sample(*record))
            taken += [record] if record not in known and record not in taken else []
        refused = taken[::2] if outcome == "some refused" else []
        for each in refused:
            fresh.leave(sample(*each))
        if outcome != "failed":
            fresh.keep()
            known.update(set(taken) - set(refused))
        if outcome == "restarted":
            stored = Stored.load(json.loads(json.dumps(list(stored.dump()))))

    for each in known:
        assert not Fresh(stored, read).take(sample(*each))


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
    kind, read = TOPICS[alias].schema, reader(TOPICS[alias])
    fresh = Fresh(Stored(), read)

    assert [True, True, False] == [fresh.take(item(kind, **each)) for each in (one, other, one)]


@pytest.mark.parametrize("alias", ["state-health", "state-targets"])
def test_of_a_state_any_number_of_records_is_new(alias):
    assert reader(TOPICS[alias]) is None


def test_of_a_series_the_newest_epochs_are_remembered():
    read, stored = reader(TOPICS["raw-host"]), Stored()
    names = [f"{number}-a" for number in range(dedup.EPOCHS + 1)]
    for name in names:
        fresh = Fresh(stored, read)
        fresh.take(sample("a", name, 0))
        fresh.keep()

    assert [name for name in names if Fresh(stored, read).take(sample("a", name, 0))] == names[:1]


def test_of_many_series_those_that_came_last_are_remembered(monkeypatch):
    monkeypatch.setattr(dedup, "SERIES", 10)
    read, stored = reader(TOPICS["raw-host"]), Stored()
    for number in range(100):
        for host in (f"once-{number}", f"often-{number % 5}"):
            fresh = Fresh(stored, read)
            fresh.take(sample(host, "1-a", number))
            fresh.keep()

    assert all(not Fresh(stored, read).take(sample(f"often-{number % 5}", "1-a", number)) for number in range(100))
    assert all(not Fresh(stored, read).take(sample(f"once-{number}", "1-a", number)) for number in range(95, 100))
    assert Fresh(stored, read).take(sample("once-50", "1-a", 50))
