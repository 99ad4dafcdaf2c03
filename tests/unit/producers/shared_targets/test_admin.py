"""Targets on Kafka: what may be there, how other files say them, and what a command has to write."""

import json

import pytest

from producers.fleet import importers
from producers.fleet.targets import RedfishTarget
from producers.shared_targets import admin
from producers.shared_targets import record as shared
from runtime.errors import Misconfigured

BMC = {
    "host": "kvm-1", "address": "https://10.0.0.1", "username": "monitor", "password": "env:P", "interval": 5,
    "verify": "/etc/ca.pem", "labels": {"rack": "r1"}, "intervals": {"memory": 600}, "systems": {"Node0": "kvm-2"},
}  # fmt: skip


def bmc(number, **more):
    return admin.record_from_entry("redfish", {"host": f"kvm-{number}", "address": f"https://10.0.0.{number}", **more})


def known(*records):
    return {admin.record_key(record): record for record in records}


def hosts(*parts):
    return [[each["host"] for each in part] for part in parts]


def loaded(tmp_path, name, text, **defaults):
    path = tmp_path / name
    path.write_text(text)
    return admin.shareable_records(importers.load(path, defaults))


def test_a_target_is_the_same_after_its_record():
    record = admin.record_from_entry("redfish", BMC)

    assert record == shared.to_record("redfish", shared.to_target(record))
    assert ("/etc/ca.pem", 5.0, {"memory": 600.0}) == (record["verify"], record["interval_s"], record["intervals_s"])
    assert isinstance(shared.to_target(record), RedfishTarget)


@pytest.mark.parametrize("verify", [True, False])
def test_whether_certificates_are_checked_survives(verify):
    assert verify is shared.to_target(bmc(1, verify=verify)).verify


@pytest.mark.parametrize(
    ("source", "entry", "said"),
    [
        pytest.param("redfish", {**BMC, "password": "hunter2"}, "password: give secrets by reference", id="a password"),
        pytest.param(
            "redfish", {**BMC, "proxy": "http://u:p@proxy"}, "proxy: the topic would expose this", id="one in a proxy"
        ),
        pytest.param("redfish", {**BMC, "address": "10.0.0.1"}, "address: ", id="no address"),
        pytest.param("redfish", {**BMC, "address": "http://127.0.0.1:1"}, "address: ", id="a password over http"),
        pytest.param("redfish", {**BMC, "verify": False}, "verify: ", id="a password for anyone"),
        pytest.param(
            "libvirt",
            {"host": "k", "uri": "qemu+ssh://k/system?command=/x"},
            "uri: parameter 'command'",
            id="a program",
        ),
        pytest.param(
            "libvirt", {"host": "k", "uri": "qemu+ssh://k/system?keyfile=/x"}, "uri: parameter keyfile", id="a file"
        ),
        pytest.param("redfish", {**BMC, "rack": "r1"}, "rack: ", id="an unknown key"),
        pytest.param("libvirt", {"host": "k", "uri": "qemu:///system"}, "name the host", id="this machine"),
        pytest.param(
            "libvirt", {"host": "k", "uri": "qemu+ssh://u:p@k/"}, "uri: the topic would expose this", id="one in a URI"
        ),
    ],
)
def test_what_may_not_be_on_a_topic_is_refused_with_what_to_do(source, entry, said):
    with pytest.raises(Misconfigured) as refused:
        admin.record_from_entry(source, entry)

    assert said in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_only_what_differs_is_written():
    changes = admin.plan_changes(known(bmc(1), bmc(2), bmc(3)), [bmc(1), bmc(2, interval=60), bmc(4)])

    assert [["kvm-4"], ["kvm-2"], []] == hosts(changes.added, changes.changed, changes.removed)
    assert 1 == changes.unchanged


def test_what_a_file_does_not_name_goes_only_when_pruned_and_only_of_its_sources():
    there = known(bmc(1), bmc(2), admin.record_from_entry("libvirt", {"host": "k", "uri": "qemu+tls://k/system"}))

    assert [[]] == hosts(admin.plan_changes(there, [bmc(1)]).removed)
    pruned = admin.plan_changes(there, [bmc(1)], prune={"redfish"})
    assert [["kvm-2"]] == hosts(pruned.removed)
    assert [("kvm-2", True)] == [(record["host"], record["removed"]) for record in pruned.records]


def test_one_bmc_is_not_polled_by_two_names():
    other = admin.record_from_entry("redfish", {"host": "new", "address": "https://10.0.0.1:443"})

    with pytest.raises(Misconfigured, match=r"redfish of new: address: polled twice"):
        admin.plan_changes(known(bmc(1)), [other])
    assert [["new"]] == hosts(admin.plan_changes(known(bmc(1) | {"removed": True}), [other]).added)


@pytest.mark.parametrize(
    "fields", [{"source": "nothing"}, {"address": "https://[x"}, {"host": ""}, {"address": "https://a:99999"}]
)
def test_a_refused_record_on_the_topic_does_not_prevent_changes_and_can_be_pruned(fields):
    there = known(bmc(1) | fields)

    assert [["kvm-2"]] == hosts(admin.plan_changes(there, [bmc(2)]).added)
    assert 1 == len(admin.plan_changes(there, [bmc(2)], prune={"redfish", "nothing"}).removed)


def test_a_name_that_is_not_there_is_not_removed_and_one_that_was_is_no_error():
    there = known(bmc(1), bmc(2) | {"removed": True})

    with pytest.raises(Misconfigured, match=r"called kvm-11; did you mean kvm-1"):
        admin.plan_removal(there, "redfish", ["kvm-11"])
    changes = admin.plan_removal(there, "redfish", ["kvm-1", "kvm-2", "kvm-1"])
    assert ([["kvm-1"]], 1) == (hosts(changes.removed), changes.unchanged)


def test_a_csv_has_a_row_per_target_and_columns_called_as_in_a_fleet_file(tmp_path):
    text = "host, address, label_rack, interval\nkvm-1, https://10.0.0.1, r1, 30\nkvm-2, https://10.0.0.2, ,\n"
    first, second = loaded(tmp_path, "fleet.csv", text, username="monitor", password="env:P")

    assert ("kvm-1", {"rack": "r1"}, 30.0, "monitor") == (
        first["host"], first["labels"], first["interval_s"], first["username"],
    )  # fmt: skip
    assert ({}, 10.0, "env:P") == (second["labels"], second["interval_s"], second["password"])


def test_a_csv_may_hold_libvirt_connections(tmp_path):
    [found] = loaded(tmp_path, "f.csv", "source,host,uri\nlibvirt,kvm-1,qemu+tls://kvm-1/system\n")

    assert ("libvirt", "qemu+tls://kvm-1/system") == (found["source"], found["address"])


@pytest.mark.parametrize("dump", [json.dumps, str], ids=["JSON", "YAML"])
def test_prometheus_says_addresses_and_labels(tmp_path, dump):
    groups = [
        {"targets": ["10.0.0.1", "10.0.0.2:8443"], "labels": {"rack": "r1", "__meta_x": "y"}},
        {"targets": ["10.0.0.3"], "labels": {"host": "kvm-3", "__scheme__": "http"}},
    ]
    found = loaded(tmp_path, "sd.json", dump(groups))

    assert [
        ("10.0.0.1", "https://10.0.0.1", {"rack": "r1"}),
        ("10.0.0.2", "https://10.0.0.2:8443", {"rack": "r1"}),
        ("kvm-3", "http://10.0.0.3", {}),
    ] == [(each["host"], each["address"], each["labels"]) for each in found]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("f.csv", "host,address\nkvm-1,https://a\nkvm-1,https://b\n", "line 3: host: named twice: kvm-1"),
        ("f.csv", "host,address\nkvm-1,https://a,r1\n", "line 2: more values than columns"),
        ("f.csv", "address\nhttps://a\n", "line 1: column names"),
        ("f.csv", "host,address,password\nkvm-1,https://a,hunter2\n", "line 2: password: give secrets by reference"),
        ("f.csv", "source,host\nhost,here\n", "line 2: source: host is not one of"),
        ("f.csv", "host,address\nkvm-1,https://a\nkvm-2,https://a\n", "line 3: address: polled twice"),
        ("f.json", '[{"targets": "10.0.0.1"}]', "entry 1: a target group"),
        ("f.json", '[{"targets": ["[x"]}]', "entry 1, [x: address: "),
        ("f.json", '[{"targets": ["bmc:99999"]}]', "entry 1, bmc:99999: address: port"),
        ("f.json", '[{"targets": ["a", "a"]}]', "entry 1, a: host: named twice"),
        ("f.yaml", "redfish: {targets: [{host: a}]}", "line 1: redfish.targets.0.address: "),
        ("f.yaml", "libvirt:\n  targets:\n    - {host: a, uri: 'qemu:///system'}", "line 3: libvirt.targets.0.uri: "),
        ("f.yaml", "redfish: [", "is neither YAML nor JSON"),
    ],
)
def test_what_is_wrong_with_a_file_is_told_with_its_place(tmp_path, name, text, said):
    with pytest.raises(Misconfigured) as refused:
        loaded(tmp_path, name, text)

    assert said in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_defaults_are_not_for_a_file_that_has_sections(tmp_path):
    with pytest.raises(Misconfigured, match="--username: only for CSV and file_sd"):
        loaded(tmp_path, "f.yaml", "redfish: {targets: []}", username="monitor")
