"""Rounds on a stand-in for the libvirt module: bulk figures, domains that vanish, connections that are lost."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from producers.libvirt.poll import POLLED_GROUPS
from producers.libvirt.worker.main import PollService

RUNNING = Path(__file__).parents[3] / "cases" / "libvirt" / "running"
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

    def __init__(
        self, stats: dict[str, Any] | None = None, number: int = 7, uuid: str = EXPECTED["uuid"], **calls: Any
    ) -> None:
        self.stats = STATS if stats is None else stats
        self.calls = {"XMLDesc": (RUNNING / "domain.xml").read_text()} | calls
        self.asked: list[str] = []
        self.ID = lambda: number
        self.name = lambda: EXPECTED["name"]
        self.UUIDString = lambda: uuid

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
    VIR_DOMAIN_EVENT_ID_LIFECYCLE, VIR_DOMAIN_EVENT_ID_DEVICE_ADDED = 0, 1
    VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED, VIR_DOMAIN_EVENT_ID_METADATA_CHANGE = 2, 3

    def __init__(self, *domains: Domain) -> None:
        self.domains = list(domains)
        self.bulk_errors: list[Exception | None] = []
        self.fails: dict[Domain, Exception] = {}
        self.opened = 0
        self.alive = True
        self.asked: list[tuple[str, int]] = []
        self.groups: list[int] = []
        self.callbacks: list[Any] = []
        self.deregistered: list[int] = []
        self.getType = lambda: "QEMU"
        self.getVersion, self.getLibVersion = lambda: 7_002_022, lambda: 9_000_000
        self.isAlive = lambda: int(self.alive)
        self.close = lambda: 0
        self.setKeepAlive = lambda *_: 0
        self.domainEventDeregisterAny = self.deregistered.append

    def openReadOnly(self, uri: str) -> Libvirt:  # noqa: N802
        assert uri == URI
        self.opened += 1
        self.alive = True
        return self

    def domainEventRegisterAny(self, _domain: None, event: int, callback: Any, _opaque: Any) -> int:  # noqa: N802
        self.callbacks.append(callback)
        return event

    def getAllDomainStats(self, groups: int, flags: int) -> list[tuple[Domain, dict[str, Any]]]:  # noqa: N802
        self.asked.append(("bulk", flags))
        return self._figures(self.domains, groups)

    def domainListGetStats(self, listed: list[Domain], groups: int, flags: int) -> Any:  # noqa: N802
        self.asked.append(("some", flags))
        return self._figures(listed, groups)

    def _figures(self, listed: list[Domain], groups: int) -> Any:
        self.groups.append(groups)
        errors = [self.bulk_errors.pop(0)] if self.bulk_errors else []
        for error in errors + [self.fails.get(each) for each in listed]:
            if error:
                raise error
        return [(domain, domain.stats) for domain in listed]

    def listAllDomains(self, flags: int) -> list[Domain]:  # noqa: N802
        self.asked.append(("list", flags))
        return self.domains


def link(libvirt: Libvirt) -> PollService:
    return PollService(URI, 300.0, libvirt)


def read(link: PollService, *out: str, held: list[str] | None = None, groups: int = POLLED_GROUPS) -> dict[str, Any]:
    return link.poll(list(out), held or [], groups)


def problems(answer: dict[str, Any]) -> list[tuple[str, str, int]]:
    return [problem[:3] for problem in answer["problems"]]


def test_one_bulk_call_gives_the_domains_and_the_xml_is_read_once():
    libvirt = Libvirt(Domain())
    source = link(libvirt)
    first, second = read(source), read(source)

    assert [EXPECTED] == first["domains"] == second["domains"]
    assert ["XMLDesc"] == libvirt.domains[0].asked
    assert [("bulk", 1 | 1 << 29)] * 2 == libvirt.asked
    assert 1 == libvirt.opened
    assert {"hypervisor": "QEMU"} == source.open()
    assert {"version": "7.2.22", "libvirt": "9.0.0"} == source.describe()


@pytest.mark.parametrize("event", [None, *range(4)], ids=lambda each: "figures" if each is None else f"event {each}")
def test_a_plugged_nic_is_there_at_once(event: int | None):
    domain = Domain()
    libvirt = Libvirt(domain)
    source = link(libvirt)
    read(source)
    domain.calls["XMLDesc"] = domain.calls["XMLDesc"].replace("br1", "br9")
    if event is None:
        domain.stats = STATS | {"net.count": 3, "net.2.name": "one-42-2", "net.2.rx.bytes": 5}
    else:
        libvirt.callbacks[event](libvirt, domain, 1, 1, None)
    nics = read(source)["domains"][0]["nics"]

    assert (["one-42-0", "one-42-1", "one-42-2"][: 2 + (event is None)]) == [nic["device"] for nic in nics]
    assert "br9" == nics[1]["source"]
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
    answer = read(link(Libvirt(gone, Domain(number=8))))

    assert [8] == [domain["domain_id"] for domain in answer["domains"]]
    assert (field, "gone during the poll", 1) in problems(answer)


@pytest.mark.parametrize(
    ("calls", "cause"),
    [
        pytest.param({"XMLDesc": LibvirtError(38)}, "system error", id="the hypervisor process broke the call"),
        pytest.param({"XMLDesc": LibvirtError(4711)}, "libvirt error 4711", id="an error without a meaning here"),
        pytest.param({"XMLDesc": "<domain"}, "not XML", id="it is not XML"),
    ],
)
def test_figures_do_not_wait_for_the_xml(calls: Any, cause: str):
    answer = read(link(Libvirt(Domain(**calls))))

    assert [EXPECTED["cputime"]] == [domain["cputime"] for domain in answer["domains"]]
    assert ("XMLDesc", cause, 1) in problems(answer)


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
    libvirt.bulk_errors = [bulk_error] * 9
    source = link(libvirt)
    read(source)
    answer = read(source)

    (domain,) = answer["domains"]
    assert (4, 1000, [2, 2]) == (domain["cpus"], domain["cputime"], [disk["rd_bytes"] for disk in domain["disks"]])
    assert bulk_calls == len([name for name, _ in libvirt.asked if name == "bulk"])
    assert ("interfaceStats", "not supported by the driver", 2) in problems(answer)
    assert ("memoryStats", "not supported by the driver", 1) in problems(answer)


DIED = LibvirtError(38, QEMU, "Unable to read from monitor: Connection reset by peer")


def test_a_domain_that_dies_in_the_bulk_call_does_not_cost_the_round():
    libvirt = Libvirt(Domain(), Domain(number=8))
    libvirt.bulk_errors = [DIED]

    assert [7, 8] == [domain["domain_id"] for domain in read(link(libvirt))["domains"]]


def test_a_domain_that_fails_every_bulk_call_costs_itself_only():
    dying = Domain(number=8)
    libvirt = Libvirt(Domain(), dying, Domain(number=9))
    libvirt.fails = {dying: DIED}
    answer = read(link(libvirt))

    assert [7, 9] == [domain["domain_id"] for domain in answer["domains"]]
    assert [("domain", "system error", 1, True)] == [
        problem for problem in answer["problems"] if problem[0] == "domain"
    ]


OCCUPIED = [2, 0, 9000]


@pytest.mark.parametrize(
    ("control", "held", "asked"),
    [
        pytest.param(OCCUPIED, [], False, id="somebody waits for it: left out"),
        pytest.param([0, 0, 0], [], True, id="nobody waits for it any more: asked"),
        pytest.param([0, 0, 0], ["u2"], False, id="free, but held back: left out"),
        pytest.param(LibvirtError(3), [], True, id="the driver does not say: asked"),
    ],
)
def test_a_domain_that_hung_is_asked_again_when_it_is_free(control, held, asked):
    hung = Domain(number=8, uuid="u2", controlInfo=control)
    libvirt = Libvirt(Domain(), hung)
    answer = read(link(libvirt), "u2", held=held)

    assert [7, *[8] * asked] == [domain["domain_id"] for domain in answer["domains"]]
    assert [("one-42", "u2", 8)][asked:] == answer["unresponsive"]
    assert [("list", 1), ("some", 1 << 29)] == libvirt.asked


@pytest.mark.parametrize(
    ("control", "silent"),
    [
        pytest.param(OCCUPIED, True, id="for long: it hangs"),
        pytest.param([2, 0, 20], False, id="for a moment: what libvirt knows is the record"),
        pytest.param([3, 3, 1795240880404], False, id="a job of unknown age"),
    ],
)
def test_a_domain_that_somebody_else_waits_for_is_found_by_its_partial_figures(control, silent):
    partial = json.loads((RUNNING.parent / "hung" / "bulk.json").read_text())
    answer = read(link(Libvirt(Domain(), Domain(stats=partial, number=8, uuid="u2", controlInfo=control))))

    assert [("one-42", "u2", 8)][not silent :] == answer["unresponsive"]
    assert 2 - silent == len(answer["domains"])


def test_where_no_hypervisor_may_be_asked_what_libvirt_knows_is_read():
    libvirt = Libvirt(Domain(), Domain(number=8, uuid="u2", controlInfo=OCCUPIED))
    answer = read(link(libvirt), "u2", groups=17)

    assert ([17], [7]) == (libvirt.groups, [domain["domain_id"] for domain in answer["domains"]])


def test_a_lost_connection_is_unreachable_without_secrets():
    libvirt = Libvirt(Domain())
    source = link(libvirt)
    read(source)
    libvirt.bulk_errors = [BROKEN]
    with pytest.raises(LibvirtError) as caught:
        read(source)
    failure = source.connection.poll_failure(caught.value)

    address = "qemu+tcp://kvm-01/system"
    assert "unreachable" == failure.status
    assert f"libvirt {address}: Cannot write data to {address}: Broken pipe" == str(failure)


def test_a_connection_known_to_be_dead_is_opened_again_and_its_driver_judged_anew():
    domain = Domain(stats=STATE_ONLY, info=INFO)
    libvirt = Libvirt(domain)
    source = link(libvirt)
    read(source)
    domain.stats = STATS
    libvirt.alive = False

    assert [EXPECTED] == read(source)["domains"]
    assert 2 == libvirt.opened
    assert list(range(4)) == libvirt.deregistered, "else the old connection would not close"


def test_devices_of_domains_that_are_gone_are_not_kept():
    domain = Domain()
    libvirt = Libvirt(domain)
    source = link(libvirt)
    for present in ([domain], [], [domain]):
        libvirt.domains = present
        read(source)

    assert ["XMLDesc"] * 2 == domain.asked


def test_a_connection_lost_between_two_domains_loses_the_round_not_the_domains():
    with pytest.raises(LibvirtError, match="Broken pipe"):
        read(link(Libvirt(Domain(), Domain(number=8, uuid="u2", XMLDesc=BROKEN))))


def test_a_refused_login_is_told_from_an_unreachable_host():
    source = link(Libvirt())
    failure = source.connection.poll_failure(LibvirtError(45, RPC, "authentication failed"))

    assert "auth_failed" == failure.status


def test_no_domains_is_an_empty_list():
    assert [] == read(link(Libvirt()))["domains"]
