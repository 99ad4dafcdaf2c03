"""The reader on libvirt's own test driver: real libvirt, real errors, no hypervisor.

Comparisons with a connection of our own use `PollService` in this process: each process has a default node of its own.
"""

from __future__ import annotations

import io
import json
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from producers import libvirt as source
from producers.fleet.targets import LibvirtTarget
from producers.libvirt import events
from producers.libvirt.connection import load_libvirt
from producers.libvirt.device_cache import NO_DOMAIN_METADATA
from producers.libvirt.mapping import DISK_STATS, NIC_STATS
from producers.libvirt.poll import POLLED_GROUPS
from producers.libvirt.worker.main import PollService
from producers.reader import PollFailed
from rackstream.probe import libvirt as probe_libvirt
from rackstream.simulators.libvirt_testnode import node_xml
from runtime.errors import Misconfigured
from schemas import catalog, codec

libvirt = pytest.importorskip("libvirt")
events.start(libvirt)
pytestmark = pytest.mark.libvirt

DEFAULT = "test:///default"
ONLY_REAL = {*NO_DOMAIN_METADATA, "alias", "source"}
"""What the generated node's XML does not have."""
EXTRA = """<domain type='test'><name>one-7</name><memory>1024</memory><vcpu>1</vcpu><os><type>hvm</type></os>
<devices><interface type='ethernet'><mac address='52:54:00:00:00:07'/></interface></devices></domain>"""
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
}


def reader(uri: str) -> source.LibvirtReader:
    return source.create_reader(LibvirtTarget(host="kvm-01", uri=uri), 1.0)


def domains(reader: source.LibvirtReader) -> dict[str, Any]:
    return {domain["name"]: domain for domain in reader.read("domains", 60).body["domains"]}


def polled_domains(link: PollService) -> dict[str, Any]:
    return {domain["name"]: domain for domain in link.poll([], [], POLLED_GROUPS)["domains"]}


@pytest.fixture
def link():
    service = PollService(DEFAULT, 300.0, load_libvirt())
    yield service
    service.connection.close()


@pytest.fixture
def direct():
    """A connection of our own; the default node's state is shared within a process."""
    connection = libvirt.open(DEFAULT)
    yield connection
    connection.close()


@pytest.fixture
def node_of_five(tmp_path: Path):
    """URI of a node of 5 VMs."""
    path = tmp_path / "node.xml"
    path.write_text(node_xml(5))
    return f"test://{path}"


@pytest.fixture
def five(node_of_five: str):
    node = reader(node_of_five)
    yield node
    node.close()


def test_the_default_domain_lies_between_two_direct_readings(direct, link):
    domain = direct.lookupByName("test")

    def figures() -> list[int]:
        return [domain.info()[4], *domain.interfaceStats("testnet0"), *domain.blockStats("vda")]

    before, polled, after = figures(), polled_domains(link)["test"], figures()
    got = [
        polled["cputime"],
        *[polled["nics"][0][name] for name, _ in NIC_STATS],
        *[polled["disks"][0][name] for name, _ in DISK_STATS],
    ]

    assert [] == [trio for trio in zip(before, got, after, strict=True) if not trio[0] <= trio[1] <= trio[2]]
    assert ["testnet0", "vda"] == [polled["nics"][0]["device"], polled["disks"][0]["device"]]
    assert (1, domain.UUIDString(), 2, 8388608) == tuple(
        polled[key] for key in ("state", "uuid", "cpus", "memory_max_kb")
    )
    assert domain.memoryStats()["usable"] == polled["memusable"]


def test_a_node_of_five_is_read_whole_and_fits_its_schema(five):
    sample = five.read("domains", 10)
    listed = sample.body["domains"]

    assert ["0", "1", "2", "3", "4"] == sorted(domain["vmid"] for domain in listed)
    assert {(2, 3)} == {(len(domain["nics"]), len(domain["disks"])) for domain in listed}
    assert [] == [
        name
        for domain in listed
        for part in [domain, *domain["nics"], *domain["disks"]]
        for name, value in part.items()
        if value is None and name not in ONLY_REAL
    ]
    assert ([], "TEST") == (sample.problems.as_records(), sample.body["hypervisor"])
    schema = catalog.schema("LibvirtSample")
    record = HEADER | {"errors": []} | sample.body
    assert record == codec.Decoder(schema).decode(codec.encode(schema, record))


def test_counters_do_not_fall_from_poll_to_poll(five):
    first, second = domains(five), domains(five)

    falling = [
        (name, part)
        for name in first
        for part, before, after in zip(
            ("nics", "disks"),
            (first[name]["nics"], first[name]["disks"]),
            (second[name]["nics"], second[name]["disks"]),
            strict=True,
        )
        for old, new in zip(before, after, strict=True)
        for key in old
        if isinstance(old[key], int) and old[key] > new[key]
    ]
    assert [] == falling


def test_a_domain_destroyed_between_two_polls_is_gone_and_a_new_run_has_a_new_id(direct, link):
    extra = direct.createXML(EXTRA)
    first = polled_domains(link)["one-7"]
    uuid = extra.UUIDString()
    extra.destroy()
    without = polled_domains(link)
    again = direct.createXML(EXTRA.replace("<name>", f"<uuid>{uuid}</uuid><name>"))
    second = polled_domains(link)["one-7"]
    again.destroy()

    assert "one-7" not in without
    assert ("7", "7", uuid) == (first["vmid"], second["vmid"], second["uuid"])
    assert first["domain_id"] != second["domain_id"]
    assert 1 == len(first["nics"])


def test_a_paused_domain_says_so(direct, link):
    domain = direct.lookupByName("test")
    domain.suspend()
    polled = polled_domains(link)["test"]
    domain.resume()

    assert 3 == polled["state"]
    assert polled["cputime"] is not None


def test_a_read_after_close_opens_the_connection_again(five):
    first = domains(five)
    five.close()

    assert first.keys() == domains(five).keys()


def test_a_node_that_is_not_there_is_unreachable_and_prints_nothing_of_libvirts(capfd):
    away = reader("qemu+unix:///system?socket=/nonexistent/libvirt-sock")
    with pytest.raises(PollFailed) as caught:
        away.read("domains", 60)
    away.close()

    assert ("unreachable", "") == (caught.value.status, capfd.readouterr().err)
    assert "/nonexistent/libvirt-sock" in str(caught.value)


def test_what_a_connection_gives_is_told(node_of_five):
    report = probe_libvirt.probe(node_of_five)
    console = Console(width=160, file=io.StringIO())
    probe_libvirt.show(report, console)
    printed = console.file.getvalue()

    assert ("up", "TEST", False, 5, []) == (
        report["status"], report["hypervisor"], report["bulk"], len(report["vms"]), report["hung"]
    )  # fmt: skip
    assert ["state.reason", "state.state"] == report["groups"]["state"]["keys"]
    assert {"name": "one-3", "state": "running", "nics": ["tap3.0", "tap3.1"]}.items() <= report["vms"][3].items()
    assert report == json.loads(json.dumps(report))
    assert "5 VMs, " in printed
    assert "no bulk statistics: read device by device" in printed
    assert "tap3.0 tap3.1" in printed


def test_a_connection_that_is_not_to_be_had_says_why():
    report = probe_libvirt.probe("qemu+unix:///system?socket=/nonexistent/libvirt-sock")
    console = Console(width=160, file=io.StringIO())
    probe_libvirt.show(report, console)

    assert "unreachable" == report["status"]
    assert "/nonexistent/libvirt-sock" in console.file.getvalue()


def test_a_password_in_a_uri_is_refused_and_not_shown():
    with pytest.raises(Misconfigured, match="no password in the URI") as refused:
        probe_libvirt.probe("qemu+tls://user:secret@kvm-01/system")

    assert "secret" not in str(refused.value)


def test_events_of_libvirt_have_the_xml_read_again(direct):
    seen: list[str] = []
    stop = events.watch(load_libvirt(), direct, seen.append)
    domain = direct.createXML(EXTRA)
    uuid = domain.UUIDString()
    domain.destroy()
    deadline_s = time.monotonic() + 60
    while uuid not in seen:
        assert time.monotonic() < deadline_s
    stop()

    assert 1 == direct.isAlive()
