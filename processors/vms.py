"""The VM step: one raw libvirt record in, totals (per VM and host), rates and angles of VMs and devices out. Pure.

What counts as the sample before, so that rates survive reality:

- A baseline belongs to (host, UUID, domain id): a VM restarted, migrated here or back, or another with a re-used UUID
  begins anew. A device belongs to its name within that: one plugged in, or back in after a poll without it, begins
  anew.
- Elapsed time is the producer's monotonic clock, so a clock that steps changes nothing; a new epoch begins anew.
- A counter that went backwards gives no rate and is the next baseline. A gap longer than `MEMORY` begins anew.
- A stale domain neither gives a rate nor becomes a baseline: the next fresh sample is compared over the whole gap.
- The guest's own memory counters move when the guest reports: they are compared over the guest's clock, and only when
  its report is a new one.
- Of a domain listed twice in one record only the first has rates.
- Duplicates and records late or out of order never get here (`drive`): what a record led to it leads to once.
- A first sample has totals and no rates; a rate carries the interval it is over.
"""

from __future__ import annotations

from datetime import timedelta
from operator import itemgetter
from typing import Any, Final, NamedTuple

from processors.engine.step import Output, Record, Step, derived_header
from processors.rates import angle, change, rates
from processors.totals import DISK, NIC, host_total, vm_total

MEMORY: Final = timedelta(minutes=5)
HOST_COUNTERS: Final = (
    tuple(f"net_{name}" for name in NIC)
    + tuple(f"disk_{name}" for name in DISK)
    + (
        "timeusr",
        "timesys",
        "cputime",
    )
)
GUEST_COUNTERS: Final = ("memswap_in", "memswap_out", "memmajor_fault", "memminor_fault")
NO_NIC: Final = dict.fromkeys(f"{name}_{what}" for name in NIC for what in ("rate", "angle"))
NO_DISK: Final = dict.fromkeys(f"{name}_{what}" for name in DISK for what in ("rate", "angle"))
NO_GUEST: Final = dict.fromkeys(f"{name}_{what}" for name in GUEST_COUNTERS for what in ("rate", "angle"))
NIC_OF, DISK_OF = itemgetter(*NIC), itemgetter(*DISK)
HOST_OF, GUEST_OF = itemgetter(*HOST_COUNTERS), itemgetter(*GUEST_COUNTERS)


class Baseline(NamedTuple):
    """The sample of a domain that the next one is compared with."""

    monotonic_s: float
    memory_used_kb: int | None
    counters: tuple[int | None, ...]
    devices: dict[tuple[str, str], tuple[int | None, ...]]
    guest_at: int | None
    guest: tuple[int | None, ...]


class State(NamedTuple):
    """Baselines of one host's domains."""

    epoch: str
    domains: dict[tuple[str, int | None], Baseline]


def step(state: State | None, record: Record) -> tuple[State, list[Output]]:
    """Totals of every domain; rates of those that have a sample before."""
    before = state.domains if state is not None and state.epoch == record["epoch"] else {}
    now_s = record["monotonic_s"]
    oldest_s = now_s - MEMORY.total_seconds()
    # A domain absent from one poll may come back with the next: its baseline stays until it is too old.
    after = {key: baseline for key, baseline in before.items() if baseline.monotonic_s >= oldest_s}
    totals, features, devices = [], [], []
    for domain in record["domains"]:
        entry = vm_total(domain)
        totals.append(entry)
        if domain["stale"]:
            continue
        key = (domain["uuid"], domain["domain_id"])
        base = after.get(key)
        after[key] = now = _baseline(domain, entry, now_s, base)
        if base is not None and now_s > base.monotonic_s:
            who = {name: entry[name] for name in ("vmid", "name", "uuid")}
            interval = {"interval_s": now_s - base.monotonic_s}
            features.append(who | interval | _features(base, now, domain))
            devices += [who | device | interval | fields for device, fields in _devices(base, now)]
    header = derived_header(record)
    outputs: list[Output] = [("vm-totals", header | {"vms": totals} | host_total(totals))]
    if features:
        outputs.append(("vm-features", header | {"vms": features}))
    if devices:
        outputs.append(("device-rates", header | {"devices": devices}))
    return State(record["epoch"], after), outputs


def _baseline(domain: Record, entry: Record, now_s: float, base: Baseline | None) -> Baseline:
    told_at = domain["memlast_update"]
    guest = GUEST_OF(domain)
    if base is not None and told_at is not None and told_at == base.guest_at:
        guest = base.guest
    return Baseline(
        monotonic_s=now_s,
        memory_used_kb=domain["memory_used_kb"],
        counters=HOST_OF(entry),
        devices={("nic", nic["device"]): NIC_OF(nic) for nic in domain["nics"]}
        | {("disk", disk["device"]): DISK_OF(disk) for disk in domain["disks"]},
        guest_at=told_at,
        guest=guest,
    )


def _features(base: Baseline, now: Baseline, domain: Record) -> Record:
    elapsed_s = now.monotonic_s - base.monotonic_s
    memory = change(base.memory_used_kb, now.memory_used_kb, elapsed_s)
    fields: dict[str, Any] = {"memory_rate_kb_per_sec": memory, "memory_angle_deg": angle(memory)}
    fields |= rates(HOST_COUNTERS, base.counters, now.counters, elapsed_s)
    if base.guest_at is None or now.guest_at is None:
        told_s = elapsed_s if domain["memlast_update"] is None else 0.0
    else:
        told_s = now.guest_at - base.guest_at
    return fields | (rates(GUEST_COUNTERS, base.guest, now.guest, told_s) if told_s > 0 else NO_GUEST)


def _devices(base: Baseline, now: Baseline) -> list[tuple[Record, Record]]:
    elapsed_s = now.monotonic_s - base.monotonic_s
    found = []
    for key, counters in now.devices.items():
        if key in base.devices:
            kind, name = key
            nic = rates(NIC, base.devices[key], counters, elapsed_s) if kind == "nic" else NO_NIC
            disk = rates(DISK, base.devices[key], counters, elapsed_s) if kind == "disk" else NO_DISK
            found.append(({"devtype": kind, "device": name}, nic | disk))
    return found


STEP: Final = Step(
    name="vms",
    input="raw-libvirt",
    outputs=("vm-totals", "vm-features", "device-rates"),
    memory=MEMORY,
    run=step,
)
