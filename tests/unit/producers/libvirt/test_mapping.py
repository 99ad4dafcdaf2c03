"""libvirt's answers become Domain records: golden cases, arbitrary answers, per-device calls."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.libvirt import device_cache, device_stats, mapping
from producers.reader import Problems
from schemas import catalog, codec

CASES = sorted((Path(__file__).parents[3] / "cases" / "libvirt").iterdir())
WHO = mapping.DomainIdentity("one-5", "8f3d0c5e-6f0a-4c69-9c1b-0d6c1f6f2a05", 3)
HEADER = {
    "host": "kvm-01",
    "category": "domains",
    "observed_at": datetime(2026, 11, 21, tzinfo=UTC),
    "monotonic_s": 1.0,
    "producer": "test",
    "epoch": "1",
    "sequence": 0,
    "previous_epoch": None,
    "previous_sequence": None,
    "dropped": [],
    "duration_s": 0.1,
    "interval_s": 1.0,
    "labels": {},
    "uri": "qemu:///system",
    "hypervisor": "QEMU",
}


def by_field(errors: list[Any]) -> list[Any]:
    return sorted(errors, key=lambda each: (each["field"], each["cause"]))


def through_avro(domain: Any, problems: Problems) -> Any:
    schema = catalog.schema("LibvirtSample")
    record = HEADER | {"errors": problems.as_records(), "domains": [domain]}
    return codec.Decoder(schema).decode(codec.encode(schema, record)), record


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_bulk_figures_become_the_expected_domain(case: Path):
    xml = (case / "domain.xml").read_text()
    root = ET.fromstring(xml)
    who = mapping.DomainIdentity(root.findtext("name", ""), root.findtext("uuid", ""), int(root.attrib["id"]))
    problems = Problems()
    domain = mapping.domain_from_stats(
        who, json.loads((case / "bulk.json").read_text()), device_cache.parse_domain_xml(xml), problems
    )
    expected = json.loads((case / "expected.json").read_text())

    assert expected["domain"] == domain
    assert by_field(expected["errors"]) == by_field(problems.as_records())
    decoded, record = through_avro(domain, problems)
    assert record == decoded


KEYS = st.sampled_from(
    ["state.state", "state.reason", "balloon.last-update", "net.count", "block.count"]
    + [key for _, key in mapping.DOMAIN_STATS]
    + [f"net.{n}.{key}" for n in range(3) for key in ("name", *(key for _, key in mapping.NIC_STATS))]
    + [f"block.{n}.{key}" for n in range(3) for key in ("name", *(key for _, key in mapping.DISK_STATS))]
) | st.text(max_size=12)
VALUES = (
    st.integers(-2, 5)
    | st.integers(-(2**65), 2**65)
    | st.booleans()
    | st.floats()
    | st.none()
    | st.sampled_from(["vda", "tap0", ""])
    | st.text(max_size=8)
)
NIC = {"mac": "52:54:00:00:00:01", "alias": "net0", "source": None}
DEVICES = st.none() | st.builds(
    device_cache.DomainDevices,
    st.lists(st.sampled_from(["tap0", "tap1", "52:54:00:00:00:01"])).map(lambda names: dict.fromkeys(names, NIC)),
    st.dictionaries(st.sampled_from(["vda", "vdb"]), st.sampled_from(["disk", "cdrom"]).map(device_cache.DiskDevice)),
    st.just(device_cache.NO_DOMAIN_METADATA),
)


@given(stats=st.dictionaries(KEYS, VALUES, max_size=60), known=DEVICES)
def test_no_answer_raises_or_gives_a_negative_number_or_one_device_twice(stats: dict[str, Any], known: Any):
    problems = Problems()
    domain = mapping.domain_from_stats(WHO, stats, known, problems)
    mapping.device_signature(stats)
    mapping.has_statistics(stats)
    mapping.is_busy(stats)

    numbers = [value for part in [domain, *domain["nics"], *domain["disks"]] for value in part.values()]
    assert [] == [value for value in numbers if isinstance(value, int) and not 0 <= value < 2**63]
    for group in (domain["nics"], domain["disks"]):
        names = [each["device"] for each in group]
        assert len(set(names)) == len(names)
    decoded, record = through_avro(domain, problems)
    assert record == decoded


@given(stats=st.dictionaries(KEYS, st.integers(0, 2**63 - 1), max_size=60))
def test_every_number_is_libvirts_own_and_every_null_has_a_cause(stats: dict[str, int]):
    problems = Problems()
    domain = mapping.domain_from_stats(WHO, stats, None, problems)

    for name, key in mapping.DOMAIN_STATS:
        if domain["state"] != mapping.SHUT_OFF:
            assert stats.get(key) == domain[name]
        assert (domain[name] is None) == ((name, "missing") in problems.counts)


COUNTERS = [name for name, _ in mapping.NIC_STATS]
INFO = [1, 4194304, 2097152, 4, 1_000]
CALLS = device_stats.CallResults(
    info=INFO,
    state=[1, 5],
    memory={"actual": 2097152, "rss": 7, "usable": 8, "last_update": 9, "swap_in": -1},
    cpu={"cpu_time": 999, "user_time": 600, "system_time": 300},
    nics={"tap0": (1, 2, 3, 4, 5, 6, 7, 8), "52:54:00:00:00:01": None},
    disks={"vda": (1, 2, 3, 4, -1)},
)
KNOWN = device_cache.DomainDevices(
    dict.fromkeys(("tap0", "52:54:00:00:00:01"), NIC),
    {"vda": device_cache.DiskDevice(), "hda": device_cache.DiskDevice("cdrom")},
)


def test_per_device_calls_fill_the_same_record():
    problems = Problems()
    domain = device_stats.domain_from_calls(WHO, CALLS, KNOWN, problems)

    assert ("5", 3, 1, 5, 4) == tuple(domain[key] for key in ("vmid", "domain_id", "state", "state_reason", "cpus"))
    assert (4194304, 2097152, 2097152) == (domain["memory_max_kb"], domain["memory_used_kb"], domain["memactual"])
    assert (1_000, 600, 300) == (domain["cputime"], domain["timeusr"], domain["timesys"])
    assert (7, 8, 9, None) == tuple(domain[key] for key in ("memrss", "memusable", "memlast_update", "memswap_in"))
    assert {"device": "tap0", **NIC, **dict(zip(COUNTERS, range(1, 9), strict=True))} == domain["nics"][0]
    assert {"device": "52:54:00:00:00:01", **NIC, **dict.fromkeys(COUNTERS)} == domain["nics"][1]
    disk = {"device": "vda", **device_cache.NO_DISK_METADATA, "rd_req": 1, "rd_bytes": 2, "wr_reqs": 3, "wr_bytes": 4}
    assert [disk | {"errors": None}] == domain["disks"]


def test_a_failed_call_leaves_nulls_that_are_not_counted_again():
    problems = Problems()
    failed = device_stats.CallResults(info=None, state=None, memory=None, cpu=None)
    domain = device_stats.domain_from_calls(
        WHO, failed, device_cache.DomainDevices({"tap0": NIC}, {"vda": device_cache.DiskDevice()}), problems
    )

    assert [] == problems.as_records()
    assert mapping.NO_STATE == domain["state"]
    assert [None] == list({domain[name] for name, _ in mapping.DOMAIN_STATS})
    assert ["tap0", "vda"] == [domain["nics"][0]["device"], domain["disks"][0]["device"]]


@pytest.mark.parametrize(
    ("who", "expected"),
    [
        pytest.param(mapping.DomainIdentity("one-123", "u", 7), "123", id="OpenNebula's number"),
        pytest.param(mapping.DomainIdentity("one-", "u", 7), "7", id="no number: the domain id"),
        pytest.param(mapping.DomainIdentity("one-1x", "u", 7), "7", id="not a number: the domain id"),
        pytest.param(mapping.DomainIdentity("someone-1", "u", 7), "7", id="another name that ends so"),
        pytest.param(mapping.DomainIdentity("one-٣", "u", 7), "7", id="digits of another script"),
        pytest.param(mapping.DomainIdentity("web", "u", None), "u", id="no id: the UUID, never -1"),
    ],
)
def test_vmid(who: mapping.DomainIdentity, expected: str):
    assert expected == mapping.vmid(who)


def test_a_count_from_outside_does_not_run_for_ever():
    domain = mapping.domain_from_stats(WHO, {"net.count": 2**62, "block.count": 2**62}, None, Problems())

    assert ([], []) == (domain["nics"], domain["disks"])


def test_without_xml_every_block_device_passes_for_a_disk():
    stats = {"block.count": 1, "block.0.name": "hdc"}

    assert ["hdc"] == [disk["device"] for disk in mapping.domain_from_stats(WHO, stats, None, Problems())["disks"]]


NUMBERS = st.integers(-2, 5) | st.sampled_from([2**63 - 1, 2**63, 2**64 - 1]) | st.integers(-(2**65), 2**65)
ANSWERS = st.builds(
    device_stats.CallResults,
    info=st.none() | st.lists(NUMBERS, min_size=5, max_size=5),
    state=st.none() | st.lists(NUMBERS, min_size=2, max_size=2),
    memory=st.none() | st.dictionaries(st.sampled_from([name for name, _ in device_stats.MEMORY_STATS]), NUMBERS),
    cpu=st.none() | st.dictionaries(st.sampled_from(["user_time", "system_time"]), NUMBERS),
    nics=st.fixed_dictionaries({"tap0": st.none() | st.tuples(*[NUMBERS] * 8)}),
    disks=st.fixed_dictionaries({"vda": st.none() | st.tuples(*[NUMBERS] * 5)}),
)


@given(answers=ANSWERS)
def test_a_number_of_a_single_call_is_libvirts_own_or_null_with_a_cause(answers: device_stats.CallResults):
    problems = Problems()
    domain: Any = device_stats.domain_from_calls(
        WHO, answers, device_cache.DomainDevices({"tap0": NIC}, {"vda": device_cache.DiskDevice()}), problems
    )

    info = answers.info or [None] * 5
    pairs = [("memory_max_kb", info[1]), ("memory_used_kb", info[2]), ("cpus", info[3]), ("cputime", info[4])]
    got = [(domain[name], said, name) for name, said in pairs]
    got += [(domain["nics"][0][name], (answers.nics["tap0"] or [None] * 8)[n], f"nics.{name}")
            for n, name in enumerate(COUNTERS)]  # fmt: skip
    got += [(domain["disks"][0][name], (answers.disks["vda"] or [None] * 5)[n], f"disks.{name}")
            for n, (name, _) in enumerate(mapping.DISK_STATS)]  # fmt: skip
    for value, said, name in got:
        if domain["state"] == mapping.SHUT_OFF and name == "cputime":
            continue
        known = said is not None and 0 <= said < 2**63
        assert value == (said if known else None)
        assert ((name in {field for field, _ in problems.counts}) or said is None) == (not known)


@pytest.mark.parametrize("last", [pytest.param(True, id="answered before"), pytest.param(False, id="never answered")])
def test_a_domain_that_does_not_answer_has_its_last_values_or_none_and_is_marked(last):
    known = mapping.domain_from_stats(WHO, {"state.state": 1, "cpu.time": 5}, None, Problems()) if last else None
    domain = mapping.stale_domain(WHO, known)

    assert (True, 5 if last else None, int(last)) == (domain["stale"], domain["cputime"], domain["state"])
    assert known is None or not known["stale"], "the values kept are not changed"
    decoded, record = through_avro(domain, Problems())
    assert record == decoded


@pytest.mark.parametrize(
    ("case", "expected"),
    [("hung", True), ("running", False), ("paused", False), ("no_balloon_driver", False), ("shut_off", False)],
)
def test_what_libvirt_gives_of_a_busy_domain_shows_that_it_is(case, expected):
    assert expected == mapping.is_busy(json.loads((CASES[0].parent / case / "bulk.json").read_text()))
