"""The parts of a replay that need no Kafka: what is stepped again, what is stored again, what counts as stored."""

import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from processors import power, vm_power, vms
from processors.registry import STEPS
from rackstream.replay.recompute import Recomputation, ReplayRequest
from rackstream.stored import files
from runtime.errors import Misconfigured, Retry
from schemas import catalog
from schemas.testing import START_TIME, make_raw_record, make_record
from sinks import datasets
from sinks.files.coverage import Coverage
from sinks.files.manifest import ManifestEntry, ReplayRange, read_manifest
from sinks.replay.backfill_files import FileBackfill, record_columns
from sinks.sink import Item

TOPICS = catalog.load()
DAY = ReplayRange(START_TIME, START_TIME + timedelta(days=1))


def at(n):
    return START_TIME + timedelta(seconds=n)


def libvirt(n, host="kvm-1"):
    return make_raw_record(
        "LibvirtSample", at_s=n, host=host, category="domains", domains=[make_record("Domain", uuid="u", cputime=n)]
    )


def watts(n, **fields):
    control = make_record("RedfishPowerControl", chassis_id="1", power_consumed_watts=100.0)
    return make_raw_record("RedfishSample", at_s=n, category="power", power_controls=[control], **fields)


def facts(records, *, within, aliases, steps=STEPS, begin=0):
    alias = steps[0].input
    refold = Recomputation(TOPICS, ReplayRequest(within, aliases), steps, {alias: begin})
    found = [fact for offset, record in enumerate(records) for fact in refold.process(alias, offset, record)]
    return [(fact.alias, fact.record["sequence"], fact.offset) for fact in found], refold.failures


def test_the_first_fact_of_a_period_has_the_rate_since_the_record_before_it():
    found, _ = facts(
        [libvirt(n) for n in range(4)], within=ReplayRange(at(2), at(3)), aliases=("vm-features", "raw-libvirt")
    )

    assert [("raw-libvirt", 2, 2), ("vm-features", 2, 2)] == found


def test_records_before_the_begin_of_a_topic_only_warm_the_steps_up():
    found, _ = facts([libvirt(n) for n in range(3)], within=DAY, aliases=("vm-features", "raw-libvirt"), begin=1)

    assert [("raw-libvirt", 1, 1), ("vm-features", 1, 1), ("raw-libvirt", 2, 2), ("vm-features", 2, 2)] == found


def test_only_the_topics_and_hosts_that_are_asked_for_come_out():
    records = [libvirt(n, host) for n in range(2) for host in ("kvm-1", "kvm-2")]

    found, _ = facts(records, within=replace(DAY, hosts=("kvm-2",)), aliases=("vm-totals",))

    assert [("vm-totals", 0, 1), ("vm-totals", 1, 3)] == found


def test_a_record_that_comes_again_leads_to_no_second_fact():
    found, _ = facts([watts(0), watts(0), watts(1)], within=DAY, aliases=("power",), steps=(power.STEP,))

    assert [("power", 0, 0), ("power", 1, 2)] == found


def test_a_step_that_fails_is_told_and_the_records_after_it_go_on():
    def fails(state, record):
        if record["sequence"] == 1:
            raise ValueError("odd")
        return vms.STEP.run(state, record)

    step = replace(vms.STEP, run=fails)
    found, failures = facts([libvirt(n) for n in range(3)], within=DAY, aliases=("vm-totals",), steps=(step,))

    assert [("vm-totals", 0, 0), ("vm-totals", 2, 2)] == found
    assert ["vms: ValueError('odd')"] == failures


def test_a_join_is_made_again_from_both_sides():
    """A minute is settled when both sides have passed its end; the last one, of which one side is silent, is not."""
    power_s, libvirt_s = range(0, 140, 20), range(10, 140, 20)
    sides = [(n, "raw-redfish", watts(n, host="kvm-1")) for n in power_s]
    sides += [(n, "raw-libvirt", libvirt(n * 10**9)) for n in libvirt_s]
    refold = Recomputation(
        TOPICS, ReplayRequest(DAY, ("vm-power",)), (), {"raw-redfish": 0, "raw-libvirt": 0}, joins=(vm_power.JOIN,)
    )  # fmt: skip

    found = [
        fact
        for offset, (n, alias, record) in enumerate(sorted(sides, key=lambda each: each[0]))
        for fact in refold.process(alias, offset, record | {"observed_at": at(n), "monotonic_s": float(n)}, at(n))
    ]

    assert [at(0), at(60)] == [fact.record["minute"] for fact in found]
    assert {("vm-power", "kvm-1")} == {(fact.alias, fact.record["host"]) for fact in found}
    assert [] == list(refold.finish())
    assert [] == refold.failures


@pytest.mark.parametrize(
    ("record", "holds"),
    [
        pytest.param({"observed_at": at(0), "host": "a"}, True, id="the first moment"),
        pytest.param({"observed_at": at(9), "host": "a"}, True, id="within"),
        pytest.param({"observed_at": at(10), "host": "a"}, False, id="not the end"),
        pytest.param({"observed_at": at(5), "host": "b"}, False, id="not another host"),
        pytest.param({"observed_at": at(5)}, False, id="not what has no host"),
    ],
)
def test_a_range_holds(record, holds):
    assert holds == ReplayRange(at(0), at(10), ("a",)).contains(record)


def entry(first, last, replayed=None):
    return ManifestEntry("t", "id", 0, first, last, "parquet", (), replayed)


RECORD = {"observed_at": at(5), "host": "a"}


@pytest.mark.parametrize(
    ("entries", "offset", "stored"),
    [
        pytest.param([], 0, False, id="nothing without entries"),
        pytest.param([entry(3, 9)], 9, True, id="all before the sink's end"),
        pytest.param([entry(3, 9)], 10, False, id="not beyond it"),
        pytest.param([entry(3, 9, DAY)], 9, True, id="of a replay what is in its offsets and range"),
        pytest.param([entry(3, 9, DAY)], 2, False, id="of a replay nothing before its offsets"),
        pytest.param([entry(3, 9, ReplayRange(at(6), at(7)))], 5, False, id="of a replay nothing out of its range"),
        pytest.param([entry(0, 1), entry(3, 9, DAY)], 2, False, id="no gap that a replay left"),
    ],
)
def test_entries_say_that_a_record_is_stored(entries, offset, stored):
    assert stored == Coverage(entries).covers(("t", 0), offset, RECORD)


@pytest.mark.parametrize(
    ("entries", "implied"),
    [
        pytest.param([entry(0, 9, DAY)], True, id="by the same"),
        pytest.param([entry(0, 20)], True, id="by the sink"),
        pytest.param([entry(0, 8, DAY)], False, id="not by fewer offsets"),
        pytest.param([entry(0, 9, ReplayRange(at(1), at(9)))], False, id="not by less time"),
        pytest.param([entry(0, 9, replace(DAY, hosts=("a",)))], False, id="not by one host"),
    ],
)
def test_a_replay_says_nothing_new(entries, implied):
    assert implied == Coverage(entries).covers_entry(entry(0, 9, DAY))


@pytest.mark.parametrize("dataset", datasets.ALL, ids=lambda each: each.name)
def test_the_origin_of_a_row_is_the_same_for_all_rows_of_a_record(dataset):
    found = record_columns(dataset)

    assert {"time", "epoch", "sequence"} <= set(found)
    assert {"host", "producer", "source"} & set(found)
    assert not {"VMID", "uuid", "sensor_id", "device", "mountpoint"} & set(found)


def thermal(n, celsius=20.0):
    # A BMC that gives two sensors one id: two rows of one identity.
    twins = [
        make_record("RedfishTemperature", chassis_id="1", sensor_id="7", reading_celsius=celsius + d) for d in range(2)
    ]
    return Item(
        "raw-redfish", ("t", 0), n, make_raw_record("RedfishSample", at_s=n, category="thermal", temperatures=twins)
    )


TEMPERATURE = datasets.find("redfish_temperature")


def refilled(root, *items, within=DAY, kind="parquet", write=True):
    started = datetime.now(UTC)
    into = FileBackfill(root, kind, within, {"raw-redfish": ("t", "id")}, started=started, write=write)
    try:
        into.open(0, ["raw-redfish"])
        for each in items:
            into.put(each)
        into.commit(0, {"raw-redfish": (0, 100)})
    finally:
        into.close()
    return into.counts.new["redfish_temperature"], into.counts.already_stored["redfish_temperature"]


def values(root):
    place = TEMPERATURE.names.index("reading_celsius")
    return sorted((row[0], row[place]) for row in files.stored_rows(root, TEMPERATURE))


@pytest.mark.parametrize("kind", ["parquet", "jsonl"])
def test_rows_that_are_stored_are_left_out_the_others_are_added(tmp_path, kind):
    assert (4, 0) == refilled(tmp_path, thermal(0), thermal(1), kind=kind)
    assert (2, 4) == refilled(tmp_path, thermal(0), thermal(1), thermal(2), kind=kind)
    assert [(at(n), 20.0 + d) for n in range(3) for d in range(2)] == values(tmp_path)


def test_a_record_given_twice_is_stored_once_with_all_its_rows(tmp_path):
    assert (2, 2) == refilled(tmp_path, thermal(0), thermal(0))


def test_stored_rows_are_never_changed(tmp_path):
    refilled(tmp_path, thermal(0))
    refilled(tmp_path, thermal(0, celsius=90.0))

    assert [(at(0), 20.0), (at(0), 21.0)] == values(tmp_path)


def test_the_same_again_writes_nothing(tmp_path):
    refilled(tmp_path, thermal(0))
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    refilled(tmp_path, thermal(0))

    assert before == {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}


def test_a_deleted_file_counts_as_not_stored(tmp_path):
    refilled(tmp_path, thermal(0), thermal(4000))
    shutil.rmtree(tmp_path / "redfish_temperature" / "date=2026-01-01" / "hour=01")

    assert [(at(0), 20.0), (at(0), 21.0)] == values(tmp_path)
    assert (2, 2) == refilled(tmp_path, thermal(0), thermal(4000))


def test_a_dry_run_counts_and_leaves_no_trace(tmp_path):
    assert (2, 0) == refilled(tmp_path / "files", thermal(0), write=False)
    assert not (tmp_path / "files").exists()


def test_what_a_killed_replay_left_behind_is_deleted(tmp_path):
    refilled(tmp_path, thermal(0))
    [kept] = (tmp_path / "redfish_temperature").rglob("*.parquet")
    for name in ("replay-20260101T000000000000-t-1.parquet", ".replay-20260101T000000000000-t-2.parquet.tmp"):
        kept.with_name(name).write_bytes(b"")
    refilled(tmp_path)

    assert [kept] == [path for path in (tmp_path / "redfish_temperature").rglob("*") if path.is_file()]


def test_what_is_covered_is_told_even_where_there_are_no_rows(tmp_path):
    refilled(tmp_path, within=ReplayRange(at(0), at(9), ("a", "b")))

    assert [ManifestEntry("t", "id", 0, 0, 99, "parquet", (), ReplayRange(at(0), at(9), ("a", "b")))] == list(
        read_manifest(tmp_path)
    )


def test_two_replays_into_one_place_do_not_run_at_once(tmp_path):
    first = FileBackfill(tmp_path, "parquet", DAY, {}, started=START_TIME, write=True)
    with pytest.raises(Retry, match="another process"):
        FileBackfill(tmp_path, "parquet", DAY, {}, started=START_TIME, write=True)
    first.close()


def test_files_without_a_manifest_are_refused(tmp_path):
    refilled(tmp_path, thermal(0))
    shutil.rmtree(tmp_path / "_manifest")

    with pytest.raises(Misconfigured, match="has files but no _manifest"):
        refilled(tmp_path, thermal(0))
