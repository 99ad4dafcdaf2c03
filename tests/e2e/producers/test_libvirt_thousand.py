"""A node of 1,000 domains of libvirt's test driver: what the reader says against the driver's own per-device calls."""

from __future__ import annotations

import pytest

from producers import libvirt as source
from producers.fleet.targets import LibvirtTarget
from rackstream.simulators.libvirt_testnode import node_xml

libvirt = pytest.importorskip("libvirt")
pytestmark = pytest.mark.libvirt

NIC = ("rxbytes", "rxpackets", "rxerrors", "rxdrops", "txbytes", "txpackets", "txerrors", "txdrops")
DISK = ("rd_req", "rd_bytes", "wr_reqs", "wr_bytes", "errors")
NICS, DISKS = ("tap{n}.0", "tap{n}.1"), ("vda", "vdb", "vdc")


def constants(domain):
    """What does not move while a domain runs, by the driver's own calls, under the record's names."""
    state, maximum, used, cpus, _ = domain.info()
    memory, [cpu] = domain.memoryStats(), domain.getCPUStats(True)
    return {
        "name": domain.name(),
        "uuid": domain.UUIDString(),
        "domain_id": domain.ID(),
        "state": state,
        "cpus": cpus,
        "memory_max_kb": maximum,
        "memory_used_kb": used,
        "memactual": used,
        "memrss": memory["rss"],
        "memavailable": memory["available"],
        "memusable": memory["usable"],
        "memswap_in": memory["swap_in"],
        "memswap_out": memory["swap_out"],
        "memmajor_fault": memory["major_fault"],
        "memminor_fault": memory["minor_fault"],
        "memdisk_cache": memory["disk_caches"],
        "memlast_update": memory["last_update"],
        "timeusr": cpu["user_time"],
        "timesys": cpu["system_time"],
        "nics": [nic.format(n=domain.name().removeprefix("one-")) for nic in NICS],
        "disks": list(DISKS),
    }


def moving(domain):
    """The counters, one after the other."""
    nics = [value for nic in constants(domain)["nics"] for value in domain.interfaceStats(nic)]
    return [domain.info()[4], *nics, *(value for disk in DISKS for value in domain.blockStats(disk))]


def test_constants_of_a_thousand_domains_are_equal_and_counters_lie_between_two_readings(tmp_path):
    path = tmp_path / "node.xml"
    path.write_text(node_xml(1000))
    uri = f"test://{path}"
    direct, found = libvirt.openReadOnly(uri), source.create_reader(LibvirtTarget(host="kvm", uri=uri), 1.0)
    found.read("domains", 60)  # opens, and reads device lists
    domains = {domain.name(): domain for domain in direct.listAllDomains()}
    before = {name: moving(domain) for name, domain in domains.items()}
    sample = found.read("domains", 60)
    after = {name: moving(domain) for name, domain in domains.items()}
    found.close()

    records = {record["name"]: record for record in sample.body["domains"]}
    named = {
        name: record | {group: [each["device"] for each in record[group]] for group in ("nics", "disks")}
        for name, record in records.items()
    }
    expected = {name: constants(domain) for name, domain in domains.items()}
    direct.close()
    assert 1000 == len(records)
    assert expected == {name: {key: named[name][key] for key in each} for name, each in expected.items()}
    outside = [
        (name, trio)
        for name, record in records.items()
        for trio in zip(before[name], _figures(record), after[name], strict=True)
        if not trio[0] <= trio[1] <= trio[2]
    ]
    assert [] == outside
    assert [] == sample.problems.as_records()


def _figures(record):
    nics = [nic[name] for nic in record["nics"] for name in NIC]
    return [record["cputime"], *nics, *(disk[name] for disk in record["disks"] for name in DISK)]
