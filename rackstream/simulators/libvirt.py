"""Thousands of hosts with VMs, as raw libvirt records say them: counters that move, restarts, resets, migrations. Pure.

Equal plans give equal records but for the time they are told. Every counter of a VM grows by the same amount in each
round, so what a processor must find is known: a constant rate, and none across one of the events.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Final, Literal, cast
from uuid import NAMESPACE_URL, uuid5

if TYPE_CHECKING:
    from schemas.records import Domain, DomainDisk, DomainNic

Event = Literal["restarts", "resets", "migrations"]
EVENTS: Final[tuple[Event, ...]] = ("restarts", "resets", "migrations")
RUNNING: Final = 1
BOOTED: Final = 1
"""virDomainRunningReason."""
MIGRATED: Final = 2
MEMORY_KIB: Final = 4 * 1024 * 1024
AGE_MAX: Final = 10_000
"""Rounds for which a VM may have run before the first."""
NIC: Final = {
    "rxbytes": 900_000,
    "rxpackets": 800,
    "rxerrors": 0,
    "rxdrops": 1,
    "txbytes": 500_000,
    "txpackets": 600,
    "txerrors": 0,
    "txdrops": 0,
}
"""Per second, for a VM of pace 1."""
DISK: Final = {"rd_req": 40, "rd_bytes": 1_500_000, "wr_reqs": 25, "wr_bytes": 800_000}
GUEST: Final = {"memswap_in": 4, "memswap_out": 6, "memmajor_fault": 2, "memminor_fault": 900}
CPU: Final = {"cputime": 400_000_000, "timeusr": 300_000_000, "timesys": 100_000_000}


@dataclass(frozen=True)
class Plan:
    """What is simulated."""

    hosts: int = 1000
    vms: int = 20
    """Of each host, at first."""
    nics: int = 1
    disks: int = 1
    interval_s: float = 10.0
    """Seconds between two rounds."""
    churn: float = 0.001
    """Share of the VMs to which one of the events happens in a round."""
    seed: int = 0


@dataclass
class _Vm:
    number: int
    home: int
    domain_id: int
    pace: float
    since: int
    """The round in which its counters began."""
    nics_since: int
    reason: int = BOOTED
    uuid: str = ""
    changed: int = -1
    """The round of its last event."""


@dataclass
class Simulation:
    """All VMs of a plan, round by round. The first `advance` makes round 0, in which nothing has happened yet."""

    plan: Plan
    round: int = -1
    made: Counter[Event] = field(default_factory=Counter)
    """How often each event happened so far. A migration is one event: the VM leaves one host's record and is in
    another's, with a new domain id and new counters, from the same round on. A reset is that of all NICs of a VM."""

    def __post_init__(self) -> None:
        self._random = Random(self.plan.seed)  # noqa: S311  no secret
        self._ids = [self.plan.vms] * self.plan.hosts
        self._homes: list[dict[int, _Vm]] = [{} for _ in range(self.plan.hosts)]
        for number in range(self.plan.hosts * self.plan.vms):
            home, nth = divmod(number, self.plan.vms)
            since = -self._random.randrange(2, AGE_MAX)
            pace = 0.5 + self._random.random()
            uuid = str(uuid5(NAMESPACE_URL, f"rackstream:simulated/{self.plan.seed}/{number}"))
            self._homes[home][number] = _Vm(number, home, nth + 1, pace, since, since, uuid=uuid)

    def advance(self) -> None:
        """Goes on to the next round."""
        self.round += 1
        if self.round == 0:
            return
        for vm in [vm for home in self._homes for vm in home.values()]:
            # One round of rest between two events, so that each is seen: a counter falls, or the domain id is new.
            if self._random.random() < self.plan.churn and vm.changed < self.round - 1:
                self._happen(vm, self._random.choice(EVENTS))

    def _happen(self, vm: _Vm, event: Event) -> None:
        if event == "migrations" and self.plan.hosts == 1:
            event = "restarts"
        self.made[event] += 1
        vm.changed = vm.nics_since = self.round
        if event == "resets":
            return
        vm.since, vm.reason = self.round, BOOTED
        if event == "migrations":
            del self._homes[vm.home][vm.number]
            vm.home = (vm.home + self._random.randrange(1, self.plan.hosts)) % self.plan.hosts
            self._homes[vm.home][vm.number] = vm
            vm.reason = MIGRATED
        self._ids[vm.home] += 1
        vm.domain_id = self._ids[vm.home]

    def domains(self, host: int, told_at_s: int) -> list[Domain]:
        """What a host says of its VMs in this round. `told_at_s`: when their guests last did, seconds since 1970."""
        return [self._domain(vm, told_at_s) for vm in self._homes[host].values()]

    def _domain(self, vm: _Vm, told_at_s: int) -> Domain:
        step = vm.pace * self.plan.interval_s
        age = self.round - vm.since + 1
        counters = {name: int(per_s * step) * age for name, per_s in (GUEST | CPU).items()}
        used = int(MEMORY_KIB * (0.3 + 0.05 * (vm.number % 8)))
        record = {
            "vmid": str(vm.number),
            "name": f"one-{vm.number}",
            "uuid": vm.uuid,
            "domain_id": vm.domain_id,
            "state": RUNNING,
            "state_reason": vm.reason,
            "stale": False,
            "cpus": 2,
            "memory_max_kb": MEMORY_KIB,
            "memory_used_kb": MEMORY_KIB,
            "memactual": MEMORY_KIB,
            "memrss": used + 60_000,
            "memavailable": MEMORY_KIB - 90_000,
            "memusable": MEMORY_KIB - 90_000 - used,
            "memdisk_cache": used // 4,
            "memlast_update": told_at_s,
            **counters,
            "nics": [self._nic(vm, n, step) for n in range(self.plan.nics)],
            "disks": [self._disk(n, step, age) for n in range(self.plan.disks)],
        }
        return cast("Domain", record)

    def _nic(self, vm: _Vm, n: int, step: float) -> DomainNic:
        age = self.round - vm.nics_since + 1
        counters = {name: int(per_s * step) * age for name, per_s in NIC.items()}
        return cast("DomainNic", {"device": f"one-{vm.number}-{n}", **counters})

    def _disk(self, n: int, step: float, age: int) -> DomainDisk:
        counters = {name: int(per_s * step) * age for name, per_s in DISK.items()}
        return cast("DomainDisk", {"device": f"vd{chr(ord('a') + n)}", **counters, "errors": None})
