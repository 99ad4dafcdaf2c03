"""Generates the raw libvirt records of thousands of hosts: growing counters, restarts, resets, migrations. Pure.

Equal settings give equal records, except for their times. All counters of a VM grow by the same amount in each round.
Therefore the result of a processor is known: constant rates, and no rate across an event.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import TYPE_CHECKING, Final, Literal, cast
from uuid import NAMESPACE_URL, uuid5

if TYPE_CHECKING:
    from schemas.records import Domain, DomainDisk, DomainNic

Event = Literal["restarts", "resets", "migrations"]
EVENTS: Final[tuple[Event, ...]] = ("restarts", "resets", "migrations")
STATE_RUNNING: Final = 1
REASON_BOOTED: Final = 1
REASON_MIGRATED: Final = 2
"""Values of virDomainState and virDomainRunningReason."""
MEMORY_KIB: Final = 4 * 1024 * 1024
MAX_AGE_ROUNDS: Final = 10_000
"""Rounds for which a VM may have run before the first one."""
NIC_RATES: Final = {
    "rxbytes": 900_000,
    "rxpackets": 800,
    "rxerrors": 0,
    "rxdrops": 1,
    "txbytes": 500_000,
    "txpackets": 600,
    "txerrors": 0,
    "txdrops": 0,
}
"""Counter → growth per second for a VM of pace 1, like the following ones."""
DISK_RATES: Final = {"rd_req": 40, "rd_bytes": 1_500_000, "wr_reqs": 25, "wr_bytes": 800_000}
MEMORY_RATES: Final = {"memswap_in": 4, "memswap_out": 6, "memmajor_fault": 2, "memminor_fault": 900}
CPU_RATES: Final = {"cputime": 400_000_000, "timeusr": 300_000_000, "timesys": 100_000_000}


@dataclass(frozen=True)
class LibvirtLoadSettings:
    """Size and behaviour of a simulated fleet of hypervisors."""

    hosts: int = 1000
    vms: int = 20
    """VMs per host at the start."""
    nics: int = 1
    disks: int = 1
    interval_s: float = 10.0
    """Time between two rounds."""
    churn: float = 0.001
    """Share of the VMs that have an event in each round."""
    seed: int = 0


@dataclass
class _Vm:
    number: int
    host: int
    domain_id: int
    pace: float
    """Factor for the growth of its counters."""
    started_round: int
    """Round in which its counters started."""
    nics_started_round: int
    running_reason: int = REASON_BOOTED
    uuid: str = ""
    last_event_round: int = -1


@dataclass
class LibvirtSimulation:
    """All VMs, round by round. The first `advance` makes round 0, without events."""

    settings: LibvirtLoadSettings
    round: int = -1
    event_counts: Counter[Event] = field(default_factory=Counter)
    """Events so far. A migration is one event: the VM disappears from a host and appears on another in the same round,
    with a new domain id and new counters. A reset concerns all NICs of a VM."""

    def __post_init__(self) -> None:
        self._random = Random(self.settings.seed)  # noqa: S311  no secret
        self._last_domain_ids = [self.settings.vms] * self.settings.hosts
        self._vms_by_host: list[dict[int, _Vm]] = [{} for _ in range(self.settings.hosts)]
        for number in range(self.settings.hosts * self.settings.vms):
            host, position = divmod(number, self.settings.vms)
            started = -self._random.randrange(2, MAX_AGE_ROUNDS)
            pace = 0.5 + self._random.random()
            uuid = str(uuid5(NAMESPACE_URL, f"rackstream:simulated/{self.settings.seed}/{number}"))
            self._vms_by_host[host][number] = _Vm(number, host, position + 1, pace, started, started, uuid=uuid)

    def advance(self) -> None:
        """Makes the next round."""
        self.round += 1
        if self.round == 0:
            return
        for vm in [vm for vms in self._vms_by_host for vm in vms.values()]:
            # A quiet round between two events, so that each is visible as a fallen counter or a new domain id.
            if self._random.random() < self.settings.churn and vm.last_event_round < self.round - 1:
                self._apply_event(vm, self._random.choice(EVENTS))

    def _apply_event(self, vm: _Vm, event: Event) -> None:
        if event == "migrations" and self.settings.hosts == 1:
            event = "restarts"
        self.event_counts[event] += 1
        vm.last_event_round = vm.nics_started_round = self.round
        if event == "resets":
            return
        vm.started_round, vm.running_reason = self.round, REASON_BOOTED
        if event == "migrations":
            del self._vms_by_host[vm.host][vm.number]
            vm.host = (vm.host + self._random.randrange(1, self.settings.hosts)) % self.settings.hosts
            self._vms_by_host[vm.host][vm.number] = vm
            vm.running_reason = REASON_MIGRATED
        self._last_domain_ids[vm.host] += 1
        vm.domain_id = self._last_domain_ids[vm.host]

    def domains(self, host: int, balloon_updated_at_s: int) -> list[Domain]:
        """Returns the domains of a host in this round.

        Args:
            host: Number of the host.
            balloon_updated_at_s: Last update of the guests' memory statistics, in seconds since 1970.
        """
        return [self._domain(vm, balloon_updated_at_s) for vm in self._vms_by_host[host].values()]

    def _domain(self, vm: _Vm, balloon_updated_at_s: int) -> Domain:
        age = self.round - vm.started_round + 1
        used_kib = int(MEMORY_KIB * (0.3 + 0.05 * (vm.number % 8)))
        record = {
            "vmid": str(vm.number),
            "name": f"one-{vm.number}",
            "uuid": vm.uuid,
            "domain_id": vm.domain_id,
            "state": STATE_RUNNING,
            "state_reason": vm.running_reason,
            "stale": False,
            "cpus": 2,
            "memory_max_kb": MEMORY_KIB,
            "memory_used_kb": MEMORY_KIB,
            "memactual": MEMORY_KIB,
            "memrss": used_kib + 60_000,
            "memavailable": MEMORY_KIB - 90_000,
            "memusable": MEMORY_KIB - 90_000 - used_kib,
            "memdisk_cache": used_kib // 4,
            "memlast_update": balloon_updated_at_s,
            **self._counters(MEMORY_RATES | CPU_RATES, vm, age),
            "nics": [self._nic(vm, number) for number in range(self.settings.nics)],
            "disks": [self._disk(vm, number, age) for number in range(self.settings.disks)],
        }
        return cast("Domain", record)

    def _nic(self, vm: _Vm, number: int) -> DomainNic:
        counters = self._counters(NIC_RATES, vm, self.round - vm.nics_started_round + 1)
        return cast("DomainNic", {"device": f"one-{vm.number}-{number}", **counters})

    def _disk(self, vm: _Vm, number: int, age: int) -> DomainDisk:
        counters = self._counters(DISK_RATES, vm, age)
        return cast("DomainDisk", {"device": f"vd{chr(ord('a') + number)}", **counters, "errors": None})

    def _counters(self, rates: Mapping[str, int], vm: _Vm, age: int) -> dict[str, int]:
        """Returns counters of a VM that have grown for `age` rounds."""
        seconds = vm.pace * self.settings.interval_s
        return {name: int(per_second * seconds) * age for name, per_second in rates.items()}
