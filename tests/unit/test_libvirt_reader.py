"""The reader on a stand-in for the libvirt module: bulk figures, domains that vanish, connections that are lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from producers.libvirt import LibvirtReader
from producers.reader import PollFailed
from producers.targets import LibvirtTarget

RUNNING = Path(__file__).parents[1] / "cases" / "libvirt" / "running"
STATS = json.loads((RUNNING / "bulk.json").read_text())
EXPECTED = json.loads((RUNNING / "expected.json").read_text())["domain"]
URI = "qemu+tcp://user:secret@kvm-01/system"
RPC, QEMU = 7, 10


class LibvirtError(Exception):
    def __init__(self, code: int, origin: int = QEMU, text: str = "failed") -> None:
        super().__init__(text)
        self.get_error_code = lambda: code
        self.get_error_domain = lambda: origin


BROKEN = LibvirtError(38, RPC, f"Cannot write data to {URI}: Broken pipe")


class Domain:
    """Calls not given are not supported by the driver, and say so."""

    def __init__(self, stats: dict[str, Any] | None = None, number: int = 7, **calls: Any) -> None:
        self.stats = STATS if stats is None else stats
        self.calls = {"XMLDesc": (RUNNING / "domain.xml").read_text()} | calls
        self.asked: list[str] = []
        self.ID = lambda: number
        self.name = lambda: EXPECTED["name"]
        self.UUIDString = lambda: EXPECTED["uuid"]

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            self.asked.append(name)
            answer = self.calls.get(name, LibvirtError(3))
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call


class Libvirt:
    """The module, its one connection, and how often it was opened."""

    libvirtError = LibvirtError  # noqa: N815 -- libvirt's name

    def __init__(self, *domains: Domain) -> None:
        self.domains = list(domains)
        self.open_error: Exception | None = None
        self.bulk_error: Exception | None = None
        self.opened = 0
        self.alive = True
        self.asked: list[tuple[str, int]] = []

    def openReadOnly(self, uri: str) -> Libvirt:  # noqa: N802
        assert uri == URI
        if self.open_error:
            raise self.open_error
        self.opened += 1
        self.alive = True
        return self

    def getType(self) -> str:  # noqa: N802
        return "QEMU"

    def isAlive(self) -> int:  # noqa: N802
        return int(self.alive)

    def close(self) -> int:
        return 0

    def getAllDomainStats(self, groups: int, flags: int) -> list[tuple[Domain, dict[str, Any]]]:  # noqa: N802
        self.asked.append(("bulk", flags))
        assert groups == 63
        if self.bulk_error:
            raise self.bulk_error
        return [(domain, domain.stats) for domain in self.domains]

    def listAllDomains(self, flags: int) -> list[Domain]:  # noqa: N802
        self.asked.append(("list", flags))
        return self.domains


class Clock:
    now = 0.0

    def __call__(self) -> float:
        self.now += 0.5
        return self.now


def reader(libvirt: Libvirt) -> LibvirtReader:
    return LibvirtReader(LibvirtTarget(host="kvm-01", uri=URI), 1.0, libvirt, clock=Clock())


def problems(sample: Any) -> list[tuple[str, str, int]]:
    return [(each["field"], each["cause"], each["count"]) for each in sample.problems.as_records()]


def test_one_bulk_call_gives_the_domains_and_the_xml_is_read_once():
    libvirt = Libvirt(Domain())
    source = reader(libvirt)
    first, second = source.read("domains", 5), source.read("domains", 5)

    assert {"uri": "qemu+tcp://kvm-01/system", "hypervisor": "QEMU", "domains": [EXPECTED]} == first.body == second.body
    assert ["XMLDesc"] == libvirt.domains[0].asked
    assert [("bulk", 1 | 1 << 29)] * 2 == libvirt.asked
    assert 1 == libvirt.opened


def test_a_plugged_nic_is_there_at_once():
    domain = Domain()
    libvirt = Libvirt(domain)
    source = reader(libvirt)
    source.read("domains", 5)
    domain.stats = STATS | {"net.count": 3, "net.2.name": "one-42-2", "net.2.rx.bytes": 5}
    nics = source.read("domains", 5).body["domains"][0]["nics"]

    assert ["one-42-0", "one-42-1", "one-42-2"] == [nic["device"] for nic in nics]
    assert ["XMLDesc"] * 2 == domain.asked


@pytest.mark.parametrize(
    ("gone", "field"),
    [
        pytest.param(Domain(XMLDesc=LibvirtError(42)), "domain", id="undefined before its XML was read"),
        pytest.param(Domain(XMLDesc=LibvirtError(55), isActive=0), "domain", id="shut off before its XML was read"),
        pytest.param(Domain(stats=STATS | {"state.state": 5}), "domain", id="shut off before its figures were read"),
    ],
)
def test_a_domain_that_vanishes_is_left_out_and_counted(gone: Domain, field: str):
    sample = reader(Libvirt(gone, Domain(number=8))).read("domains", 5)

    assert [8] == [domain["domain_id"] for domain in sample.body["domains"]]
    assert (field, "gone during the poll", 1) in problems(sample)


@pytest.mark.parametrize(
    ("calls", "cause"),
    [
        pytest.param({"XMLDesc": LibvirtError(38)}, "system error", id="the hypervisor process broke the call"),
        pytest.param({"XMLDesc": LibvirtError(4711)}, "libvirt error 4711", id="an error without a meaning here"),
        pytest.param({"XMLDesc": "<domain"}, "not XML", id="it is not XML"),
    ],
)
def test_figures_do_not_wait_for_the_xml(calls: Any, cause: str):
    sample = reader(Libvirt(Domain(**calls))).read("domains", 5)

    assert [EXPECTED] == sample.body["domains"]
    assert ("XMLDesc", cause, 1) in problems(sample)


STATE_ONLY = {"state.state": 1, "state.reason": 1}
INFO = [1, 4194304, 2097152, 4, 1000]


@pytest.mark.parametrize(
    ("stats", "bulk_error", "bulk_calls"),
    [
        pytest.param(STATE_ONLY, None, 1, id="bulk gives the state of a running domain only"),
        pytest.param(STATE_ONLY | {"state.state": 3}, None, 2, id="no running domain to judge by: asked again"),
        pytest.param({}, LibvirtError(3), 1, id="the driver has no bulk call"),
    ],
)
def test_a_driver_without_bulk_figures_is_asked_call_by_call(stats: Any, bulk_error: Any, bulk_calls: int):
    libvirt = Libvirt(Domain(stats=stats, info=INFO, state=[1, 1], blockStats=[1, 2, 3, 4, -1]))
    libvirt.bulk_error = bulk_error
    source = reader(libvirt)
    source.read("domains", 50)
    sample = source.read("domains", 50)

    (domain,) = sample.body["domains"]
    assert (4, 1000, [2, 2]) == (domain["cpus"], domain["cputime"], [disk["rd_bytes"] for disk in domain["disks"]])
    assert bulk_calls == len([name for name, _ in libvirt.asked if name == "bulk"])
    assert ("interfaceStats", "not supported by the driver", 2) in problems(sample)
    assert ("memoryStats", "not supported by the driver", 1) in problems(sample)


def test_a_lost_connection_is_unreachable_without_secrets_and_opened_again():
    libvirt = Libvirt(Domain())
    source = reader(libvirt)
    source.read("domains", 5)
    libvirt.bulk_error = BROKEN
    with pytest.raises(PollFailed, match="Broken pipe") as caught:
        source.read("domains", 5)
    libvirt.bulk_error = None

    assert "unreachable" == caught.value.status
    assert "secret" not in str(caught.value)
    assert (caught.value.__cause__, True) == (None, caught.value.__suppress_context__)
    assert [EXPECTED] == source.read("domains", 5).body["domains"]
    assert 2 == libvirt.opened


def test_a_connection_known_to_be_dead_is_opened_again_and_its_driver_judged_anew():
    domain = Domain(stats=STATE_ONLY, info=INFO)
    libvirt = Libvirt(domain)
    source = reader(libvirt)
    source.read("domains", 50)
    domain.stats = STATS
    libvirt.alive = False

    assert [EXPECTED] == source.read("domains", 50).body["domains"]
    assert 2 == libvirt.opened


def test_devices_of_domains_that_are_gone_are_not_kept():
    domain = Domain()
    libvirt = Libvirt(domain)
    source = reader(libvirt)
    for present in ([domain], [], [domain]):
        libvirt.domains = present
        source.read("domains", 5)

    assert ["XMLDesc"] * 2 == domain.asked


def test_a_connection_lost_between_two_domains_loses_the_poll_not_the_domains():
    with pytest.raises(PollFailed) as caught:
        reader(Libvirt(Domain(), Domain(number=8, XMLDesc=BROKEN))).read("domains", 5)

    assert "unreachable" == caught.value.status


def test_a_refused_login_is_told_from_an_unreachable_host():
    libvirt = Libvirt()
    libvirt.open_error = LibvirtError(45, RPC, "authentication failed")
    with pytest.raises(PollFailed) as caught:
        reader(libvirt).read("domains", 5)

    assert "auth_failed" == caught.value.status


def test_when_time_runs_out_no_shortened_list_pretends_that_domains_are_gone():
    domains = [Domain(stats=STATE_ONLY, number=n, info=INFO) for n in range(100)]
    with pytest.raises(PollFailed, match="after 10 of 100 domains") as caught:
        reader(Libvirt(*domains)).read("domains", 10)

    assert "late" == caught.value.status


def test_no_domains_is_an_empty_list():
    assert [] == reader(Libvirt()).read("domains", 5).body["domains"]
