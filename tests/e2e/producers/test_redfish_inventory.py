"""Processors, memory, network and storage over a real socket: golden trees by vendor, and what no tree may break."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from producers.reader import PollFailed
from producers.redfish import RedfishReader
from producers.redfish.http.client import RedfishClient
from producers.redfish.reader import CATEGORIES
from tests.e2e.support.trees import Tree, serving

CASES = Path(__file__).parents[2] / "cases" / "redfish"
FOLDERS = sorted(path.parent for path in CASES.glob("*/tree.json"))
ROOT = "/redfish/v1"
SYSTEM = f"{ROOT}/Systems/1"
TOTALS = {"Rack": 100, "Tray": 60}


def reader_of(tree: Tree) -> RedfishReader:
    return RedfishReader("node1", RedfishClient(tree.url), labels={}, intervals={})


def without_nulls(record: dict[str, Any]) -> dict[str, Any]:
    told = {name: without_nulls(each) if isinstance(each, dict) else each for name, each in record.items()}
    return {name: each for name, each in told.items() if each not in (None, {})}


def read_whole(tree: Tree) -> dict[str, Any]:
    """What all categories but the system give: arrays that are not empty, without nulls, and problems by category."""
    reader = reader_of(tree)
    found: dict[str, Any] = {}
    for category in list(CATEGORIES)[1:]:
        sample = reader.read(category, 10)
        arrays = {name: each for name, each in sample.body.items() if isinstance(each, list) and each}
        found |= {name: [without_nulls(record) for record in each] for name, each in arrays.items()}
        found[f"{category} problems"] = {f"{name}: {cause}": n for (name, cause), n in sample.problems.counts.items()}
    reader.close()
    return found


@pytest.mark.parametrize("case", FOLDERS, ids=lambda path: path.name)
def test_a_tree_gives_the_records_of_its_case(case: Path) -> None:
    with serving(Tree(json.loads((case / "tree.json").read_text()))) as tree:
        tree.expands = "ProtocolFeaturesSupported" in tree.tree[ROOT]
        found = read_whole(tree)
    assert json.loads((case / "expected.json").read_text()) == found


def link(uri: str) -> dict[str, str]:
    return {"@odata.id": uri}


def small() -> dict[str, Any]:
    """A BMC of one system: two processors, one adapter, one Storage with two drives."""
    return {
        ROOT: {"Systems": link(f"{ROOT}/Systems"), "Chassis": link(f"{ROOT}/Chassis")},
        f"{ROOT}/Chassis": {"Members": [link(f"{ROOT}/Chassis/1")]},
        f"{ROOT}/Chassis/1": {"Id": "1", "NetworkAdapters": link(f"{ROOT}/Chassis/1/NetworkAdapters")},
        f"{ROOT}/Chassis/1/NetworkAdapters": {"Members": [link(f"{ROOT}/Chassis/1/NetworkAdapters/A")]},
        f"{ROOT}/Chassis/1/NetworkAdapters/A": {"Id": "A"},
        f"{ROOT}/Systems": {"Members": [link(SYSTEM)]},
        SYSTEM: {
            "Id": "1",
            **{name: link(f"{SYSTEM}/{name}") for name in ("Processors", "EthernetInterfaces", "Storage")},
        },
        f"{SYSTEM}/Processors": {"Members": [link(f"{SYSTEM}/Processors/1"), link(f"{SYSTEM}/Processors/2")]},
        f"{SYSTEM}/Processors/1": {"Id": "1", "Metrics": link(f"{SYSTEM}/Processors/1/Metrics")},
        f"{SYSTEM}/Processors/1/Metrics": {"TemperatureCelsius": 40},
        f"{SYSTEM}/Processors/2": {"Id": "2"},
        f"{SYSTEM}/EthernetInterfaces": {"Members": [link(f"{SYSTEM}/EthernetInterfaces/eth0")]},
        f"{SYSTEM}/EthernetInterfaces/eth0": {"Id": "eth0"},
        f"{SYSTEM}/Storage": {"Members": [link(f"{SYSTEM}/Storage/S")]},
        f"{SYSTEM}/Storage/S": {"Id": "S", "Drives": [link(f"{SYSTEM}/Storage/S/Drives/{n}") for n in (0, 1)]},
        f"{SYSTEM}/Storage/S/Drives/0": {"Id": "0"},
        f"{SYSTEM}/Storage/S/Drives/1": {"Id": "1"},
    }


@pytest.fixture
def tree() -> Iterator[Tree]:
    with serving(Tree(small())) as each:
        yield each


@pytest.fixture
def reader(tree: Tree) -> Iterator[RedfishReader]:
    each = reader_of(tree)
    yield each
    each.close()


def ids(reader: RedfishReader, category: str, array: str, name: str) -> list[str]:
    return [each[name] for each in reader.read(category, 5).body[array]]


def test_a_member_that_is_gone_loses_no_other(tree: Tree, reader: RedfishReader) -> None:
    del tree.tree[f"{SYSTEM}/Processors/1"], tree.tree[f"{SYSTEM}/Storage/S/Drives/0"]
    assert ["2"] == ids(reader, "processor", "processors", "processor_id")
    assert ["1"] == ids(reader, "storage", "drives", "drive_id")


def test_metrics_that_are_gone_lose_no_processor(tree: Tree, reader: RedfishReader) -> None:
    del tree.tree[f"{SYSTEM}/Processors/1/Metrics"]
    sample = reader.read("processor", 5)
    assert [None, None] == [processor["temperature_celsius"] for processor in sample.body["processors"]]
    assert {(f"{SYSTEM}/Processors/1/Metrics", "HTTP 404"): 1} == dict(sample.problems.counts)
    assert not sample.problems.whole


def test_what_was_plugged_in_since_is_in_the_next_poll(tree: Tree, reader: RedfishReader) -> None:
    assert ["0", "1"] == ids(reader, "storage", "drives", "drive_id")
    tree.tree[f"{SYSTEM}/Storage/S"]["Drives"].append(link(f"{SYSTEM}/Storage/S/Drives/2"))
    tree.tree[f"{SYSTEM}/Storage/S/Drives/2"] = {"Id": "2"}
    assert ["0", "1", "2"] == ids(reader, "storage", "drives", "drive_id")


def test_adapters_go_before_ethernet_interfaces_which_stand_in_for_them(tree: Tree, reader: RedfishReader) -> None:
    assert ["A"] == ids(reader, "network", "interfaces", "interface_id")
    tree.tree[f"{ROOT}/Chassis/1/NetworkAdapters"] = {"Members": []}
    assert ["eth0"] == ids(reader, "network", "interfaces", "interface_id")


def test_what_did_not_answer_is_not_stood_in_for(tree: Tree, reader: RedfishReader) -> None:
    """Else the same ports would be told under two names, in turns."""
    reader.read("system", 5)
    tree.tree[f"{ROOT}/Chassis/1/NetworkAdapters"] = ["not an object"]
    sample = reader.read("network", 5)
    assert [] == sample.body["interfaces"]
    assert {(f"{ROOT}/Chassis/1/NetworkAdapters", "answer is not a JSON object")} == set(sample.problems.whole)


def test_a_system_that_is_gone_is_discovered_anew(tree: Tree, reader: RedfishReader) -> None:
    assert ["1", "2"] == ids(reader, "processor", "processors", "processor_id")
    documents = {path.replace("Systems/1", "Systems/2"): json.dumps(each) for path, each in small().items()}
    tree.tree = {path: json.loads(each.replace("Systems/1", "Systems/2")) for path, each in documents.items()}
    assert [] == ids(reader, "processor", "processors", "processor_id")
    assert ["1", "2"] == ids(reader, "processor", "processors", "processor_id")


def test_pages_of_members_are_followed(tree: Tree, reader: RedfishReader) -> None:
    uri = f"{SYSTEM}/Processors"
    tree.tree[uri] = {"Members": [link(f"{uri}/1")], "Members@odata.nextLink": f"{uri}?$skip=1"}
    tree.tree[f"{uri}?$skip=1"] = {"Members": [link(f"{uri}/2"), link(f"{uri}/1/")], "Members@odata.nextLink": uri}
    assert ["1", "2"] == ids(reader, "processor", "processors", "processor_id")


def test_a_collection_that_two_systems_link_is_told_once(tree: Tree, reader: RedfishReader) -> None:
    tree.tree[f"{ROOT}/Systems"]["Members"].append(link(f"{ROOT}/Systems/2"))
    tree.tree[f"{ROOT}/Systems/2"] = tree.tree[SYSTEM] | {"Id": "2"}
    sample = reader.read("processor", 5)
    assert [("1", "1"), ("1", "2")] == [
        (processor["system_id"], processor["processor_id"]) for processor in sample.body["processors"]
    ]
    assert {("processors", "duplicate ignored"): 2} == dict(sample.problems.counts)


NAMES = sorted({name for path in small() for name in path.split("/")[3:]} | {
    "Id", "Members", "@odata.id", "Status", "State", "Metrics", "EnvironmentMetrics", "Drives", "Controllers", "Links",
    "StorageControllers", "NetworkAdapter", "NetworkInterfaces", "Ports", "SimpleStorage", "Devices", "Memory",
    "Thermal", "ThermalSubsystem", "PowerSubsystem", "Fans", "ThermalMetrics", "TemperatureReadingsCelsius",
    "PowerSupplies",
    "SpeedPercent", "SpeedRPM", "Reading", "Members@odata.nextLink",
})  # fmt: skip
LINKS = st.sampled_from(sorted(small())).map(link)
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5) | LINKS
ODD = st.recursive(
    LEAVES,
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.sampled_from(NAMES), each, max_size=5),
    max_leaves=9,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(sorted(small())[1:]), st.dictionaries(st.sampled_from(NAMES), ODD), max_size=6))
def test_no_tree_makes_a_poll_raise_anything_but_that_it_failed(tree: Tree, odd: dict[str, Any]) -> None:
    tree.tree = {path: document | odd.get(path, {}) for path, document in small().items()}
    reader = reader_of(tree)
    for category in CATEGORIES:
        try:
            body = reader.read(category, 5).body
        except PollFailed:
            continue
        assert all(isinstance(each, dict) for array in body.values() if isinstance(array, list) for each in array)
    reader.close()


@pytest.mark.parametrize(
    ("around", "watts"),
    [
        pytest.param({"Tray": "Rack"}, {"Rack": 100}, id="one around the other: the outer one's holds both"),
        pytest.param({}, {"Rack": 100, "Tray": 60}, id="side by side: both"),
        pytest.param({"Tray": "Rack", "Rack": "Tray"}, {"Rack": 100, "Tray": 60}, id="each around the other: both"),
        pytest.param({"Tray": "Tray"}, {"Rack": 100, "Tray": 60}, id="around itself: both"),
    ],
)
def test_a_total_that_another_holds_is_not_told_beside_it(around: dict[str, str], watts: dict[str, float]) -> None:
    chassis = f"{ROOT}/Chassis"
    tree: dict[str, Any] = {
        ROOT: {"Chassis": link(chassis)},
        chassis: {"Members": [link(f"{chassis}/{each}") for each in TOTALS]},
    }
    for name, total in TOTALS.items():
        uri = f"{chassis}/{name}"
        links = {"ContainedBy": link(f"{chassis}/{around[name]}")} if name in around else {}
        tree |= {uri: {"Id": name, "EnvironmentMetrics": link(f"{uri}/EnvironmentMetrics"), "Links": links}}
        tree |= {f"{uri}/EnvironmentMetrics": {"PowerWatts": {"Reading": total}}}
    with serving(Tree(tree)) as served:
        told = reader_of(served).read("power", 10).body["power_controls"]
    assert watts == {each["chassis_id"]: each["power_consumed_watts"] for each in told}
