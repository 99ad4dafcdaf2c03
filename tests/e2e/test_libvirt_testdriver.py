"""The reader on libvirt's own test driver: real libvirt, real errors, no hypervisor."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from producers import libvirt as source
from producers.reader import PollFailed
from producers.simulate.testnode import node
from producers.targets import LibvirtTarget
from schemas import catalog, codec

libvirt = pytest.importorskip("libvirt")
pytestmark = pytest.mark.libvirt

DEFAULT = "test:///default"
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
    return source.reader(LibvirtTarget(host="kvm-01", uri=uri), 1.0)


def domains(reader: source.LibvirtReader) -> dict[str, Any]:
    return {domain["name"]: domain for domain in reader.read("domains", 10).body["domains"]}


@pytest.fixture
def direct():
    """A connection of our own; the default node's state is shared within a process."""
    connection = libvirt.open(DEFAULT)
    yield connection
    connection.close()


@pytest.fixture
def five(tmp_path: Path):
    path = tmp_path / "node.xml"
    path.write_text(node(5))
    found = reader(f"test://{path}")
    yield found
    found.close()


def test_the_default_domain_lies_between_two_direct_readings(direct):
    domain = direct.lookupByName("test")

    def figures() -> list[int]:
        return [domain.info()[4], *domain.interfaceStats("testnet0"), *domain.blockStats("vda")]

    before, found, after = figures(), domains(reader(DEFAULT))["test"], figures()
    got = [found["cputime"], *list(found["nics"][0].values())[1:], *list(found["disks"][0].values())[1:]]

    assert [] == [trio for trio in zip(before, got, after, strict=True) if not trio[0] <= trio[1] <= trio[2]]
    assert ["testnet0", "vda"] == [found["nics"][0]["device"], found["disks"][0]["device"]]
    assert (1, domain.UUIDString(), 2, 8388608) == tuple(
        found[key] for key in ("state", "uuid", "cpus", "memory_max_kb")
    )
    assert domain.memoryStats()["usable"] == found["memusable"]


def test_a_node_of_five_is_read_whole_and_fits_its_schema(five):
    sample = five.read("domains", 10)
    found = sample.body["domains"]

    assert ["0", "1", "2", "3", "4"] == sorted(domain["vmid"] for domain in found)
    assert {(2, 3)} == {(len(domain["nics"]), len(domain["disks"])) for domain in found}
    assert [] == [
        part for domain in found for part in [domain, *domain["nics"], *domain["disks"]] if None in part.values()
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
        if key != "device" and old[key] > new[key]
    ]
    assert [] == falling


def test_a_domain_destroyed_between_two_polls_is_gone_and_a_new_run_has_a_new_id(direct):
    source = reader(DEFAULT)
    extra = direct.createXML(EXTRA)
    first = domains(source)["one-7"]
    uuid = extra.UUIDString()
    extra.destroy()
    without = domains(source)
    again = direct.createXML(EXTRA.replace("<name>", f"<uuid>{uuid}</uuid><name>"))
    second = domains(source)["one-7"]
    again.destroy()

    assert "one-7" not in without
    assert ("7", "7", uuid) == (first["vmid"], second["vmid"], second["uuid"])
    assert first["domain_id"] != second["domain_id"]
    assert 1 == len(first["nics"])


def test_a_paused_domain_says_so(direct):
    domain = direct.lookupByName("test")
    domain.suspend()
    found = domains(reader(DEFAULT))["test"]
    domain.resume()

    assert 3 == found["state"]
    assert found["cputime"] is not None


def test_a_read_after_close_opens_the_connection_again(five):
    first = domains(five)
    five.close()

    assert first.keys() == domains(five).keys()


def test_a_node_that_is_not_there_is_unreachable_and_prints_nothing_of_libvirts(capfd):
    with pytest.raises(PollFailed) as caught:
        reader("qemu+unix:///system?socket=/nonexistent/libvirt-sock").read("domains", 5)

    assert ("unreachable", "") == (caught.value.status, capfd.readouterr().err)
    assert "/nonexistent/libvirt-sock" in str(caught.value)
