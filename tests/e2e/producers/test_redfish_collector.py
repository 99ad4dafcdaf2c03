"""Seed 000's collector against real servers: its examples, its keys and types, and what it does on errors."""

from __future__ import annotations

import csv
import json
import logging
import math
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import trustme

from producers.redfish import RedfishTelemetryCollector
from producers.redfish.scripting import dictionaries
from rackstream.simulators.redfish import RedfishSimulator
from tests.e2e.support import collector_examples
from tests.e2e.support.trees import Tree, emulated, serving

PASSWORD = "correct-hörse-battery"
ROOT = "/redfish/v1"
CHASSIS = f"{ROOT}/Chassis/1"
SYSTEM = f"{ROOT}/Systems/Node"


def link(uri: str) -> dict[str, str]:
    return {"@odata.id": uri}


def members(*uris: str) -> dict[str, Any]:
    return {"Members": [link(uri) for uri in uris]}


def tree() -> dict[str, Any]:
    """A BMC of a virtual System and then a physical one, whose things say little."""
    return {
        ROOT: {name: link(f"{ROOT}/{name}") for name in ("Systems", "Chassis", "Managers", "TelemetryService")},
        f"{ROOT}/Systems": members(f"{ROOT}/Systems/VM", SYSTEM),
        f"{ROOT}/Systems/VM": {"Id": "VM", "SystemType": "Virtual"},
        SYSTEM: {
            "Id": "Node", "SystemType": "Physical", "PowerState": "On", "Model": "Bücher 1U",
            "Status": {"Health": "OK"}, "Boot": {"BootSourceOverrideTarget": "Pxe"}, "ProcessorSummary": {"Count": 2},
            "Processors": link(f"{SYSTEM}/Processors"), "Memory": link(f"{SYSTEM}/Memory"),
            "EthernetInterfaces": link(f"{SYSTEM}/EthernetInterfaces"), "Storage": link(f"{SYSTEM}/Storage"),
        },
        f"{SYSTEM}/Processors": members(f"{SYSTEM}/Processors/CPU0"),
        f"{SYSTEM}/Processors/CPU0": {"Id": "CPU0"},
        f"{SYSTEM}/Memory": members(f"{SYSTEM}/Memory/A1", f"{SYSTEM}/Memory/A2"),
        f"{SYSTEM}/Memory/A1": {"Id": "A1", "CapacityMiB": 16384, "AllowedSpeedsMHz": [2933, 3200]},
        f"{SYSTEM}/Memory/A2": {"Id": "A2", "CapacityMiB": 0, "Status": {"State": "Absent"}},
        f"{SYSTEM}/EthernetInterfaces": members(f"{SYSTEM}/EthernetInterfaces/eth0"),
        f"{SYSTEM}/EthernetInterfaces/eth0": {"Id": "eth0", "Name": "eth0"},
        f"{SYSTEM}/Storage": members(f"{SYSTEM}/Storage/S"),
        f"{SYSTEM}/Storage/S": {"Id": "S", "Drives": [link(f"{SYSTEM}/Storage/S/Drives/0")]},
        f"{SYSTEM}/Storage/S/Drives/0": {"Id": "0"},
        f"{ROOT}/Chassis": members(CHASSIS),
        CHASSIS: {"Id": "1", "Thermal": link(f"{CHASSIS}/Thermal"), "Power": link(f"{CHASSIS}/Power")},
        f"{CHASSIS}/Thermal": {
            "Temperatures": [
                {"Name": "Inlet", "ReadingCelsius": 21},
                {"Name": "CPU", "ReadingCelsius": 95, "UpperThresholdCritical": 100, "Status": {"Health": "OK"}},
                {"Name": "Slot 1", "ReadingCelsius": 0, "Status": {"State": "Absent"}},
            ],
            "Fans": [
                {"Name": "Fan 1", "Reading": 4200, "ReadingUnits": "RPM", "LowerThresholdCritical": 600},
                {"Name": "Fan 2", "Reading": 51, "ReadingUnits": "Percent", "Status": {"Health": "OK"}},
            ],
        },
        f"{CHASSIS}/Power": {
            "PowerControl": [{"Name": "Total", "PowerConsumedWatts": 150.5, "PowerAvailableWatts": 600}],
            "Voltages": [{"Name": "12V", "ReadingVolts": 12.1}],
            "PowerSupplies": [{"Name": "PSU 1", "EfficiencyPercent": 94}, {"Name": "PSU 2"}],
        },
    }  # fmt: skip


@pytest.fixture
def bmc() -> Iterator[Tree]:
    with serving(Tree(tree(), username="admin", password=PASSWORD, tls=True)) as each:
        yield each


@pytest.fixture
def collector(bmc: Tree) -> Iterator[RedfishTelemetryCollector]:
    with RedfishTelemetryCollector("127.0.0.1", "admin", PASSWORD, bmc.port) as each:
        yield each


@pytest.fixture(params=["simulator", "sushy-tools", "static tree"])
def config(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[dict[str, Any]]:
    """The constructor's arguments for one of three servers."""
    login = {"host": "127.0.0.1", "username": "admin", "password": PASSWORD}
    issued = trustme.CA().issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    if request.param == "simulator":
        with RedfishSimulator(
            username="admin", password=PASSWORD, cert=tmp_path / "cert.pem", key=tmp_path / "key.pem"
        ) as simulator:
            yield login | {"port": int(simulator.urls[0].rpartition(":")[2])}
    elif request.param == "sushy-tools":
        pems = {"SSL_CERT": str(tmp_path / "cert.pem"), "SSL_KEY": str(tmp_path / "key.pem")}
        with emulated(tmp_path, **pems) as port:
            yield login | {"port": port}
    else:
        with serving(Tree(tree(), username="admin", password=PASSWORD, tls=True)) as each:
            yield login | {"port": each.port}


METHODS = [name for name in vars(collector_examples) if name.startswith(("example_", "usage_", "basic_"))]


def test_every_example_of_the_seed_runs(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    with collector_examples.OptimizedTelemetryCollector(**config) as collector:
        for name in METHODS:
            getattr(collector_examples, name)(collector)
    printed = capsys.readouterr().out
    assert "Telemetry endpoints discovered successfully" in printed
    assert "Failed to" not in printed
    assert "Monitoring completed. Collected " in printed
    assert {"server_telemetry.json", "thermal_data.csv", "telemetry.json", "telemetry.csv"} <= {
        each.name for each in tmp_path.iterdir()
    }


def test_the_collectors_of_the_seed_collect(config: dict[str, Any]) -> None:
    with collector_examples.ReliableTelemetryCollector(**config) as reliable:
        results = reliable.safe_collect_all()
        assert results["system"]["category"] == "system"
        assert {"temperature", "fan"} == {each["type"] for each in results["thermal"]}
    categories = ["system", "thermal", "power", "processor", "memory", "network", "storage", "none of these"]
    with collector_examples.OptimizedTelemetryCollector(**config) as optimized:
        assert optimized.get_cached_endpoints() is True
        results = optimized.parallel_collection(categories)
    assert set(results) == set(categories[:-1])
    assert results["system"] is not None
    assert results["thermal"]
    # sushy-tools answers HTTP 500 for a Storage that is not configured: an error, so None.
    assert {name for name, each in results.items() if each is None} <= {"storage"}


def test_several_servers_are_collected_side_by_side(config: dict[str, Any]) -> None:
    results = collector_examples.collect_from_multiple_servers([config, config | {"host": "localhost"}])
    assert {"127.0.0.1", "localhost"} == set(results)
    assert all(len(result) >= 5 for result in results.values())


def test_a_safe_collection_says_how_it_went(bmc: Tree, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]

    def at(port: int) -> type[RedfishTelemetryCollector]:
        class There(RedfishTelemetryCollector):
            def __init__(self, *args: Any) -> None:
                super().__init__(*args, port=port)

        return There

    monkeypatch.setattr(collector_examples, "RedfishTelemetryCollector", at(bmc.port))
    said = collector_examples.safe_telemetry_collection("127.0.0.1", "admin", PASSWORD)
    assert ("success", 17) == (said["status"], len(said["data"]))
    monkeypatch.setattr(collector_examples, "RedfishTelemetryCollector", at(nobody))
    said = collector_examples.safe_telemetry_collection("127.0.0.1", "admin", PASSWORD)
    assert ("error", "Failed to discover endpoints") == (said["status"], said["message"])


def test_the_dashboard_is_the_seeds(collector: RedfishTelemetryCollector) -> None:
    dashboard = collector_examples.generate_health_dashboard(collector)
    assert dashboard["alerts"] == [
        "High temperature: CPU at 95.0°C",
        "Fan issue: Fan 1 - Unknown",
        "Drive issue: 0 - Unknown",
    ]
    assert dashboard["overall_health"] == "Critical"


def test_the_power_analysis_is_the_seeds(collector: RedfishTelemetryCollector) -> None:
    analysis = collector_examples.analyze_power_consumption(collector)
    assert (150.5, 600, 94) == (
        analysis["total_consumed_watts"], analysis["total_available_watts"], analysis["average_psu_efficiency"]
    )  # fmt: skip
    assert math.isclose(150.5 / 6, analysis["power_utilization_percent"])


def structures() -> dict[str, dict[str, type]]:
    """`type` (of a system: `system`) → key → type, as the seed writes them."""
    found: dict[str, dict[str, type]] = {}
    for block in re.findall(r"\{\n(.*?)\n\}", collector_examples.STRUCTURES, re.DOTALL):
        lines = re.findall(r"'(\w+)': ('?\w+'?)", block)
        kinds = dict(lines)
        name = (kinds.get("type") or kinds["category"]).strip("'")
        types = {"str": str, "int": int, "float": float, "bool": bool, "list": list, "dict": dict}
        found[name] = {key: types.get(kind, str) for key, kind in lines}
    return found


SHAPES = structures()


def test_the_seed_describes_eleven_dictionaries() -> None:
    assert {form.type or "system" for form in dictionaries.LAYOUTS.values()} == set(SHAPES)


def test_every_dictionary_has_every_key_of_the_seed_in_its_order_and_type(config: dict[str, Any]) -> None:
    with RedfishTelemetryCollector(**config) as collector:
        everything = collector.get_all_telemetry()
    for each in everything:
        shape = SHAPES[each.get("type", "system")]
        assert list(shape) == [key for key in each if key not in dictionaries.EXTRA_KEYS or key in shape]
        for key, kind in shape.items():
            if kind in (int, float):
                assert each[key] is None or type(each[key]) in ((int,) if kind is int else (int, float)), key
            else:
                assert isinstance(each[key], kind), key
        assert datetime.fromisoformat(each["timestamp"]).utcoffset() is not None
        assert each["host"] == "127.0.0.1"


def test_what_is_missing_is_unknown_none_empty_or_false(collector: RedfishTelemetryCollector) -> None:
    [cpu] = collector.get_processor_telemetry() or []
    assert ("cpu", "CPU0", "Unknown", None, "Unknown", {}) == tuple(
        cpu[key] for key in ("type", "processor_id", "socket", "total_cores", "health", "cache_metrics")
    )
    here, empty = collector.get_memory_telemetry() or []
    assert (16384, [2933, 3200], "Unknown") == (here["capacity_mib"], here["allowed_speeds_mhz"], here["state"])
    assert (None, [], "Absent") == (empty["capacity_mib"], empty["allowed_speeds_mhz"], empty["state"])
    controller, drive = collector.get_storage_telemetry() or []
    assert ("controller", "S", []) == (
        controller["type"],
        controller["controller_id"],
        controller["supported_protocols"],
    )
    assert (False, None, "Unknown") == (drive["failure_predicted"], drive["capacity_bytes"], drive["media_type"])


def test_the_system_is_the_first_physical_one_and_all_are_in_everything(collector: RedfishTelemetryCollector) -> None:
    system = collector.get_system_telemetry()
    assert system is not None
    assert ("Node", "Bücher 1U", "Unknown") == (system["system_id"], system["model"], system["bios_version"])
    assert system["boot_source"] == {
        "boot_source_override_enabled": "Unknown",
        "boot_source_override_target": "Pxe",
        "boot_source_override_mode": "Unknown",
        "uefi_target_boot_source_override": "Unknown",
    }
    assert system["processor_summary"] == {
        "count": 2, "model": "Unknown", "status_health": "Unknown", "status_state": "Unknown"
    }  # fmt: skip
    assert system["memory_summary"] == {}
    everything = collector.get_all_telemetry()
    assert ["VM", "Node"] == [each["system_id"] for each in everything if each["category"] == "system"]


def test_a_fan_tells_redfishs_reading_and_its_units(collector: RedfishTelemetryCollector) -> None:
    fans = [each for each in collector.get_thermal_telemetry() or [] if each["type"] == "fan"]
    assert [(4200, "RPM", 600), (51, "Percent", None)] == [
        (fan["reading_rpm"], fan["reading_units"], fan["lower_threshold_critical"]) for fan in fans
    ]


def test_a_bmc_without_systems_has_no_system_and_is_no_error(bmc: Tree, collector: RedfishTelemetryCollector) -> None:
    bmc.tree[f"{ROOT}/Systems"] = members()
    assert collector.get_system_telemetry() is None
    assert [] == collector.get_memory_telemetry()
    assert {"thermal", "power"} == {each["category"] for each in collector.get_all_telemetry()}


def test_the_attributes_are_the_seeds(bmc: Tree, collector: RedfishTelemetryCollector) -> None:
    base = f"https://127.0.0.1:{bmc.port}"
    public = (collector.host, collector.username, collector.port, collector.verify_ssl, collector.base_url)
    assert ("127.0.0.1", "admin", bmc.port, False, base) == public
    assert collector.password == PASSWORD
    assert collector.session.headers["Accept"] == "application/json"
    assert collector.service_root == "/redfish/v1"
    assert collector.systems_endpoint is None
    collector.get_thermal_telemetry()
    assert [f"{base}{ROOT}/{name}" for name in ("Systems", "Chassis", "Managers", "TelemetryService")] == [
        collector.systems_endpoint, collector.chassis_endpoint, collector.managers_endpoint, collector.telemetry_service
    ]  # fmt: skip


def test_the_port_is_443_and_certificates_are_not_checked_by_default() -> None:
    with RedfishTelemetryCollector("fe80::1", "admin", PASSWORD) as collector:
        assert ("https://[fe80::1]:443", False) == (collector.base_url, collector.verify_ssl)


def test_private_helpers_take_redfishs_own_document(collector: RedfishTelemetryCollector) -> None:
    assert collector._get_boot_source({}) == {}
    assert collector._get_processor_summary({"ProcessorSummary": {"Model": "X "}})["model"] == "X"
    summary = {"MemorySummary": {"TotalSystemMemoryGiB": 64, "Status": {"Health": "OK"}}}
    assert collector._get_memory_summary(summary) == {
        "total_system_memory_gib": 64, "status_health": "OK", "status_state": "Unknown"
    }  # fmt: skip
    nested = {"a": {"b": {"c": 1}, "d": []}, "e": [1, "ü"], "f": {}}
    assert collector._flatten_dict(nested) == {"a_b_c": 1, "a_d": "[]", "e": '[1, "ü"]'}
    assert collector._flatten_dict({"b": 1}, "a", ".") == {"a.b": 1}


def test_a_request_gives_the_response_or_none(bmc: Tree, collector: RedfishTelemetryCollector) -> None:
    response = collector._make_request("GET", f"{collector.base_url}{CHASSIS}")
    assert response is not None
    assert (200, "1") == (response.status_code, response.json()["Id"])
    posted = collector._make_request("POST", f"{collector.base_url}/x", json={"a": 1}, timeout=5)
    assert posted is not None
    assert {"got": {"a": 1}} == posted.json()
    assert collector._make_request("GET", f"{collector.base_url}/nothing") is None
    with serving(Tree(tree())) as stranger:
        assert collector._make_request("GET", f"{stranger.url}{ROOT}") is None
        assert stranger.asked == []


def test_errors_are_told_by_the_value_and_logged_without_the_password(
    bmc: Tree, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()[1]
    for port, username, cause in ((nobody, "admin", "connection refused"), (bmc.port, "wrong", "credentials")):
        caplog.clear()
        with RedfishTelemetryCollector("127.0.0.1", username, PASSWORD, port) as collector:
            assert collector.discover_endpoints() is False
            assert collector.get_system_telemetry() is None
            for name in ("thermal", "power", "processor", "memory", "network", "storage"):
                assert getattr(collector, f"get_{name}_telemetry")() is None
            assert collector.get_all_telemetry() == []
            url = f"https://admin:{PASSWORD}@127.0.0.1:{port}{CHASSIS}"
            assert collector._make_request("GET", url) is None
            parts = [part for name, part in vars(collector).items() if name != "password"]
            assert PASSWORD not in repr(collector) + str(collector) + repr(parts)
        assert cause in caplog.text
        assert PASSWORD not in caplog.text


def test_a_certificate_that_is_not_trusted_is_an_error_where_it_is_checked(bmc: Tree) -> None:
    with RedfishTelemetryCollector("127.0.0.1", "admin", PASSWORD, bmc.port, verify_ssl=True) as collector:
        assert collector.discover_endpoints() is False


def test_what_one_category_cannot_give_loses_no_other(bmc: Tree, collector: RedfishTelemetryCollector) -> None:
    bmc.tree[f"{SYSTEM}/Memory"] = ["not an object"]
    assert collector.get_memory_telemetry() is None
    del bmc.tree[f"{CHASSIS}/Power"], bmc.tree[CHASSIS]["Power"]
    assert collector.get_power_telemetry() == []
    bmc.tree |= tree() | {f"{SYSTEM}/Memory": ["not an object"]}
    collector.discover_endpoints()
    everything = collector.get_all_telemetry()
    assert {"system", "thermal", "power", "processor", "network", "storage"} == {
        each["category"] for each in everything
    }


def test_a_script_sees_neither_warnings_nor_the_environments_certificates(bmc: Tree) -> None:
    script = (
        "from producers.redfish import RedfishTelemetryCollector as C\n"
        f"c = C('127.0.0.1', 'admin', {PASSWORD!r}, {bmc.port})\n"
        "print(len(c.get_all_telemetry()))\n"
    )
    command = [sys.executable, "-W", "default", "-c", script]
    environment = os.environ | {"REQUESTS_CA_BUNDLE": "/nonexistent", "CURL_CA_BUNDLE": "/nonexistent"}
    root = Path(__file__).parents[3]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, env=environment, cwd=root)
    assert ("17\n", "") == (done.stdout, done.stderr)


def test_a_csv_file_has_the_union_of_columns_and_lists_as_json(
    collector: RedfishTelemetryCollector, tmp_path: Path
) -> None:
    everything = collector.get_all_telemetry()
    name = str(tmp_path / "all.csv")
    assert name == collector.export_to_csv(everything, name)
    with Path(name).open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(everything) == len(rows)
    flat = [collector._flatten_dict(each) for each in everything]
    assert set().union(*flat) == set(rows[0])
    dimm = next(row for row in rows if row["type"] == "dimm")
    assert ([2933, 3200], "16384", "") == (
        json.loads(dimm["allowed_speeds_mhz"]),
        dimm["capacity_mib"],
        dimm["rank_count"],
    )
    assert {"Bücher 1U", ""} < {row["model"] for row in rows}


def test_a_json_file_is_what_was_given(collector: RedfishTelemetryCollector, tmp_path: Path) -> None:
    everything = collector.get_all_telemetry()
    name = str(tmp_path / "all.json")
    assert name == collector.export_to_json(everything, name)
    assert everything == json.loads(Path(name).read_text(encoding="utf-8"))


def test_files_are_named_by_themselves(
    collector: RedfishTelemetryCollector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for ending, export in (("json", collector.export_to_json), ("csv", collector.export_to_csv)):
        name = export([{"a": 1}])
        assert name is not None
        assert re.fullmatch(rf"telemetry_127\.0\.0\.1_\d{{8}}_\d{{6}}\.{ending}", name)
        assert (tmp_path / name).is_file()


def test_an_export_that_fails_says_so_and_leaves_nothing(collector: RedfishTelemetryCollector, tmp_path: Path) -> None:
    assert collector.export_to_csv([], str(tmp_path / "x.csv")) is None
    assert collector.export_to_csv([{"a": 1}], str(tmp_path / "no" / "x.csv")) is None
    assert collector.export_to_json([{"a": 1}], str(tmp_path / "no" / "x.json")) is None
    assert collector.export_to_json([{"a": {(1, 2): 3}}], str(tmp_path / "x.json")) is None  # type: ignore[dict-item]
    assert [] == list(tmp_path.iterdir())


def test_at_most_four_requests_are_under_way_though_all_categories_are_read_at_once(bmc: Tree) -> None:
    bmc.slow_s = 0.02
    config = {"host": "127.0.0.1", "username": "admin", "password": PASSWORD, "port": bmc.port}
    with collector_examples.OptimizedTelemetryCollector(**config) as collector:
        for _ in range(3):
            results = collector.parallel_collection(["system", "thermal", "power", "processor", "memory", "storage"])
            assert all(results.values())
    assert bmc.asked.count(ROOT) == 1
    assert bmc.most_at_once == 4
