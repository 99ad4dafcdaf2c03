"""Folding steps over records: order, failures, and outputs that are on the topic already."""

from datetime import timedelta

import pytest

from processors.engine.partition import Partition, StopLimit
from processors.engine.step import Step
from schemas import catalog
from schemas.testing import item, raw


def total(record):
    vms = [item("VmTotal", uuid="u", state=record["sequence"])]
    fields = {name: record[name] for name in ("host", "category", "observed_at", "epoch", "sequence")}
    return item("VmTotals", vms=vms, **fields)


def counting(state, record):
    """Counts the records it was given; fails at sequence 13, does not fit its schema at 14."""
    if record["sequence"] == 13:
        raise ZeroDivisionError
    output = total(record) | ({"host": None} if record["sequence"] == 14 else {})
    return (state or 0) + 1, [("vm-totals", output)]


def partition(step=counting):
    steps = [Step("count", "raw-libvirt", ("vm-totals",), timedelta(minutes=1), step)]
    return Partition(catalog.load(), steps)


def sample(sequence, epoch="0-a", host="h1"):
    return raw("LibvirtSample", at_s=sequence, epoch=epoch, host=host)


def sequences(found):
    return [output.record["sequence"] for applied in found for output in applied.outputs]


@pytest.mark.parametrize(
    ("records", "stepped", "late"),
    [
        pytest.param([sample(0), sample(1)], [0, 1], 0, id="in order"),
        pytest.param([sample(0), sample(0)], [0], 1, id="a duplicate is late"),
        pytest.param([sample(1), sample(0)], [1], 1, id="out of order is late"),
        pytest.param([sample(5), sample(0, "1-b"), sample(6)], [5, 0], 1, id="a new epoch retires the old"),
        pytest.param([sample(5), sample(0, host="h2")], [5, 0], 0, id="hosts have their own order"),
    ],
)
def test_order(records, stepped, late):
    target = partition()
    found = [target.apply(record) for record in records]

    assert stepped == sequences(found)
    assert late == sum(applied.late for applied in found)


@pytest.mark.parametrize("bad", [pytest.param(13, id="the step raised"), pytest.param(14, id="it does not fit")])
def test_a_record_that_fails_keeps_the_state_and_stops_nothing(bad):
    target = partition()
    found = [target.apply(sample(n)) for n in (0, bad, 20)]

    assert ["count"] == [name for name, _ in found[1].failures]
    assert [0, 20] == sequences(found)
    assert 2 == target._states["count", "h1"]


def test_an_output_that_is_on_the_topic_already_is_not_sent_again():
    target = partition()
    target.present.add(("vm-totals", catalog.load()["vm-totals"].identity_of(total(sample(1)))))
    found = [target.apply(sample(n)) for n in (0, 1, 2)]

    assert [0, 2] == sequences(found)
    assert [[], ["vm-totals"], []] == [applied.repeated for applied in found]


@pytest.mark.parametrize(
    ("hosts", "failed_of_10", "stops"),
    [
        pytest.param(2, 6, True, id="more than half of many records of two hosts"),
        pytest.param(1, 10, False, id="one host alone is that host's fault"),
        pytest.param(2, 4, False, id="less than half"),
    ],
)
def test_too_many_failures_stop_the_process(hosts, failed_of_10, stops):
    limit = StopLimit()
    told = [limit.count(n * 0.1, f"h{n % hosts}", failed=n % 10 < failed_of_10) for n in range(400)]

    assert stops == any(told)


def test_few_failures_stop_nothing():
    limit = StopLimit()

    assert not any(limit.count(n, f"h{n % 2}", failed=True) for n in range(199))
