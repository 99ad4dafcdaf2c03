"""Rebuilding a state from topics: a worker that takes over continues as if there had been only one."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors import hosts, vm_power
from processors.engine import restore
from processors.engine.join import JoinPartition
from processors.engine.partition import Partition
from processors.registry import STEPS
from schemas.testing import START_TIME, make_raw_record, make_record
from tests.unit.support.topics import MemoryTopics

RECORDS = 12
EVERY_S = 10


def ms(at_s):
    return round((START_TIME + timedelta(seconds=at_s)).timestamp() * 1000)


def host(n):
    return "raw-host", make_raw_record("HostSample", at_s=EVERY_S * n, category="host", swap_in=n * n)


def domains(n):
    vm = make_record("Domain", uuid="u", name="one-1", domain_id=1, state=1, cputime=n * 10**9)
    return "raw-libvirt", make_raw_record("LibvirtSample", at_s=EVERY_S * n, category="domains", domains=[vm])


def thermal(n):
    """Temperatures that rise above their limit, and fall again, twice."""
    sensor = make_record(
        "RedfishTemperature", chassis_id="1", sensor_id="t", sensor_name="T", state="Enabled",
        reading_celsius=95.0 if n // 3 % 2 else 50.0, upper_threshold_critical=90.0,
    )  # fmt: skip
    return "raw-redfish", make_raw_record("RedfishSample", at_s=EVERY_S * n, category="thermal", temperatures=[sensor])


def watts(n):
    controls = [make_record("RedfishPowerControl", chassis_id="1", power_consumed_watts=100.0 + n)]
    return "raw-redfish", make_raw_record("RedfishSample", at_s=EVERY_S * n, category="power", power_controls=controls)


def filled(*records):
    """Topics with these records, each appended when it was observed."""
    topics = MemoryTopics()
    for alias, record in records:
        topics.append(alias, record, round(record["observed_at"].timestamp() * 1000))
    return topics


def steps_of(alias):
    return [step for step in STEPS if step.input == alias]


def process(topics, alias, partition, offsets, *, crash=False):
    """Applies records as a worker does: outputs first, then state records, which a crash leaves out at the last one."""
    decode = topics.decoder(alias)
    messages = {message.offset(): message for message in topics.partitions[alias, 0]}
    for offset in offsets:
        message = messages[offset]
        result = partition.apply(decode(message.value()), appended_at=restore.appended_at(message))
        assert [] == result.failures
        for output in result.outputs:
            if not (output.is_memory and crash and offset == offsets[-1]):
                topics.append_bytes(output.alias, output.key, output.value, message.appended_ms + 1)


def facts(topics, steps):
    """Identity → bytes of all outputs, and the number of records."""
    values = [
        ((alias, topics.catalog[alias].identity_of(record)), message.value())
        for alias in {alias for step in steps for alias in step.outputs}
        for message, record in zip(topics.partitions[alias, 0], topics.records(alias), strict=True)
    ]
    return dict(values), len(values)


@pytest.mark.parametrize("make", [host, domains, thermal, watts], ids=lambda make: make.__name__)
@given(data=st.data())
def test_a_worker_that_takes_over_loses_doubles_and_invents_no_fact(make, data):
    end = data.draw(st.integers(1, RECORDS), "records that the first worker processes")
    crash = data.draw(st.booleans(), "it dies before its last state record is sent, and so before it commits")
    committed = data.draw(st.integers(0, end - crash), "offset that it has committed")
    inputs = [make(n) for n in range(RECORDS)]
    alias = inputs[0][0]
    steps = steps_of(alias)
    alone, taken_over = filled(*inputs), filled(*inputs)
    process(alone, alias, Partition(alone.catalog, steps), range(RECORDS))
    expected, count = facts(alone, steps)
    assert count == len(expected) > 0

    process(taken_over, alias, Partition(taken_over.catalog, steps), range(end), crash=crash)
    at_ms = ms(EVERY_S * committed)
    second = restore.restore_partition(taken_over, alias, steps, 0, committed, at_ms)
    process(taken_over, alias, second, range(committed, RECORDS))

    assert (expected, count) == facts(taken_over, steps)
    assert committed == second.next_offset


def test_records_are_read_back_for_the_longest_memory_and_a_margin():
    minutes = int((hosts.STEP.memory + restore.RESTORE_MARGIN).total_seconds() / 60)
    topics = filled(*(("raw-host", make_raw_record("HostSample", at_s=60 * n)) for n in range(3 * minutes)))
    last = 3 * minutes - 1
    restore.restore_partition(topics, "raw-host", [hosts.STEP], 0, last, ms(60 * last))

    assert ("raw-host", 0, (last - minutes, last)) in topics.reads


def test_what_retention_has_deleted_is_not_read():
    topics = filled(*(host(n) for n in range(RECORDS)))
    topics.deleted["raw-host", 0] = 5
    restore.restore_partition(topics, "raw-host", [hosts.STEP], 0, 8, ms(80))

    assert ("raw-host", 0, (5, 8)) in topics.reads


def test_where_no_record_is_recent_enough_none_is_applied():
    topics = filled(*(host(n) for n in range(4)))
    partition = restore.restore_partition(topics, "raw-host", [hosts.STEP], 0, 2, ms(10**6))

    assert ("raw-host", 0, (2, 2)) in topics.reads
    assert [0, 1] == [len(partition.apply(host(n)[1]).outputs) for n in (2, 3)], "the first has none before it"


def test_tombstones_and_bytes_that_are_no_record_are_passed_over():
    topics = filled(host(0))
    topics.append_bytes("raw-host", b"h1", None, ms(1))
    topics.append_bytes("raw-host", b"h1", b"no record", ms(2))
    partition = restore.restore_partition(topics, "raw-host", [hosts.STEP], 0, 3, ms(10))
    [output] = partition.apply(host(1)[1]).outputs

    assert EVERY_S == output.record["interval_s"], "since the record before them"


def test_a_record_that_another_worker_processed_is_late_for_every_step_also_where_it_changed_no_state():
    steps = steps_of("raw-redfish")
    topics = filled(*(thermal(n) for n in range(3)))
    first = Partition(topics.catalog, steps)
    process(topics, "raw-redfish", first, range(3))
    second = restore.restore_partition(topics, "raw-redfish", steps, 0, 3, ms(30))
    again, expected = second.apply(thermal(2)[1]), first.apply(thermal(2)[1])

    assert again.late == expected.late > 1
    assert [] == again.outputs


# Joins


def both_sides(until_s):
    for n in range(until_s // EVERY_S + 1):
        yield watts(n)
        yield domains(n)


def run_join(topics, partition, start):
    """Applies what the join has not applied yet, in the order of append times; returns and publishes its outputs."""
    join = partition.join
    inputs = [(alias, message) for alias in join.inputs for message in topics.partitions[alias, 0][start[alias] :]]
    results = []
    for alias, message in sorted(inputs, key=lambda pair: pair[1].appended_ms):
        record = topics.decoder(alias)(message.value())
        for output in partition.apply(alias, message.offset(), record, message.appended_ms):
            topics.append_bytes(output.alias, output.key, output.value, message.appended_ms + 1)
            results.append(output.record)
    assert [] == partition.failures
    return results


@given(power_from=st.integers(0, 25), libvirt_from=st.integers(0, 25))
def test_a_join_taken_over_at_any_two_offsets_repeats_and_loses_no_result(power_from, libvirt_from):
    join, zero = vm_power.JOIN, dict.fromkeys(vm_power.JOIN.inputs, 0)
    topics = filled(*both_sides(200))
    expected = run_join(topics, JoinPartition(topics.catalog, join), zero)
    assert len(expected) >= 2

    offsets = {vm_power.POWER: power_from, vm_power.LIBVIRT: libvirt_from}
    offsets = {alias: min(offset, topics.span(alias, 0)[1]) for alias, offset in offsets.items()}
    restored = restore.restore_join(topics, join, 0, offsets, ms(EVERY_S * min(offsets.values())))

    assert offsets == restored.next_offsets
    assert [] == run_join(topics, restored, offsets), "all of it is on the topic"
    topics.partitions["vm-power", 0].clear()
    restored = restore.restore_join(topics, join, 0, offsets, ms(EVERY_S * min(offsets.values())))
    later = run_join(topics, restored, offsets)
    assert later == expected[len(expected) - len(later) :]


@pytest.mark.parametrize(
    ("committed", "deleted", "offset"),
    [
        pytest.param(3, 0, 3, id="its commit"),
        pytest.param(None, 2, 2, id="the log's start, where it has none"),
        pytest.param(1, 2, 2, id="the log's start, where its commit is deleted"),
        pytest.param(0, 0, 0, id="a commit of 0"),
    ],
)
def test_a_group_resumes_from(committed, deleted, offset):
    topics = filled(*(host(n) for n in range(5)))
    topics.deleted["raw-host", 0] = deleted
    if committed is not None:
        topics.committed["g", "raw-host", 0] = committed

    assert offset == restore.resume_offset(topics, "g", "raw-host", 0)


@pytest.mark.parametrize(("timestamp_ms", "second"), [(1500, 1), (-1, 0)], ids=["a time", "none"])
def test_a_kafka_time_is_utc(timestamp_ms, second):
    assert datetime(1970, 1, 1, 0, 0, second, tzinfo=UTC) == restore.utc_from_ms(timestamp_ms).replace(microsecond=0)
