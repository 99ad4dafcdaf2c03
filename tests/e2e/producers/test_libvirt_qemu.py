"""The libvirt source on real QEMU guests: what they say against virsh, and what happens to them against the cadence.

One file, so that one worker starts one lab for all of it.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from producers import libvirt as source
from producers.fleet.targets import LibvirtTarget
from producers.libvirt import KVMConnector
from producers.reader import PollFailed
from tests.e2e.support import guest, qemu
from tests.e2e.support.qemu import Lab

pytest.importorskip("libvirt")
pytestmark = [pytest.mark.libvirt, pytest.mark.qemu]

INTERVAL_S = 1.0
ROUND_S = 2.0
"""What no round may reach, whatever happens to a guest."""
NICS = {
    "rxbytes": "rx.bytes", "rxpackets": "rx.pkts", "rxerrors": "rx.errs", "rxdrops": "rx.drop",
    "txbytes": "tx.bytes", "txpackets": "tx.pkts", "txerrors": "tx.errs", "txdrops": "tx.drop",
}  # fmt: skip
DISKS = {"rd_req": "rd.reqs", "rd_bytes": "rd.bytes", "wr_reqs": "wr.reqs", "wr_bytes": "wr.bytes", "errors": None}
CPU = {"cputime": "cpu.time", "timeusr": "cpu.user", "timesys": "cpu.system"}
FIXED = {
    "state": "state.state", "state_reason": "state.reason", "cpus": "vcpu.current", "memory_max_kb": "balloon.maximum",
    "memory_used_kb": "balloon.current", "memactual": "balloon.current", "memrss": "balloon.rss",
    "memavailable": "balloon.available", "memusable": "balloon.usable", "memswap_in": "balloon.swap_in",
    "memswap_out": "balloon.swap_out", "memmajor_fault": "balloon.major_fault",
    "memminor_fault": "balloon.minor_fault", "memdisk_cache": "balloon.disk_caches",
}  # fmt: skip


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """A guest that reads and writes all the time, `busy`, and an idle one, `calm`: both are left as they are."""
    reason = qemu.missing()
    if reason:
        pytest.skip(reason)
    with Lab() as lab:
        lab.start("busy", 0, busy=True)
        lab.start("calm", 1)
        yield lab


@pytest.fixture
def extra(lab: Lab) -> Iterator[str]:
    """A guest for one test, which may do anything to it."""
    lab.start("extra", 2)
    yield "extra"
    if "extra" in lab.virsh("list", "--name").split():
        lab.virsh("destroy", "extra")
    if "extra" in lab.virsh("list", "--all", "--name").split():
        lab.virsh("undefine", "extra")


def reader(lab: Lab, host: str = "kvm-a") -> source.LibvirtReader:
    return source.create_reader(LibvirtTarget(host=host, uri=lab.uri), INTERVAL_S)


def domstats(lab: Lab, name: str) -> dict[str, Any]:
    """What virsh prints of one guest."""
    lines = (line.strip().partition("=") for line in lab.virsh("domstats", name).splitlines())
    return {key: int(value) if value.isdecimal() else value for key, _, value in lines if value}


def said(stats: dict[str, Any]) -> dict[str, Any]:
    """What a record must hold, by virsh."""
    return {name: stats.get(key) for name, key in FIXED.items()} | {
        "nics": _devices(stats, "net", NICS),
        "disks": _devices(stats, "block", DISKS),
    }


def shown(domain: dict[str, Any]) -> dict[str, Any]:
    """The same of a record: without what only the XML knows."""
    return {name: domain[name] for name in FIXED} | {
        group: [{name: each[name] for name in ("device", *table)} for each in domain[group]]
        for group, table in (("nics", NICS), ("disks", DISKS))
    }


def _devices(stats: dict[str, Any], group: str, table: dict[str, str | None]) -> list[dict[str, Any]]:
    return [
        {"device": stats[f"{group}.{n}.name"]} | {name: stats.get(f"{group}.{n}.{key}") for name, key in table.items()}
        for n in range(stats[f"{group}.count"])
    ]


def figures(stats: dict[str, Any]) -> list[int]:
    """The counters of a guest, by virsh, in an order of their own."""
    whole = said(stats)
    return [stats[key] for key in CPU.values()] + _counters(whole)


def counters(domain: dict[str, Any]) -> list[int]:
    """The same of a record."""
    return [domain[name] for name in CPU] + _counters(domain)


def _counters(domain: dict[str, Any]) -> list[int]:
    nics = [nic[name] for nic in domain["nics"] for name in NICS]
    return nics + [disk[name] for disk in domain["disks"] for name in DISKS if name != "errors"]


def between(before: list[int], found: list[int], after: list[int]) -> list[tuple[int, int, int]]:
    """Those that do not lie between; none is as it should be."""
    return [trio for trio in zip(before, found, after, strict=True) if not trio[0] <= trio[1] <= trio[2]]


def settled(lab: Lab, name: str, read: Callable[[], Any]) -> tuple[dict[str, Any], Any, dict[str, Any]]:
    """Readings of virsh before and after a reading of ours, taken anew until they agree on all but the CPU's time.

    A QEMU that is paused still takes memory to answer, and may lose some to its machine.
    """
    for _ in range(50):
        before, found, after = domstats(lab, name), read(), domstats(lab, name)
        if said(before) == said(after):
            break
    return before, found, after


@dataclass
class Rounds:
    """What the polls of one reader gave, in order."""

    reader: source.LibvirtReader
    rounds: list[dict[str, Any] | PollFailed] = field(default_factory=list)
    """Name → record, or why there are none."""
    began_s: list[float] = field(default_factory=list)
    took_s: list[float] = field(default_factory=list)

    def poll(self, stopping: threading.Event) -> None:
        """Polls on a grid of `INTERVAL_S`, as the loop does, until told to stop."""
        due_s = time.monotonic()
        while not stopping.wait(max(0.0, due_s - time.monotonic())):
            began_s = time.monotonic()
            try:
                body = self.reader.read("domains", max(INTERVAL_S, 5.0)).body
                found: Any = {domain["name"]: domain for domain in body["domains"]}
            except PollFailed as error:
                found = error
            ended_s = time.monotonic()
            self.took_s.append(ended_s - began_s)
            self.began_s.append(began_s)
            self.rounds.append(found)
            due_s = max(due_s + INTERVAL_S, ended_s)
        self.reader.close()

    def until(self, condition: Callable[[dict[str, Any]], object], what: str) -> dict[str, Any]:
        """The first round that begins from now on and is as wanted."""
        now_s = time.monotonic()

        def wanted() -> list[dict[str, Any]]:
            new = [each for began_s, each in zip(self.began_s, self.rounds, strict=False) if began_s >= now_s]
            return [each for each in new if isinstance(each, dict) and condition(each)]

        qemu.until(wanted, what, timeout_s=60)
        return wanted()[0]

    def failures(self) -> list[str]:
        """Rounds that gave nothing."""
        return [str(each) for each in self.rounds if not isinstance(each, dict)]

    def fresh(self, name: str) -> list[dict[str, Any]]:
        """The records of a guest that are not last-known ones."""
        return [
            each[name] for each in self.rounds if isinstance(each, dict) and name in each and not each[name]["stale"]
        ]


@contextmanager
def watching(lab: Lab) -> Iterator[Rounds]:
    """Polls while something happens to a guest; whatever it is, no round may take long."""
    rounds, stopping = Rounds(reader(lab)), threading.Event()
    thread = threading.Thread(target=rounds.poll, args=(stopping,), daemon=True)
    thread.start()
    try:
        rounds.until(lambda found: "busy" in found, "a first round")
        yield rounds
    finally:
        stopping.set()
        thread.join(30)
    assert not thread.is_alive(), "a poll hangs"
    print(f"{len(rounds.took_s)} rounds, the longest {max(rounds.took_s):.2f} s")
    # The next round is due an interval after the one before: rounds that keep below their limit are on cadence.
    # Where more wants to run than there are processors, all of it takes as much longer.
    most_s = ROUND_S * max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    assert [] == [took_s for took_s in rounds.took_s if took_s >= most_s]


def unharmed(rounds: Rounds) -> tuple[list[str], int]:
    """What an event at another guest must not cause: rounds that fail, and rounds without a fresh record of `busy`."""
    return rounds.failures(), len(rounds.rounds) - len(rounds.fresh("busy"))


def test_a_paused_guest_is_what_virsh_says_field_by_field(lab, extra):
    lab.virsh("suspend", extra)
    found = reader(lab)
    before, record, after = settled(lab, extra, lambda: found.read("domains", 10).body)
    found.close()
    [domain] = [each for each in record["domains"] if each["name"] == extra]

    assert said(before) == said(after)
    assert said(before) == shown(domain)
    # The time that QEMU spends on answering is the guest's CPU time, paused or not.
    assert [] == between(figures(before), counters(domain), figures(after))
    assert (3, guest.uuid(extra), False) == (domain["state"], domain["uuid"], domain["stale"])
    assert str(domain["domain_id"]) == lab.virsh("domid", extra).strip() == domain["vmid"]
    assert None is domain["memlast_update"], "no guest driver ever answered"
    assert ("QEMU", 2, 3) == (record["hypervisor"], len(domain["nics"]), len(domain["disks"]))


def test_the_counters_of_running_guests_lie_between_readings_before_and_after(lab):
    lab.start("caller", 3, boot="network")
    found = reader(lab)
    try:
        first = {name: domstats(lab, name) for name in ("busy", "caller")}
        qemu.until(lambda: domstats(lab, "caller")["net.0.tx.bytes"] > first["caller"]["net.0.tx.bytes"], "it sends")
        for _ in range(3):
            before = {name: domstats(lab, name) for name in first}
            record = found.read("domains", 10).body["domains"]
            after = {name: domstats(lab, name) for name in first}
            domains = {domain["name"]: domain for domain in record}

            for name in first:
                assert [] == between(figures(before[name]), counters(domains[name]), figures(after[name]))
    finally:
        found.close()
        lab.stop("caller")
    assert 0 < domains["busy"]["disks"][0]["wr_bytes"] - first["busy"]["block.0.wr.bytes"]
    assert 0 < domains["caller"]["nics"][0]["txbytes"] - first["caller"]["net.0.tx.bytes"]
    assert 0 < domains["busy"]["cputime"] - first["busy"]["cpu.time"]


def test_the_seeds_connector_says_the_same(lab, extra):
    lab.virsh("suspend", extra)
    kvm = KVMConnector(lab.uri)

    def read() -> tuple[dict[str, Any], dict[str, int], dict[str, int], dict[str, Any]]:
        [vm] = [each for each in kvm.get_live_vms() if each["name"] == extra]
        nics, disks = kvm.get_devices_for_vm(vm["dom"])
        devices = {
            "nics": [{"device": name} | kvm.get_interface_stats(vm["dom"], name) for name in nics],
            "disks": [{"device": name} | kvm.get_block_stats(vm["dom"], name) for name in disks],
        }
        return vm, kvm.get_memory_stats(vm["dom"]), kvm.get_cpu_stats(vm["dom"]), devices

    before, (vm, memory, cpu, devices), after = settled(lab, extra, read)
    kvm.disconnect()
    expected = said(before)
    for disk in expected["disks"]:
        disk["errors"] = 0  # unknown to QEMU, and 0 is the seed's word for unknown

    assert {name: expected[name] for name in devices} == devices
    assert {name: expected[name] or 0 for name in memory} == memory
    assert ("paused", 1, 32768, 32768) == tuple(vm[key] for key in ("state", "cpu_count", "memory_max", "memory_used"))
    found = [vm["cputime"], cpu["timeusr"], cpu["timesys"]]
    assert [] == between([before[key] for key in CPU.values()], found, [after[key] for key in CPU.values()])


def test_a_guest_that_shuts_down_leaves_and_the_others_stay_on_cadence(lab, extra):
    with watching(lab) as rounds:
        lab.virsh("shutdown", extra)
        qemu.until(lambda: lab.state(extra) == "shut off", "it is off")
        rounds.until(lambda found: extra not in found, "extra has left")

    assert ([], 0) == unharmed(rounds)
    states = {each["state"] for each in rounds.fresh(extra)}
    assert {1} <= states <= {1, 4}, "running, and being shut down where a round fell into that"


def test_a_guest_undefined_while_it_runs_stays_until_it_ends(lab, extra):
    with watching(lab) as rounds:
        lab.virsh("undefine", extra)
        rounds.until(lambda found: extra in found, "extra runs on")
        lab.virsh("destroy", extra)
        rounds.until(lambda found: extra not in found, "extra has left")

    assert ([], 0) == unharmed(rounds)


def test_a_guest_paused_and_resumed_says_so(lab, extra):
    with watching(lab) as rounds:
        lab.virsh("suspend", extra)
        paused = rounds.until(lambda found: found[extra]["state"] == 3, "extra is paused")
        lab.virsh("resume", extra)
        rounds.until(lambda found: found[extra]["state"] == 1, "extra runs")

    assert ([], 0) == unharmed(rounds)
    assert (False, 2) == (paused[extra]["stale"], len(paused[extra]["nics"]))


def test_a_nic_and_a_disk_plugged_in_are_read_from_then_on(lab, extra):
    with watching(lab) as rounds:
        lab.plug(extra, 2)
        plugged = rounds.until(lambda found: len(found[extra]["disks"]) == 4, "the new disk")[extra]

    assert ["t2.0", "t2.1", "plugged2"] == [nic["device"] for nic in plugged["nics"]]
    assert ["vda", "vdb", "vdc", "vdx"] == [disk["device"] for disk in plugged["disks"]]
    assert [0] == [plugged["disks"][3]["wr_bytes"]]
    assert ([], 0) == unharmed(rounds)


def test_a_guest_renamed_while_shut_off_comes_back_under_its_new_name(lab, extra):
    with watching(lab) as rounds:
        [before] = rounds.fresh(extra)[:1]
        lab.virsh("shutdown", extra)
        qemu.until(lambda: lab.state(extra) == "shut off", "it is off")
        lab.virsh("domrename", extra, "renamed")
        lab.virsh("start", "renamed")
        after = rounds.until(lambda found: "renamed" in found, "the new name")
        lab.stop("renamed")

    assert before["uuid"] == after["renamed"]["uuid"]
    assert before["domain_id"] < after["renamed"]["domain_id"]
    assert extra not in after
    assert ([], 0) == unharmed(rounds)


def test_a_guest_migrated_live_is_on_one_connection_and_then_on_the_other(lab, extra):
    with Lab("kvm-b", cache=lab.cache) as other, watching(lab) as rounds:
        there = reader(other, "kvm-b")
        assert [] == there.read("domains", 10).body["domains"]
        [here] = rounds.fresh(extra)[:1]
        lab.migrate(extra, other)
        rounds.until(lambda found: extra not in found, "extra has left")
        [moved] = there.read("domains", 10).body["domains"]
        there.close()

    assert (extra, guest.uuid(extra), 1) == (moved["name"], moved["uuid"], moved["state"])
    assert (here["nics"][0]["device"], 3) == (moved["nics"][0]["device"], len(moved["disks"]))
    assert moved["cputime"] is not None
    assert ([], 0) == unharmed(rounds)


def test_the_same_uuid_on_two_connections_is_two_records_that_do_not_mix(lab, extra):
    with Lab("kvm-b", cache=lab.cache) as other:
        other.start(extra, 2)
        other.virsh("suspend", extra)
        readers = [reader(lab), reader(other, "kvm-b")]
        [here], [there] = (
            [domain for domain in found.read("domains", 10).body["domains"] if domain["name"] == extra]
            for found in readers
        )
        for each in readers:
            each.close()
        ids = [int(each.virsh("domid", extra)) for each in (lab, other)]

    assert here["uuid"] == there["uuid"]
    assert (1, 3) == (here["state"], there["state"])
    assert ids == [here["domain_id"], there["domain_id"]]


def test_after_libvirtd_was_killed_and_started_the_same_guests_are_read_on(lab):
    with watching(lab) as rounds:
        lab.kill_daemon()
        qemu.until(rounds.failures, "a round that fails")
        lab.start_daemon()
        rounds.until(lambda found: "busy" in found, "busy is there again")

    before, after = rounds.fresh("busy")[0], rounds.fresh("busy")[-1]
    assert {"unreachable"} == {each.status for each in rounds.rounds if isinstance(each, PollFailed)}
    assert before["domain_id"] == after["domain_id"]
    assert [] == [pair for pair in zip(counters(before), counters(after), strict=True) if pair[0] > pair[1]]


def test_a_qemu_that_hangs_is_stale_and_costs_only_itself(lab, extra):
    with watching(lab) as rounds:
        [known] = rounds.fresh(extra)[:1]
        with lab.hung(extra):
            hung = rounds.until(lambda found: found.get(extra, {}).get("stale"), "extra is stale")[extra]
            for _ in range(2):
                rounds.until(lambda found: found[extra]["stale"], "it stays stale")
        answered = rounds.until(lambda found: not found[extra]["stale"], "extra answers")[extra]

    assert ([], 0) == unharmed(rounds)
    assert (known["uuid"], known["domain_id"]) == (hung["uuid"], hung["domain_id"])
    assert {name: known[name] for name in ("cpus", "memory_max_kb")} == {
        name: hung[name] for name in ("cpus", "memory_max_kb")
    }
    # What it last said: it may have read a block since the first round.
    assert [disk["device"] for disk in known["disks"]] == [disk["device"] for disk in hung["disks"]]
    assert [] == [pair for pair in zip(counters(known), counters(answered), strict=True) if pair[0] > pair[1]]


def test_a_qemu_that_hangs_before_the_first_round_costs_only_itself(lab, extra):
    with lab.hung(extra), watching(lab) as rounds:
        found = rounds.until(lambda found: "busy" in found, "a round")

    assert ([], 0) == unharmed(rounds)
    assert not rounds.fresh(extra)
    assert found["calm"]["cputime"] is not None


def test_the_seeds_connector_waits_its_timeout_for_a_hung_guest_and_reads_the_others(lab, extra):
    kvm = KVMConnector(lab.uri, timeout=1.0)
    with lab.hung(extra):
        began_s = time.monotonic()
        vms = {vm["name"]: vm for vm in kvm.get_live_vms()}
        hung = kvm.get_block_stats(vms[extra]["dom"], "vda")
        busy = kvm.get_block_stats(vms["busy"]["dom"], "vda")
        took_s = time.monotonic() - began_s
    kvm.disconnect()

    assert {0} == set(hung.values())
    assert 0 < busy["wr_bytes"]
    assert took_s < 20  # it hangs until the end of the test


def test_a_qemu_killed_while_it_is_asked_does_not_cost_the_round(lab, extra):
    """Polls without a pause, so that the kill falls into one."""
    found = reader(lab)

    def read():
        return {domain["name"] for domain in found.read("domains", 10).body["domains"]}

    names = [read()]  # the connection is made by now, however long that takes
    killer = threading.Timer(0.2, lab.signal, (extra, signal.SIGKILL))
    killer.start()
    deadline_s = time.monotonic() + 30
    while time.monotonic() < deadline_s and extra in names[-1]:
        names.append(read())
    killer.join()
    found.close()

    assert {"busy", "calm"} == names[-1]
    assert {frozenset({"busy", "calm", extra})} == {frozenset(name) for name in names[:-1]}
