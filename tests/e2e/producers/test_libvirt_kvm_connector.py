"""Seed 003's KVMConnector on libvirt's own test driver: every example of the seed."""

from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from producers import libvirt as source
from producers.fleet.targets import LibvirtTarget
from producers.libvirt import KVMConnector
from rackstream.simulators.libvirt_testnode import node_xml

libvirt = pytest.importorskip("libvirt")
pytestmark = pytest.mark.libvirt

DEFAULT = "test:///default"
NIC = ["rxbytes", "rxpackets", "rxerrors", "rxdrops", "txbytes", "txpackets", "txerrors", "txdrops"]
DISK = ["rd_req", "rd_bytes", "wr_reqs", "wr_bytes", "errors"]
MEMORY = [
    "memactual", "memrss", "memavailable", "memusable", "memswap_in", "memswap_out", "memmajor_fault",
    "memminor_fault", "memdisk_cache",
]  # fmt: skip
CPU = ["timeusr", "timesys"]
WITH_CDROM = """<domain type='test'><name>installing</name><memory>1024</memory><vcpu>1</vcpu><os><type>hvm</type></os>
<devices><disk type='file' device='cdrom'><source file='/iso'/><target dev='hdc'/></disk>
<disk type='file' device='disk'><source file='/img'/><target dev='vda'/></disk>
<interface type='ethernet'><mac address='52:54:00:00:00:07'/></interface></devices></domain>"""


@pytest.fixture
def default():
    with KVMConnector(DEFAULT) as connector:
        yield connector


@pytest.fixture
def node_of_ten(tmp_path: Path):
    """URI of a node of 10 VMs with 2 NICs and 3 disks each."""
    path = tmp_path / "node.xml"
    path.write_text(node_xml(10))
    return f"test://{path}"


@pytest.fixture
def ten(node_of_ten: str):
    with KVMConnector(node_of_ten) as connector:
        yield connector


@pytest.fixture
def direct():
    """A connection of our own; the default node's state is shared within a process."""
    connection = libvirt.open(DEFAULT)
    yield connection
    connection.close()


def test_it_connects_at_the_first_question_and_anew_after_disconnect():
    kvm = KVMConnector(DEFAULT)
    states = [kvm.is_connected()]
    for act in (kvm.get_live_vms, kvm.disconnect, kvm.connect, kvm.disconnect, kvm.get_live_vms):
        act()
        states.append(kvm.is_connected())
    kvm.disconnect()

    assert [False, True, False, True, False, True] == states
    assert 30.0 == kvm.timeout


def test_the_seeds_examples_of_a_vm(default):
    [vm] = default.get_live_vms()

    assert ["id", "name", "uuid", "state", "cpu_count", "memory_max", "memory_used", "cputime", "dom"] == list(vm)
    assert ("test", "running", 2, 8388608, 2097152) == tuple(
        vm[key] for key in ("name", "state", "cpu_count", "memory_max", "memory_used")
    )
    assert (vm["id"], vm["uuid"]) == (vm["dom"].ID(), vm["dom"].UUIDString())


def test_the_figures_of_a_domain_lie_between_two_direct_readings(default):
    [vm] = default.get_live_vms()
    dom = vm["dom"]

    def figures() -> list[int]:
        return [dom.info()[4], *dom.interfaceStats("testnet0"), *dom.blockStats("vda")]

    before = figures()
    [again] = default.get_live_vms()
    nic, disk = default.get_interface_stats(dom, "testnet0"), default.get_block_stats(dom, "vda")
    got = [again["cputime"], *nic.values(), *disk.values()]

    assert [] == [trio for trio in zip(before, got, figures(), strict=True) if not trio[0] <= trio[1] <= trio[2]]
    assert (NIC, DISK) == (list(nic), list(disk))


def test_memory_and_cpu_are_what_libvirt_says(default):
    dom = default.get_live_vms()[0]["dom"]
    memory, cpu = default.get_memory_stats(dom), default.get_cpu_stats(dom)
    direct, total = dom.memoryStats(), dom.getCPUStats(True)[0]

    assert (MEMORY, CPU) == (list(memory), list(cpu))
    assert [direct[key] for key in ("actual", "rss", "available", "usable", "swap_in", "swap_out", "major_fault",
                                  "minor_fault", "disk_caches")] == list(memory.values())  # fmt: skip
    assert [total["user_time"], total["system_time"]] == list(cpu.values())


def test_a_cycle_over_ten_vms_has_the_seeds_counts(ten):
    vms = ten.get_live_vms()
    devices = {vm["name"]: ten.get_devices_for_vm(vm["dom"]) for vm in vms}
    nics = [ten.get_interface_stats(vm["dom"], nic) for vm in vms for nic in devices[vm["name"]][0]]
    disks = [ten.get_block_stats(vm["dom"], disk) for vm in vms for disk in devices[vm["name"]][1]]

    assert (10, 20, 30) == (len(vms), len(nics), len(disks))
    assert (["tap3.0", "tap3.1"], ["vda", "vdb", "vdc"]) == devices["one-3"]
    assert [] == [
        stats for stats in (*nics, *disks) if not all(type(value) is int and value > 0 for value in stats.values())
    ]
    totals = [ten.get_memory_stats(vm["dom"]) | ten.get_cpu_stats(vm["dom"]) for vm in vms]
    assert [[*MEMORY, *CPU]] * 10 == [list(total) for total in totals]


def test_it_says_what_the_producers_record_says(ten, node_of_ten):
    reader = source.create_reader(LibvirtTarget(host="h", uri=node_of_ten), 1.0)
    record = reader.read("domains", 60).body["domains"]
    reader.close()
    by_uuid = {vm["uuid"]: vm for vm in ten.get_live_vms()}

    for domain in record:
        vm = by_uuid[domain["uuid"]]
        nics, disks = ten.get_devices_for_vm(vm["dom"])
        assert ([nic["device"] for nic in domain["nics"]], [disk["device"] for disk in domain["disks"]]) == (
            nics,
            disks,
        )
        assert {key: domain[key] for key in MEMORY} == ten.get_memory_stats(vm["dom"])
        assert (domain["cpus"], domain["memory_max_kb"]) == (vm["cpu_count"], vm["memory_max"])


def test_no_cd_rom_is_among_the_disks(default, direct):
    domain = direct.createXML(WITH_CDROM)
    [dom] = [vm["dom"] for vm in default.get_live_vms() if vm["name"] == "installing"]
    devices = default.get_devices_for_vm(dom)
    domain.destroy()

    assert ["vda"] == devices[1]


@pytest.mark.parametrize(
    ("environment", "argument", "ttl_s"),
    [
        pytest.param(None, None, 300.0, id="300 s where nothing is said"),
        pytest.param("60", None, 60.0, id="as long as the environment says"),
        pytest.param("60", 10.0, 10.0, id="as long as the constructor is told"),
    ],
)
def test_devices_are_believed_for_a_while(tmp_path, monkeypatch, environment, argument, ttl_s):
    monkeypatch.delenv("DEVICE_CACHE_TTL", raising=False)
    if environment:
        monkeypatch.setenv("DEVICE_CACHE_TTL", environment)
    path, clock, counts = tmp_path / "node.xml", [0.0], []
    kvm = KVMConnector(f"test://{path}", device_cache_ttl=argument, clock=lambda: clock[0])
    for clock[0], disks in ((0.0, 3), (ttl_s - 0.1, 4), (ttl_s + 0.1, 4)):
        path.write_text(node_xml(1, disks=disks))  # read at each connection
        [vm] = kvm.get_live_vms()
        counts.append(len(kvm.get_devices_for_vm(vm["dom"])[1]))
        kvm.disconnect()

    assert [3, 3, 4] == counts


def test_a_nic_that_is_not_there_is_0_and_said_once_and_the_others_are_read(default):
    dom = default.get_live_vms()[0]["dom"]
    with capture_logs() as logs:
        missing = [default.get_interface_stats(dom, "eth9") for _ in range(3)]
        other = default.get_interface_stats(dom, "testnet0")
        default.get_block_stats(dom, "vdz")

    assert [dict.fromkeys(NIC, 0)] * 3 == missing
    assert all(other.values())
    assert [("interfaceStats", "device unknown to libvirt"), ("blockStats", "device unknown to libvirt")] == [
        (log["call"], log["reason"]) for log in logs
    ]


def test_a_vm_that_is_gone_is_0_and_the_next_list_does_not_have_it(default, direct):
    domain = direct.createXML(WITH_CDROM)
    [dom] = [vm["dom"] for vm in default.get_live_vms() if vm["name"] == "installing"]
    domain.destroy()

    assert dict.fromkeys(MEMORY, 0) == default.get_memory_stats(dom)
    assert dict.fromkeys(CPU, 0) == default.get_cpu_stats(dom)
    assert ([], []) == default.get_devices_for_vm(dom)
    assert ["test"] == [vm["name"] for vm in default.get_live_vms()]


def test_without_a_connection_there_is_an_error_and_not_an_empty_list():
    kvm = KVMConnector("qemu+unix://user:secret@/system?socket=/nonexistent/libvirt-sock")
    with capture_logs() as logs:
        assert not kvm.connect()
    with pytest.raises(ConnectionError, match="/nonexistent/libvirt-sock") as caught:
        kvm.get_live_vms()

    assert "secret" not in str(caught.value) + str(logs)
