"""KVMConnector where libvirt hangs, loses its connection or is old: on a stand-in for the libvirt module."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from typing import Any

import pytest
from structlog.testing import capture_logs

from producers.libvirt import KVMConnector
from producers.libvirt.scripting import caller
from producers.libvirt.scripting.call_timeout import CallTimedOut, CallTimeout

RPC, QEMU = 7, 10
U64 = 2**64 - 1


class LibvirtError(Exception):
    def __init__(self, code: int, origin: int = QEMU) -> None:
        super().__init__("failed")
        self.get_error_code = lambda: code
        self.get_error_domain = lambda: origin


class Domain:
    """Answers by method; an exception is raised, a function called."""

    def __init__(self, connection: Libvirt, uuid: str, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.connect = lambda: connection
        self.ID = lambda: 7
        self.name = self.UUIDString = lambda: uuid

    def __getattr__(self, method: str) -> Any:
        def call(*_: Any) -> Any:
            answer = self.answers.get(method, LibvirtError(3))
            if isinstance(answer, Exception):
                raise answer
            return answer() if callable(answer) else answer

        return call


class Libvirt:
    """One connection; its domains share their answers with those of a later connection."""

    def __init__(self, answers: dict[str, dict[str, Any]]) -> None:
        self.domains = [Domain(self, uuid, methods) for uuid, methods in answers.items()]
        self.lookupByUUIDString = {domain.UUIDString(): domain for domain in self.domains}.__getitem__
        self.listAllDomains = lambda _: self.domains
        self.isAlive = lambda: 1
        self.getType = lambda: "QEMU"
        self.close = lambda: 0

    def domainListGetStats(self, listed: list[Domain], _groups: int, _flags: int) -> Any:  # noqa: N802
        return [(domain, domain.stats()) for domain in listed]


class Module:
    libvirtError = LibvirtError  # noqa: N815 -- libvirt's name

    def __init__(self, answers: dict[str, dict[str, Any]]) -> None:
        self.opened: list[Libvirt] = []
        self.answers = answers

    def openReadOnly(self, _: str) -> Libvirt:  # noqa: N802
        self.opened.append(Libvirt(self.answers))
        return self.opened[-1]


INFO = [1, 4096, 2048, 4, 10**9]


@pytest.fixture
def connected(monkeypatch):
    """A connector to domains that answer so."""

    def make(timeout: float = 30.0, **answers: dict[str, Any]) -> tuple[KVMConnector, Module]:
        module = Module({name: {"info": INFO} | methods for name, methods in answers.items()})
        monkeypatch.setattr(caller, "load_libvirt", lambda: module)
        return KVMConnector("qemu:///system", timeout), module

    return make


@pytest.mark.parametrize(
    ("answer", "expected", "why"),
    [
        pytest.param((1, 2, 3, 4, -1), 0, "unknown to libvirt (-1)", id="-1"),
        pytest.param((1, 2, 3, 4, U64), 0, "above 2**63-1", id="above 2**63-1"),
        pytest.param((1, 2, 3, 4, 9), 9, None, id="a number"),
    ],
)
def test_a_figure_that_libvirt_does_not_know_is_0(connected, answer, expected, why):
    kvm, _ = connected(vm={"blockStats": answer})
    with capture_logs() as logs:
        stats = [kvm.get_block_stats(vm["dom"], "vda") for vm in kvm.get_live_vms() for _ in range(3)]

    assert [{"rd_req": 1, "rd_bytes": 2, "wr_reqs": 3, "wr_bytes": 4, "errors": expected}] * 3 == stats
    assert ([why] if why else []) == [log["reason"] for log in logs]


def test_an_old_libvirt_gives_0_for_what_it_lacks_and_the_rest_as_it_is(connected):
    kvm, _ = connected(vm={"memoryStats": {"actual": 2048, "rss": 99}})
    with capture_logs() as logs:
        [vm] = kvm.get_live_vms()
        memory, cpu = kvm.get_memory_stats(vm["dom"]), kvm.get_cpu_stats(vm["dom"])
        kvm.get_memory_stats(vm["dom"])

    assert {"memactual": 2048, "memrss": 99} == {name: value for name, value in memory.items() if value}
    assert {"timeusr": 0, "timesys": 0} == cpu
    missing = {
        "memavailable",
        "memusable",
        "memswap_in",
        "memswap_out",
        "memmajor_fault",
        "memminor_fault",
        "memdisk_cache",
    }
    assert sorted([*missing, "getCPUStats"]) == sorted(log["call"] for log in logs)


BULK = {"state.state": 1, "cpu.time": 9, "cpu.user": 5, "cpu.system": 4}


@pytest.mark.parametrize(
    ("answers", "expected", "why"),
    [
        pytest.param({"stats": BULK}, (5, 4), None, id="from the bulk figures"),
        pytest.param({"stats": BULK | {"state.state": 5}}, (0, 0), "domain not running", id="not libvirtd's own"),
        pytest.param({"stats": {"state.state": 1}}, (0, 0), "domain not running", id="of a driver that has none"),
        pytest.param(
            {"getCPUStats": [{"user_time": 7, "system_time": 8}]}, (7, 8), None, id="there are control groups"
        ),
    ],
)
def test_cpu_times_of_a_host_without_control_groups(connected, answers, expected, why):
    kvm, _ = connected(vm={"getCPUStats": LibvirtError(55)} | answers)
    with capture_logs() as logs:
        [vm] = kvm.get_live_vms()
        cpu = kvm.get_cpu_stats(vm["dom"])

    assert expected == (cpu["timeusr"], cpu["timesys"])
    assert ([why] if why else []) == [log["reason"] for log in logs]


def test_a_vm_that_hangs_costs_the_timeout_once_and_the_others_are_read(connected):
    free, asked = threading.Event(), []
    hung = {"memoryStats": lambda: asked.append("hung") or (free.wait(60) and {})}
    kvm, module = connected(1.0, hung=hung, well={"memoryStats": {"rss": 5}})
    vms = kvm.get_live_vms()
    cycles = [[kvm.get_memory_stats(vm["dom"])["memrss"] for vm in vms] for _ in range(20)]
    free.set()

    assert [[0, 5]] * 20 == cycles
    assert ["hung"] == asked, "one timeout, not one per cycle"
    assert 2 == len(module.opened), "the others are asked over another connection"


def test_a_lost_connection_is_opened_again_and_known_vms_are_found_on_it(connected):
    answers: dict[str, Any] = {"memoryStats": LibvirtError(38, RPC)}
    kvm, module = connected(vm=answers)
    [vm] = kvm.get_live_vms()
    lost = kvm.get_memory_stats(vm["dom"])["memrss"]
    module.answers["vm"]["memoryStats"] = {"rss": 5}

    assert (0, 5) == (lost, kvm.get_memory_stats(vm["dom"])["memrss"])
    assert 2 == len(module.opened)


def test_a_vm_that_goes_between_list_and_look_is_left_out(connected):
    kvm, _ = connected(gone={"info": LibvirtError(42)}, there={})

    assert ["there"] == [vm["name"] for vm in kvm.get_live_vms()]


def test_a_cause_is_said_once_when_it_begins_and_once_when_it_has_ended_for_all(connected):
    lacking, whole = (1, 2, 3, 4, -1), (1, 2, 3, 4, 9)
    kvm, module = connected(a={"blockStats": lacking}, b={"blockStats": LibvirtError(68)})

    def cycle() -> None:
        for vm in kvm.get_live_vms():
            for disk in ("vda", "vdb"):
                kvm.get_block_stats(vm["dom"], disk)

    with capture_logs() as logs:
        cycle()
        cycle()
        begun = len(logs)
        module.answers["a"]["blockStats"] = module.answers["b"]["blockStats"] = whole
        cycle()
        cycle()

    causes = [("disks.errors", "unknown to libvirt (-1)"), ("blockStats", "the hypervisor did not answer in time")]
    assert (2, causes) == (begun, [(log["call"], log["reason"]) for log in logs[:2]])
    assert sorted(causes) == sorted((log["call"], log["reason"]) for log in logs[2:])


def test_a_cause_ends_with_its_domain(connected):
    kvm, module = connected(a={"blockStats": LibvirtError(68)})
    with capture_logs() as logs:
        kvm.get_block_stats(kvm.get_live_vms()[0]["dom"], "vda")
        module.opened[0].domains.clear()
        kvm.get_live_vms()

    assert ["warning", "info"] == [log["log_level"] for log in logs]


def test_one_connector_serves_several_threads(connected):
    kvm, module = connected(**{f"vm{n}": {"memoryStats": {"rss": n}} for n in range(4)})
    cycles: list[list[int]] = []

    def cycle() -> None:
        cycles.append([kvm.get_memory_stats(vm["dom"])["memrss"] for vm in kvm.get_live_vms()])

    threads = [threading.Thread(target=cycle) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ([[0, 1, 2, 3]] * 8, 1) == (cycles, len(module.opened))


def test_a_call_gives_its_result_or_its_error():
    deadline = CallTimeout(5)

    assert 3 == deadline.call("a", lambda: 3)
    with pytest.raises(ZeroDivisionError):
        deadline.call("a", lambda: 1 // 0)


def results(timeout, key, function):
    """Results of a call, tried for a minute: the call that hung is given time to come back."""
    deadline_s = time.monotonic() + 60
    while time.monotonic() < deadline_s:
        with contextlib.suppress(CallTimedOut):
            yield timeout.call(key, function)
        time.sleep(0.001)


def test_who_hangs_is_not_asked_again_before_it_is_back():
    deadline, free = CallTimeout(0.05), threading.Event()
    with pytest.raises(CallTimedOut, match=r"within 0\.05 s"):
        deadline.call("a", free.wait)
    with pytest.raises(CallTimedOut, match="earlier call"):
        deadline.call("a", lambda: 1)
    assert 2 == deadline.call("b", lambda: 2)
    free.set()

    assert 1 == next(results(deadline, "a", lambda: 1))


def test_calls_that_come_back_share_a_thread_and_none_is_left_behind():
    deadline, free = CallTimeout(60), threading.Event()
    shared = {deadline.call(str(n), threading.current_thread) for n in range(20)}
    deadline.timeout_s = 0.05
    with pytest.raises(CallTimedOut):
        deadline.call("a", free.wait)
    other = deadline.call("b", threading.current_thread)
    free.set()
    shared.add(other)
    del deadline
    for thread in shared:
        thread.join(60)

    assert [False, False] == [thread.is_alive() for thread in shared]


def test_the_connector_can_be_made_without_libvirt_python():
    program = """
import sys
sys.modules["libvirt"] = None
from producers.libvirt import KVMConnector
from runtime.errors import Misconfigured
kvm = KVMConnector("test:///default")
try:
    kvm.connect()
except Misconfigured as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "libvirt-python" in done.stdout
