"""`$expand`, what is remembered of a BMC, and which of its two generations is read: over a real socket."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from producers.redfish import RedfishReader
from producers.redfish.http.client import RedfishClient
from tests.e2e.support.trees import Tree, serving

ROOT = "/redfish/v1"
SYSTEM = f"{ROOT}/Systems/1"
CHASSIS = f"{ROOT}/Chassis/1"
ALL = {"ExpandAll": True, "Levels": True, "MaxLevels": 1, "Links": True, "NoLinks": True}
HPE = {"ExpandAll": False, "Levels": True, "MaxLevels": 1, "Links": False, "NoLinks": True}
OK = {"State": "Enabled", "Health": "OK"}
ABSENT = {"MemberId": "0", "ReadingCelsius": 0, "Status": {"State": "Absent"}}


def link(uri: str) -> dict[str, str]:
    return {"@odata.id": uri}


def collection(uri: str, *names: str) -> dict[str, Any]:
    return {"Members": [link(f"{uri}/{name}") for name in names]}


def sensor(name: str, celsius: float) -> dict[str, Any]:
    return {
        "Id": name,
        "Name": name,
        "Reading": celsius,
        "ReadingType": "Temperature",
        "ReadingUnits": "Cel",
        "Status": OK,
    }


def small(features: dict[str, Any]) -> dict[str, Any]:
    """A BMC with two DIMMs, and both generations of thermal resources."""
    return {
        ROOT: {
            "ProtocolFeaturesSupported": {"ExpandQuery": features},
            **{name: link(f"{ROOT}/{name}") for name in ("Systems", "Chassis", "Managers")},
        },
        f"{ROOT}/Managers": collection(f"{ROOT}/Managers", "bmc"),
        f"{ROOT}/Managers/bmc": {"Id": "bmc", "FirmwareVersion": "1.0"},
        f"{ROOT}/Systems": collection(f"{ROOT}/Systems", "1"),
        SYSTEM: {"Id": "1", "PowerState": "On", "Memory": link(f"{SYSTEM}/Memory")},
        f"{SYSTEM}/Memory": collection(f"{SYSTEM}/Memory", "A", "B"),
        f"{SYSTEM}/Memory/A": {"Id": "A", "OperatingSpeedMhz": 4800, "Status": OK},
        f"{SYSTEM}/Memory/B": {"Id": "B", "OperatingSpeedMhz": 4800, "Status": OK},
        f"{ROOT}/Chassis": collection(f"{ROOT}/Chassis", "1"),
        CHASSIS: {
            "Id": "1",
            "Links": {"ComputerSystems": [link(SYSTEM)]},
            **{name: link(f"{CHASSIS}/{name}") for name in ("Thermal", "ThermalSubsystem", "Sensors")},
        },
        f"{CHASSIS}/Thermal": {"Temperatures": [{"MemberId": "0", "ReadingCelsius": 30}]},
        f"{CHASSIS}/ThermalSubsystem": {"ThermalMetrics": link(f"{CHASSIS}/ThermalSubsystem/ThermalMetrics")},
        f"{CHASSIS}/ThermalSubsystem/ThermalMetrics": {
            "TemperatureReadingsCelsius": [{"DataSourceUri": f"{CHASSIS}/Sensors/Inlet", "Reading": 30}]
        },
        f"{CHASSIS}/Sensors": collection(f"{CHASSIS}/Sensors", "Inlet", "CPU"),
        f"{CHASSIS}/Sensors/Inlet": sensor("Inlet", 30),
        f"{CHASSIS}/Sensors/CPU": sensor("CPU", 60),
    }


class Clock:
    """The real one, and a way to pass time."""

    ahead_s = 0.0

    def __call__(self) -> float:
        return time.monotonic() + self.ahead_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tree() -> Iterator[Tree]:
    with serving(Tree(small(ALL))) as each:
        each.expands = True
        yield each


@pytest.fixture
def reader(tree: Tree, clock: Clock) -> Iterator[RedfishReader]:
    each = RedfishReader("node1", RedfishClient(tree.url, clock=clock), labels={}, intervals={}, clock=clock)
    yield each
    each.close()


Ask = Callable[[str], list[str]]


@pytest.fixture
def asked(tree: Tree, reader: RedfishReader) -> Ask:
    """What a poll of a category asks for, below the service root."""

    def poll(category: str) -> list[str]:
        tree.asked.clear()
        reader.read(category, 5)
        return sorted(path.removeprefix(f"{ROOT}/") for path in tree.asked)

    return poll


def dimms(reader: RedfishReader) -> list[str]:
    return [dimm["memory_id"] for dimm in reader.read("memory", 5).body["dimms"]]


def celsius(reader: RedfishReader) -> list[tuple[str, float | None]]:
    return [
        (temperature["sensor_id"], temperature["reading_celsius"])
        for temperature in reader.read("thermal", 5).body["temperatures"]
    ]


def test_a_collection_comes_with_its_members_in_one_request(reader: RedfishReader, asked: Ask) -> None:
    assert ["A", "B"] == dimms(reader)
    assert ["Systems/1/Memory?$expand=."] == asked("memory")


def test_hpe_is_asked_without_levels(tree: Tree, reader: RedfishReader, asked: Ask) -> None:
    tree.tree = small(HPE)
    assert ["A", "B"] == dimms(reader)
    assert ["Systems/1/Memory?$expand=."] == asked("memory")


def test_a_bmc_that_tells_of_no_expand_is_asked_plainly(tree: Tree, reader: RedfishReader, asked: Ask) -> None:
    tree.tree = small({})
    assert ["A", "B"] == dimms(reader)
    assert ["Systems/1/Memory", "Systems/1/Memory/A", "Systems/1/Memory/B"] == asked("memory")
    assert not [path for path in tree.asked if "$" in path]


def test_what_is_answered_badly_is_given_up_for_good(tree: Tree, reader: RedfishReader, asked: Ask) -> None:
    tree.expands = False  # 404, though it says that it can
    for _ in range(4):
        assert ["A", "B"] == dimms(reader)
    assert ["Systems/1/Memory", "Systems/1/Memory/A", "Systems/1/Memory/B"] == asked("memory")
    assert not reader.read("memory", 5).problems.counts


def test_members_given_inline_are_not_asked_for(tree: Tree, reader: RedfishReader, asked: Ask) -> None:
    tree.tree = small({})
    tree.tree[f"{SYSTEM}/Memory"] = {"Members": [{"@odata.id": f"{SYSTEM}/Memory/A", "Id": "A", "CapacityMiB": 8192}]}
    assert ["A"] == dimms(reader)
    assert ["Systems/1/Memory"] == asked("memory")


def test_an_hour_later_only_the_collections_and_the_firmware_are_asked_for(
    reader: RedfishReader, asked: Ask, clock: Clock
) -> None:
    reader.read("memory", 5)
    clock.ahead_s += 3601
    expected = ["/redfish/v1", "Chassis", "Managers?$expand=.", "Systems", "Systems/1/Memory?$expand=."]
    assert expected == asked("memory")


def test_other_firmware_is_discovered_anew(tree: Tree, reader: RedfishReader, clock: Clock) -> None:
    assert ["A", "B"] == dimms(reader)
    tree.tree[f"{ROOT}/Managers/bmc"] = {"Id": "bmc", "FirmwareVersion": "2.0"}
    tree.tree[SYSTEM] = {"Id": "1", "Memory": link(f"{SYSTEM}/NewMemory")}
    tree.tree[f"{SYSTEM}/NewMemory"] = collection(f"{SYSTEM}/Memory", "B")
    clock.ahead_s += 3601
    assert ["B"] == dimms(reader)


def test_a_system_that_links_other_things_is_discovered_anew(tree: Tree, reader: RedfishReader) -> None:
    assert ["A", "B"] == dimms(reader)
    tree.tree[SYSTEM] = {"Id": "1", "Memory": link(f"{SYSTEM}/NewMemory")}
    tree.tree[f"{SYSTEM}/NewMemory"] = collection(f"{SYSTEM}/Memory", "B")
    reader.read("system", 5)
    assert ["B"] == dimms(reader)


def test_of_two_generations_with_the_same_readings_the_old_one_is_read_alone(reader: RedfishReader, asked: Ask) -> None:
    assert [("0", 30.0)] == celsius(reader)
    assert ["Chassis/1/Thermal"] == asked("thermal")


def test_the_generation_with_more_readings_is_read(tree: Tree, reader: RedfishReader, asked: Ask) -> None:
    tree.tree[f"{CHASSIS}/Thermal"] = {
        "Temperatures": [{"MemberId": "0", "ReadingCelsius": 0, "Status": {"State": "Absent"}}]
    }
    assert [("Inlet", 30.0), ("CPU", 60.0)] == celsius(reader)
    assert ["Chassis/1/Sensors?$expand=."] == asked("thermal")


def test_without_expand_thermal_metrics_stand_for_sensors_with_their_limits(
    tree: Tree, reader: RedfishReader, asked: Ask
) -> None:
    tree.tree = small({})
    del tree.tree[f"{CHASSIS}/Thermal"]
    tree.tree[f"{CHASSIS}/Sensors/Inlet"] = sensor("Inlet", 30) | {"Thresholds": {"UpperCritical": {"Reading": 45}}}
    (inlet,) = reader.read("thermal", 5).body["temperatures"]
    assert (30.0, 45.0, None) == (inlet["reading_celsius"], inlet["upper_threshold_critical"], inlet["state"])
    assert ["Chassis/1/ThermalSubsystem/ThermalMetrics"] == asked("thermal")


def test_a_generation_that_breaks_is_not_stood_in_for(tree: Tree, reader: RedfishReader) -> None:
    """Else the same sensors would have two names in turns."""
    assert [("0", 30.0)] == celsius(reader)
    tree.tree[f"{CHASSIS}/Thermal"] = ["not an object"]
    assert [] == celsius(reader)
    tree.tree[f"{CHASSIS}/Thermal"] = {"Temperatures": [{"MemberId": "0", "ReadingCelsius": 31}]}
    assert [("0", 31.0)] == celsius(reader)


def test_sensors_that_come_with_the_hosts_power_are_found(tree: Tree, reader: RedfishReader) -> None:
    off = {"Temperatures": [ABSENT]}
    on = tree.tree[f"{CHASSIS}/Thermal"]
    tree.tree[SYSTEM]["PowerState"] = "Off"
    tree.tree[f"{CHASSIS}/Thermal"] = off
    del tree.tree[f"{CHASSIS}/ThermalSubsystem"]
    tree.tree[f"{CHASSIS}/Sensors"] = {"Members": []}
    reader.read("system", 5)
    assert [("0", None)] == celsius(reader)
    tree.tree[f"{CHASSIS}/Thermal"] = on
    tree.tree[SYSTEM]["PowerState"] = "On"
    reader.read("system", 5)
    assert [("0", 30.0)] == celsius(reader)


def test_a_part_that_two_systems_list_under_two_uris_is_told_of_each(tree: Tree, reader: RedfishReader) -> None:
    other = f"{ROOT}/Systems/HGX"
    tree.tree[f"{ROOT}/Systems"] = collection(f"{ROOT}/Systems", "1", "HGX")
    tree.tree[other] = {"Id": "HGX", "Memory": link(f"{other}/Memory")}
    tree.tree[f"{other}/Memory"] = collection(f"{other}/Memory", "same", "own") | {
        "Members": [link(f"{other}/Memory/same"), link(f"{other}/Memory/own"), link(f"{SYSTEM}/Memory/A")]
    }
    for uri in (f"{SYSTEM}/Memory/A", f"{SYSTEM}/Memory/B", f"{other}/Memory/same", f"{other}/Memory/own"):
        tree.tree[uri] = {"Id": uri.rpartition("/")[2], "SerialNumber": "9223382488031113395", "Status": OK}
    assert ["A", "B", "same", "own"] == dimms(reader)


def test_drives_that_only_a_chassis_lists_are_told_beside_those_of_the_storages(
    tree: Tree, reader: RedfishReader
) -> None:
    storage, bays = f"{SYSTEM}/Storage/1", f"{CHASSIS}/Drives"
    tree.tree[SYSTEM]["Storage"] = link(f"{SYSTEM}/Storage")
    tree.tree[f"{SYSTEM}/Storage"] = collection(f"{SYSTEM}/Storage", "1")
    tree.tree[storage] = {"Id": "1", "Drives": [link(f"{bays}/A")]}
    tree.tree[CHASSIS]["Drives"] = link(bays)
    for listed, expected in ((("A",), ["A"]), (("A", "B"), ["A", "B"])):
        tree.tree[bays] = collection(bays, *listed)
        for name in listed:
            tree.tree[f"{bays}/{name}"] = {"Id": name, "Status": OK}
        reader.discover(5)
        for _ in range(2):
            assert expected == [drive["drive_id"] for drive in reader.read("storage", 5).body["drives"]]


def test_a_chassis_says_which_systems_are_in_it(reader: RedfishReader) -> None:
    reader.read("system", 5)
    assert {"1": ("1",)} == reader.chassis_systems
