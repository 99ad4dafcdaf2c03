"""The audit's counting: what is missing, named, late, twice, wrong."""

import pytest

from rackstream.recount import Series, compare
from schemas.testing import item, raw


def series(*records):
    found = Series()
    for record in records:
        found.see(record)
    return found


def sample(sequence, epoch="1-a", **fields):
    return raw("HostSample", at_s=sequence, epoch=epoch, **fields)


def after(epoch, last, sequence=0, new="2-b"):
    return sample(sequence, new, previous_epoch=epoch, previous_sequence=last)


def dropped(sequence, first, last):
    return sample(sequence, dropped=[item("SequenceRange", first=first, last=last, cause="queue full")])


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
    tally = compare({"a": [1], "b": [2]}, found)

    assert counts == (tally.lost, tally.twice, tally.wrong, tally.invented)
