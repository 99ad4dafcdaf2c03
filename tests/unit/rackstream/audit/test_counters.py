"""The audit's counting: what is missing, named, late, twice, wrong."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from rackstream.audit.counters import FactSets, SequenceRanges, digest
from schemas.testing import make_raw_record, make_record


def series(*records):
    found = SequenceRanges()
    for record in records:
        found.add(record)
    return found


def sample(sequence, epoch="1-a", **fields):
    return make_raw_record("HostSample", at_s=sequence, epoch=epoch, **fields)


def after(epoch, last, sequence=0, new="2-b"):
    return sample(sequence, new, previous_epoch=epoch, previous_sequence=last)


def dropped(sequence, first, last):
    return sample(sequence, dropped=[make_record("SequenceRange", first=first, last=last, cause="queue full")])


@pytest.mark.parametrize(
    ("records", "lost", "named"),
    [
        pytest.param([sample(0), sample(1)], 0, 0, id="without holes"),
        pytest.param([sample(0), sample(3)], 2, 0, id="a hole is lost"),
        pytest.param([sample(2)], 2, 0, id="a missing beginning is lost"),
        pytest.param([sample(0), dropped(4, 2, 3)], 1, 2, id="a hole that a header names is not"),
        pytest.param([sample(0), after("1-a", 0)], 0, 0, id="an epoch that ended whole"),
        pytest.param([sample(0), after("1-a", 2)], 0, 2, id="what a killed producer could not hand over is named"),
        pytest.param([after("1-a", 2)], 0, 3, id="of an epoch nothing arrived"),
        pytest.param([sample(0), sample(2), after("1-a", 2)], 1, 0, id="a hole within an epoch stays lost"),
    ],
)
def test_gaps(records, lost, named):
    assert (lost, named) == series(*records).gaps(from_start=True)


def test_where_the_topic_has_lost_its_start_the_first_sequence_is_the_beginning():
    assert (0, 0) == series(sample(7), sample(8)).gaps(from_start=False)


def test_a_record_of_a_retired_epoch_is_late_and_a_repeated_one_twice():
    found = series(sample(0), sample(0, "2-b"), sample(1), sample(0, "2-b"))

    assert (1, 1) == (found.late, found.twice)


@pytest.mark.parametrize(
    ("found", "counts"),
    [
        pytest.param({"a": [1], "b": [2]}, (0, 0, 0, 0), id="all there"),
        pytest.param({"a": [1]}, (1, 0, 0, 0), id="one lost"),
        pytest.param({"a": [1, 1], "b": [2]}, (0, 1, 0, 0), id="one twice"),
        pytest.param({"a": [1], "b": [3]}, (0, 0, 1, 0), id="one wrong"),
        pytest.param({"a": [1], "b": [2], "c": [3]}, (0, 0, 0, 1), id="one invented"),
    ],
)
def test_compare(found, counts):
    with FactSets() as facts:
        for identity, value in (("a", 1), ("b", 2)):
            facts.expect("one", identity, value)
            facts.expect("another", identity, value)
        for identity, values in found.items():
            for value in values:
                facts.add_found("one", identity, value)
        tally = facts.reconcile("one")

    assert counts == (tally.lost, tally.twice, tally.wrong, tally.invented)


def test_what_is_found_beyond_an_expected_side_that_is_not_whole_is_not_invented():
    with FactSets() as facts:
        facts.add_found("one", "a", 1)

        assert 0 == facts.reconcile("one", complete=False).invented


def test_what_need_not_be_there_yet_is_pending_and_neither_lost_nor_invented():
    with FactSets() as facts:
        for identity in ("there", "wrong", "not yet"):
            facts.expect("one", identity, 1, due=False)
        facts.add_found("one", "there", 1)
        facts.add_found("one", "wrong", 2)
        tally = facts.reconcile("one")

    assert (0, 0, 1, 0, 1) == (tally.lost, tally.twice, tally.wrong, tally.invented, tally.pending)


def test_an_identity_with_two_values_is_right_if_it_is_either():
    with FactSets() as facts:
        facts.expect("one", "a", 1)
        facts.expect("one", "a", 2)
        facts.add_found("one", "a", 2)
        tally = facts.reconcile("one")

    assert (0, 0, 0, 0) == (tally.lost, tally.twice, tally.wrong, tally.invented)


def test_more_facts_than_are_written_at_once_are_all_compared():
    with FactSets() as facts:
        for number in range(12_000):
            facts.expect("one", ("host", number), {"value": number})
        for number in range(1, 12_000):
            facts.add_found("one", ("host", number), {"value": number})
        tally = facts.reconcile("one")

    assert (1, 0, 0, 0) == (tally.lost, tally.twice, tally.wrong, tally.invented)
    assert ['lost: ["host", 0]'] == tally.examples


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        pytest.param({"a": 1, "b": [2.0]}, {"b": (2,), "a": 1.0}, True, id="equal numbers, in another order"),
        pytest.param(float("nan"), float("nan"), True, id="no number"),
        pytest.param([0.1], [0.1 + 1e-18], True, id="the same float"),
        pytest.param([0.1], [0.1 + 1e-16], False, id="the next float"),
        pytest.param(datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=ZoneInfo("UTC")), True, id="zones"),
        pytest.param([None], [0], False, id="unknown is not 0"),
        pytest.param(["1"], [1], False, id="text is no number"),
    ],
)
def test_a_digest_is_that_of_the_value(one, other, same):
    assert same == (digest(one) == digest(other))
