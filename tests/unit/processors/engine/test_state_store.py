"""The states of a worker's partitions: restored when a record needs it, kept as long as no other worker has them."""

import asyncio
import dataclasses
from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from processors import hosts, vm_power, vms
from processors.engine.state_store import StateStore
from runtime import metrics
from schemas.testing import START_TIME, make_raw_record, make_record
from tests.unit.support.topics import MemoryTopics

GROUP = "g"
EVERY_S = 10
HOST, POWER, LIBVIRT = hosts.STEP.input, vm_power.POWER, vm_power.LIBVIRT


def ms(n):
    return round((START_TIME + timedelta(seconds=EVERY_S * n)).timestamp() * 1000)


def host(n):
    return make_raw_record("HostSample", at_s=EVERY_S * n, category="host", swap_in=n)


def watts(n):
    controls = [make_record("RedfishPowerControl", chassis_id="1", power_consumed_watts=100.0)]
    return make_raw_record("RedfishSample", at_s=EVERY_S * n, category="power", power_controls=controls)


def domains(n):
    vm = make_record("Domain", uuid="u", name="one-1", domain_id=1, state=1, cputime=n * 10**9)
    return make_raw_record("LibvirtSample", at_s=EVERY_S * n, category="domains", domains=[vm])


class Worker:
    """A store, as the record loop uses it."""

    def __init__(self, topics=None, steps=(hosts.STEP,), joins=()):
        self.topics = topics or filled()
        self.gaps = []
        self.store = StateStore(self.topics, GROUP, steps, joins, lambda *gap: self.gaps.append(gap))

    def name(self, alias):
        return self.topics.catalog[alias].name

    def retain(self, generation, *assigned):
        self.store.retain({(self.name(alias), number) for alias, number in assigned}, generation)

    def partition(self, offset, alias=HOST, number=0):
        return asyncio.run(self.store.partition(alias, self.name(alias), number, offset, ms(offset)))

    def joins(self, alias, offset, number=0):
        return asyncio.run(self.store.joins(alias, number, offset, ms(offset)))

    def idle_inputs(self, number=0):
        return asyncio.run(self.store.idle_inputs(number))

    def apply(self, offset):
        partition = self.partition(offset)
        partition.next_offset = offset + 1
        return partition, [output.record for output in partition.apply(host(offset)).outputs]


def filled(records=6, numbers=(0,)):
    topics = MemoryTopics()
    for number in numbers:
        for alias, make in ((HOST, host), (POWER, watts), (LIBVIRT, domains)):
            for n in range(records):
                topics.append(alias, make(n), ms(n), number)
    return topics


def test_the_inputs_are_those_of_steps_and_joins_once_each():
    worker = Worker(steps=(hosts.STEP, vms.STEP, vms.STEP), joins=(vm_power.JOIN,))

    assert [HOST, LIBVIRT, POWER] == worker.store.inputs


def test_a_partition_is_restored_at_its_first_record_and_then_kept():
    worker = Worker()
    first, outputs = worker.apply(3)
    reads = list(worker.topics.reads)
    second, _ = worker.apply(4)

    assert [EVERY_S] == [output["interval_s"] for output in outputs], "since record 2, read back"
    assert first is second
    assert reads == worker.topics.reads
    assert {(HOST, 0): 5} == worker.store.next_offsets()


def test_a_record_that_comes_again_needs_no_restore():
    worker = Worker()
    first, _ = worker.apply(3)

    assert first is worker.partition(2)


def test_a_partition_of_which_records_were_passed_over_is_restored():
    worker = Worker()
    first, _ = worker.apply(1)
    again, outputs = worker.apply(4)

    assert first is not again
    assert [EVERY_S] == [output["interval_s"] for output in outputs]


@pytest.mark.parametrize(
    ("committed", "gaps"),
    [
        pytest.param(1, [(1, 4)], id="a commit before the record"),
        pytest.param(4, [], id="a commit at the record"),
        pytest.param(None, [], id="no commit"),
    ],
)
def test_records_that_retention_deleted_before_they_were_read_are_reported(committed, gaps):
    worker = Worker()
    if committed is not None:
        worker.topics.committed[GROUP, HOST, 0] = committed
    worker.partition(4)

    assert [(worker.name(HOST), 0, *gap) for gap in gaps] == worker.gaps


def test_partitions_that_stay_are_kept_and_those_that_are_lost_are_dropped():
    worker = Worker(filled(numbers=(0, 1)))
    worker.retain(0, (HOST, 0), (HOST, 1))
    kept, lost = worker.partition(3), worker.partition(3, number=1)
    worker.retain(1, (HOST, 0))

    assert {(HOST, 0): 3} == worker.store.next_offsets()
    worker.retain(2, (HOST, 0), (HOST, 1))
    assert (kept, True) == (worker.partition(3), lost is not worker.partition(3, number=1))


def test_after_a_generation_that_was_missed_nothing_is_kept():
    worker = Worker(joins=(vm_power.JOIN,))
    assigned = [(HOST, 0), (POWER, 0), (LIBVIRT, 0)]
    worker.retain(0, *assigned)
    partition, joins = worker.partition(3), worker.joins(POWER, 3)
    worker.retain(2, *assigned)

    assert {} == worker.store.next_offsets()
    assert partition is not worker.partition(3)
    assert joins != worker.joins(POWER, 3)


def test_a_join_is_restored_at_the_first_record_of_any_input_and_then_kept():
    worker = Worker(joins=(vm_power.JOIN,))
    worker.topics.committed |= {(GROUP, POWER, 0): 2}
    [join] = worker.joins(LIBVIRT, 4)

    assert {LIBVIRT: 4, POWER: 2} == join.next_offsets, "the other input goes on at its commit"
    assert [join] == worker.joins(POWER, 2)
    assert [] == worker.joins(HOST, 0)


def test_a_join_goes_on_where_the_steps_of_its_other_input_are():
    worker = Worker(steps=(vms.STEP,), joins=(vm_power.JOIN,))
    worker.partition(5, LIBVIRT)
    [join] = worker.joins(POWER, 1)

    assert {LIBVIRT: 5, POWER: 1} == join.next_offsets


def test_a_join_of_which_records_were_passed_over_is_restored():
    worker = Worker(joins=(vm_power.JOIN,))
    [first] = worker.joins(LIBVIRT, 1)
    [again] = worker.joins(LIBVIRT, 4)

    assert first is not again
    assert 4 == again.next_offsets[LIBVIRT]


def test_a_join_asked_for_by_two_inputs_at_once_is_restored_once():
    worker = Worker(joins=(vm_power.JOIN,))

    async def both():
        return await asyncio.gather(*(worker.store.joins(alias, 0, 0, ms(0)) for alias in (POWER, LIBVIRT)))

    [first], [second] = asyncio.run(both())

    assert first is second


def test_a_join_is_dropped_with_any_of_its_inputs():
    worker = Worker(joins=(vm_power.JOIN,))
    worker.retain(0, (POWER, 0), (LIBVIRT, 0))
    [join] = worker.joins(POWER, 1)
    worker.retain(1, (POWER, 0), (LIBVIRT, 0))
    assert [join] == worker.joins(POWER, 1)
    with capture_logs() as logs:
        worker.retain(2, (POWER, 0))

    assert [join] != worker.joins(POWER, 1)
    assert [("error", vm_power.JOIN.name)] == [(entry["log_level"], entry["join"]) for entry in logs]


def test_an_input_is_idle_that_was_read_to_its_end_and_holds_results_back():
    minutes = 20
    topics = MemoryTopics()
    for n in range(minutes * 60 // EVERY_S):
        topics.append(POWER, watts(n), ms(n))
        if EVERY_S * n <= 120:
            topics.append(LIBVIRT, domains(n), ms(n))
    worker = Worker(topics, joins=(vm_power.JOIN,))
    end = topics.span(LIBVIRT, 0)[1]
    [join] = worker.joins(LIBVIRT, end)
    for offset, record in enumerate(topics.records(POWER)):
        join.apply(POWER, offset, record, ms(offset))

    assert [(join, LIBVIRT)] == worker.idle_inputs()
    assert [] == worker.idle_inputs(1), "another partition"
    topics.append(LIBVIRT, domains(end), ms(end))
    assert [] == worker.idle_inputs(), "it has a record to be read"


def test_steps_and_joins_are_counted_and_timed():
    step = dataclasses.replace(hosts.STEP, name="counted")
    join = dataclasses.replace(vm_power.JOIN, name="counted join")
    worker = Worker(steps=(step,), joins=(join,))
    for n in range(3):
        worker.apply(n)
    [partition] = worker.joins(POWER, 0)
    partition.apply(POWER, 0, watts(0), ms(0))

    values = {
        (sample.name, sample.labels["step"]): sample.value
        for collector in (metrics.STEP_SECONDS, metrics.STEPPED_RECORDS)
        for metric in collector.collect()
        for sample in metric.samples
        if sample.labels["step"].startswith("counted")
    }
    assert (3, 1) == tuple(values["rackstream_stepped_records_total", name] for name in ("counted", "counted join"))
    assert values["rackstream_step_seconds_total", "counted"] > 0
