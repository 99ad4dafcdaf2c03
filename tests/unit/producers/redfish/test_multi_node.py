"""Readings of a BMC with several hosts: each goes to one record, none is lost."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producers.reader import Problems
from producers.redfish.multi_node import split_body, split_problems

SYSTEMS = {"Node0": "kvm-1", "Node1": "kvm-2"}
CHASSIS = {"Blade0": ["Node0"], "Blade1": ["Node1"], "Blade2": ["Node2"], "Rack": ["Node0", "Node1"], "Pdu": []}


@pytest.mark.parametrize(
    ("reading", "host"),
    [
        pytest.param({"system_id": "Node0"}, "kvm-1", id="it names its system"),
        pytest.param({"system_id": "Node9"}, None, id="it names a system that nobody mapped"),
        pytest.param({"system_id": None, "chassis_id": "Blade1"}, "kvm-2", id="it is in the chassis of one system"),
        pytest.param({"chassis_id": "Blade2"}, None, id="it is in the chassis of a system that nobody mapped"),
        pytest.param({"chassis_id": "Rack"}, None, id="it is in the chassis of both"),
        pytest.param({"chassis_id": "Pdu"}, None, id="it is in a chassis of no system"),
        pytest.param({"chassis_id": "New"}, None, id="it is in a chassis that nobody knows"),
        pytest.param({"system_id": None, "chassis_id": None}, None, id="it names nothing"),
        pytest.param({"system_id": "Node0", "chassis_id": "Blade1"}, "kvm-1", id="it names a system plugged elsewhere"),
    ],
)
def test_a_reading_is_the_hosts_whose_system_it_is_else_the_enclosures(reading, host):
    parts = split_body({"fans": [reading]}, SYSTEMS, CHASSIS)

    assert {None: [], "kvm-1": [], "kvm-2": []} | {host: [reading]} == {
        key: each["fans"] for key, each in parts.items()
    }


def test_two_systems_of_one_host_make_one_record_and_their_common_chassis_is_its():
    parts = split_body({"fans": [{"chassis_id": "Rack"}]}, {"Node0": "gpu-1", "Node1": "gpu-1"}, CHASSIS)

    assert {None: 0, "gpu-1": 1} == {host: len(each["fans"]) for host, each in parts.items()}


IDS = st.none() | st.sampled_from([f"n{n}" for n in range(4)])
READINGS = st.lists(st.fixed_dictionaries({}, optional={"system_id": IDS, "chassis_id": IDS}), max_size=8)


@given(
    body=st.dictionaries(st.sampled_from(["fans", "drives", "systems"]), READINGS),
    systems=st.dictionaries(IDS.filter(bool), st.sampled_from(["a", "b", "c"])),
    chassis=st.dictionaries(IDS.filter(bool), st.lists(IDS.filter(bool), max_size=3)),
)
def test_nothing_is_there_twice_and_nothing_is_lost(body, systems, chassis):
    numbered = {
        name: [{**reading, "n": (name, n)} for n, reading in enumerate(readings)] for name, readings in body.items()
    }
    parts = split_body({"address": "https://bmc", **numbered}, systems, chassis)

    assert {None, *systems.values()} == set(parts)
    assert {"https://bmc"} == {part["address"] for part in parts.values()}
    found = Counter(reading["n"] for part in parts.values() for name in numbered for reading in part[name])
    assert Counter(reading["n"] for readings in numbered.values() for reading in readings) == found
    for host, part in parts.items():
        for name, readings in numbered.items():
            assert [each["n"] for each in part[name]] == sorted(each["n"] for each in part[name])
            assert all(each in readings for each in part[name])
            assert all(systems.get(each["system_id"]) == host for each in part[name] if each.get("system_id"))


def test_what_was_not_got_whole_is_every_hosts_and_single_values_are_counted_once():
    problems = Problems()
    problems.add("Thermal", "HTTP 500", whole=True)
    problems.add("reading_celsius", "no number", 3)
    shared = split_problems(problems, {"kvm-1", "kvm-2"})

    assert problems is shared[None]
    for host in ("kvm-1", "kvm-2"):
        assert [("Thermal", True)] == [(record["field"], record["whole"]) for record in shared[host].as_records()]
