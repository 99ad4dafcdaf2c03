"""Folding steps over records: order, failures, and outputs that are on the topic already."""

from datetime import timedelta

import pytest

from processors.engine.partition import FailureLimit, Partition
from processors.engine.step import Step
from schemas import catalog
from schemas.testing import make_raw_record, make_record


def total(record, count=0):
    vms = [make_record("VmTotal", uuid="u", state=count)]
    fields = {name: record[name] for name in ("host", "category", "observed_at", "epoch", "sequence")}
    return make_record("VmTotals", vms=vms, **fields)


def counting(state, record):
    """Counts the records it was given; fails at sequence 13, does not fit its schema at 14."""
    if record["sequence"] == 13:
        raise ZeroDivisionError
    count = (state or 0) + 1
    output = total(record, count) | ({"host": None} if record["sequence"] == 14 else {})
    return count, [("vm-totals", output)]


def partition(step=counting):
    steps = [Step("count", "raw-libvirt", ("vm-totals",), timedelta(minutes=1), step)]
    return Partition(catalog.load(), steps)


def sample(sequence, epoch="0-a", host="h1"):
    return make_raw_record("LibvirtSample", at_s=sequence, epoch=epoch, host=host)


def sequences(results):
    return [output.record["sequence"] for result in results for output in result.outputs]


def counts(results):
    """The states, as the outputs tell them."""
    return [output.record["vms"][0]["state"] for result in results for output in result.outputs]


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
    results = [target.apply(record) for record in records]

    assert stepped == sequences(results)
    assert late == sum(result.late for result in results)


@pytest.mark.parametrize("bad", [pytest.param(13, id="the step raised"), pytest.param(14, id="it does not fit")])
def test_a_record_that_fails_keeps_the_state_and_stops_nothing(bad):
    target = partition()
    results = [target.apply(sample(n)) for n in (0, bad, 20)]

    assert ["count"] == [name for name, _ in results[1].failures]
    assert [0, 20] == sequences(results)
    assert [1, 2] == counts(results)


def test_an_output_that_is_on_the_topic_already_is_not_sent_again():
    target = partition()
    target.published.add(("vm-totals", catalog.load()["vm-totals"].identity_of(total(sample(1)))))
    results = [target.apply(sample(n)) for n in (0, 1, 2)]

    assert [0, 2] == sequences(results)
    assert [[], ["vm-totals"], []] == [result.repeated for result in results]


@pytest.mark.parametrize(
    ("hosts", "failed_of_10", "stops"),
    [
        pytest.param(2, 6, True, id="more than half of many records of two hosts"),
        pytest.param(1, 10, False, id="one host alone is that host's fault"),
        pytest.param(2, 4, False, id="less than half"),
    ],
)
def test_too_many_failures_stop_the_process(hosts, failed_of_10, stops):
    limit = FailureLimit()
    reached = [limit.record(n * 0.1, f"h{n % hosts}", failed=n % 10 < failed_of_10) for n in range(400)]

    assert stops == any(reached)


def test_few_failures_stop_nothing():
    limit = FailureLimit()

    assert not any(limit.record(n, f"h{n % 2}", failed=True) for n in range(199))
