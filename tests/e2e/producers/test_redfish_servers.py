"""Whole polls of servers not written for these tests: the simulator, and the emulator of OpenStack's sushy-tools."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args

import pytest
import trustme

from producers import redfish
from producers.fleet.targets import Category, RedfishTarget
from producers.reader import PollFailed, Sample
from producers.redfish.reader import CATEGORIES
from producers.redfish.system_resources import CATEGORY_READERS
from rackstream.simulators.faults import InjectedFault
from rackstream.simulators.redfish import RedfishSimulator
from runtime.errors import Misconfigured
from schemas import catalog, codec
from tests.e2e.support.trees import Tree, emulated, serving

PASSWORD = "sécret"


@pytest.fixture
def password(monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("BMC_PASSWORD", PASSWORD)
    return "env:BMC_PASSWORD"


def as_avro(category: str, sample: Sample) -> bytes:
    header = {
        "host": "node1",
        "category": category,
        "observed_at": datetime.now(UTC),
        "monotonic_s": 0.0,
        "producer": "p",
        "epoch": "e",
        "sequence": 0,
        "previous_epoch": None,
        "previous_sequence": None,
        "dropped": [],
        "duration_s": 0.1,
        "interval_s": 10.0,
        "errors": sample.problems.as_records(),
        "labels": {},
    }
    return codec.encode(catalog.schema("RedfishSample"), header | sample.body)


def counts(body: dict[str, Any]) -> dict[str, int]:
    return {name: len(value) for name, value in body.items() if isinstance(value, list) and value}


def test_the_simulator_is_read_whole_over_tls(tmp_path: Path, password: str) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    issued = authority.issue_cert("127.0.0.1")
    issued.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    issued.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    with RedfishSimulator(
        2, username="root", password=PASSWORD, cert=tmp_path / "cert.pem", key=tmp_path / "key.pem"
    ) as simulator:
        for url in simulator.urls:
            target = RedfishTarget(
                host="node1", address=url, username="root", password=password, verify=tmp_path / "ca.pem"
            )
            reader = redfish.create_reader(target, 10)
            samples = {category: reader.read(category, 5) for category in reader.intervals}
            reader.close()
            assert {
                "system": {"systems": 1},
                "thermal": {"temperatures": 8, "fans": 6},
                "power": {"power_controls": 3, "voltages": 4, "power_supplies": 2},
                "processor": {"processors": 3},
                "memory": {"dimms": 10},
                "network": {"interfaces": 2},
                "storage": {"storage_controllers": 1, "drives": 4},
            } == {category: counts(sample.body) for category, sample in samples.items()}
            for category, sample in samples.items():
                assert not sample.problems.counts
                assert as_avro(category, sample)


def test_a_wrong_password_is_auth_failed(password: str) -> None:
    with RedfishSimulator(username="root", password="another") as simulator:
        target = RedfishTarget(host="node1", address=simulator.urls[0], username="root", password=password)
        reader = redfish.create_reader(target, 10)
        with pytest.raises(PollFailed) as failed:
            reader.read("system", 5)
        reader.close()
    assert failed.value.status == "auth_failed"


def test_intervals_are_the_targets_where_it_says_so_and_longer_where_members_are_asked_one_by_one() -> None:
    mine = {"power": 5, "memory": 90}
    target = RedfishTarget(host="node1", address="http://127.0.0.1:1", interval=20, intervals=mine)
    reader = redfish.create_reader(target, 10)
    assert {
        "system": 20, "thermal": 20, "power": 5, "processor": 120, "memory": 90, "network": 120, "storage": 240
    } == reader.intervals  # fmt: skip
    reader.close()


def test_the_categories_of_a_fleet_file_are_the_readers() -> None:
    assert list(get_args(Category)) == list(CATEGORIES) == list(CATEGORY_READERS)


def test_a_missing_password_or_ca_file_is_said_at_the_start(tmp_path: Path) -> None:
    address = "https://127.0.0.1:1"
    missing = RedfishTarget(host="node1", address=address, username="root", password=f"file:{tmp_path}/none")
    with pytest.raises(Misconfigured, match="secret file"):
        redfish.create_reader(missing, 10)
    with pytest.raises(Misconfigured, match="is not a file"):
        redfish.create_reader(RedfishTarget(host="node1", address=address, verify=tmp_path / "none"), 10)


def test_a_port_that_is_taken_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(Misconfigured, match=f"port {port} "), RedfishSimulator(first_port=port):
            pass


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[str]:
    """URL of sushy-emulator with its fake driver: links resources it does not have, and closes every connection."""
    with emulated(tmp_path) as port:
        yield f"http://127.0.0.1:{port}"


def test_the_sushy_emulator_is_read(emulator: str) -> None:
    reader = redfish.create_reader(RedfishTarget(host="node1", address=emulator), 10)
    samples = {category: reader.read(category, 10) for category in reader.intervals}
    reader.close()
    assert counts(samples["system"].body) == {"systems": 1}
    assert counts(samples["thermal"].body) == {"temperatures": 2, "fans": 2}
    assert counts(samples["power"].body) == {}
    assert set(counts(samples["network"].body)) <= {"interfaces"}
    assert {fan["speed_rpm"] for fan in samples["thermal"].body["fans"]} == {2100, 2050}
    assert all(as_avro(category, sample) for category, sample in samples.items())


def test_a_simulated_bmc_dies_and_comes_back_at_its_port_while_it_is_being_read() -> None:
    with RedfishSimulator() as simulator:
        reader = redfish.create_reader(RedfishTarget(host="node1", address=simulator.urls[0]), 10)
        for _ in range(3):
            assert counts(reader.read("memory", 5).body) == {"dimms": 10}
            simulator.set_fault(0, InjectedFault.create("dead"))
            with socket.socket() as refused, pytest.raises(ConnectionRefusedError):
                refused.connect(("127.0.0.1", int(simulator.urls[0].rpartition(":")[2])))
            simulator.set_fault(0, None)
        reader.close()


def test_the_hosts_of_one_bmc_have_records_of_their_own_and_a_system_it_does_not_have_is_told() -> None:
    def link(uri: str) -> dict[str, str]:
        return {"@odata.id": uri}

    def chassis(name: str, *systems: str) -> dict[str, Any]:
        uri = f"{root}/Chassis/{name}"
        return {
            uri: {"Id": name, "Thermal": link(f"{uri}/Thermal"), "Links": {"ComputerSystems": [*map(link, systems)]}},
            f"{uri}/Thermal": {"Temperatures": [{"MemberId": "0", "Name": name, "ReadingCelsius": 20}]},
        }

    root = "/redfish/v1"
    nodes = [f"{root}/Systems/Node0", f"{root}/Systems/Node1"]
    tree = {
        root: {"Systems": link(f"{root}/Systems"), "Chassis": link(f"{root}/Chassis")},
        f"{root}/Systems": {"Members": [*map(link, nodes)]},
        f"{root}/Chassis": {"Members": [link(f"{root}/Chassis/{name}") for name in ("Enclosure", "A", "B")]},
        **{uri: {"Id": uri[-5:], "PowerState": "On"} for uri in nodes},
        **chassis("Enclosure", *nodes), **chassis("A", nodes[0]), **chassis("B", nodes[1]),
    }  # fmt: skip
    with serving(Tree(tree)) as bmc:
        systems = {"Node0": "kvm-1", "Node1": "kvm-2", "Node9": "kvm-9"}
        reader = redfish.create_reader(RedfishTarget(host="rack-1", address=bmc.url, systems=systems), 10)
        samples = {sample.host: sample for sample in reader.read("thermal", 5)}
        reader.close()
    assert {None: ["Enclosure"], "kvm-1": ["A"], "kvm-2": ["B"], "kvm-9": []} == {
        host: [temperature["sensor_name"] for temperature in sample.body["temperatures"]]
        for host, sample in samples.items()
    }
    cause = ("systems.Node9", "the BMC has no such System, but Node0, Node1")
    assert {"kvm-9": [cause]} == {host: [*each.problems.whole] for host, each in samples.items() if each.problems.whole}
