"""The VM step: derives totals (per VM and host), rates and angles from raw libvirt records. Pure.

Rates are computed against the domain's previous sample, its baseline:

- A baseline belongs to (host, UUID, domain id): a VM that restarted or migrated, or another one with a re-used UUID,
  starts over. A device's belongs to its name within that; one that was missing from a sample starts over.
- Elapsed time is the producer's monotonic clock, so a stepping wall clock changes nothing; a new epoch starts over.
- A counter that went backwards gives no rate and is the next baseline. A gap longer than `MEMORY` starts over.
- A stale domain neither gives rates nor becomes a baseline: the next fresh sample is compared over the whole gap.
- The guest's own memory counters move when the guest reports: they are compared over the guest's clock, and only if
  its report is new.
- If a record lists a domain twice, only the first gives rates.
- Duplicates and late records never get here (`engine.partition`), so a record's outputs are emitted once.
- A first sample has totals and no rates; a rate carries the interval it is over.
"""

from __future__ import annotations

from datetime import timedelta
from operator import itemgetter
from typing import Final, NamedTuple, cast

from processors.engine.step import Output, Step, StepResult, derived_header
from processors.rates import CounterValue, angle, change, rates, unknown_rates
from processors.totals import DISK_COUNTERS, NIC_COUNTERS, host_total, vm_total
from schemas.records import DeviceRate, DeviceRates, Domain, LibvirtSample, VmFeature, VmFeatures, VmTotal, VmTotals

MEMORY: Final = timedelta(minutes=5)
TOTAL_COUNTERS: Final = (
    *(f"net_{name}" for name in NIC_COUNTERS),
    *(f"disk_{name}" for name in DISK_COUNTERS),
    "timeusr",
    "timesys",
    "cputime",
)
GUEST_COUNTERS: Final = ("memswap_in", "memswap_out", "memmajor_fault", "memminor_fault")
NO_NIC_RATES: Final = unknown_rates(NIC_COUNTERS)
NO_DISK_RATES: Final = unknown_rates(DISK_COUNTERS)
NO_GUEST_RATES: Final = unknown_rates(GUEST_COUNTERS)
nic_counters, disk_counters = itemgetter(*NIC_COUNTERS), itemgetter(*DISK_COUNTERS)
total_counters, guest_counters = itemgetter(*TOTAL_COUNTERS), itemgetter(*GUEST_COUNTERS)


class DomainBaseline(NamedTuple):
    """The sample of a domain that the next one is compared with."""

    monotonic_s: float
    memory_used_kb: int | None
    totals: tuple[int | None, ...]
    """Of `TOTAL_COUNTERS`."""
    devices: dict[tuple[str, str], tuple[int | None, ...]]
    """(kind, name) → counters."""
    guest_reported_at: int | None
    """Time of the guest's last report, in seconds since 1970."""
    guest: tuple[int | None, ...]
    """Of `GUEST_COUNTERS`."""


class DomainBaselines(NamedTuple):
    """The state of one host: the baselines of its domains."""

    epoch: str
    domains: dict[tuple[str, int | None], DomainBaseline]
    """(UUID, domain id) → baseline."""


def step(state: DomainBaselines | None, record: LibvirtSample) -> StepResult[DomainBaselines]:
    """Emits the totals of every domain, and the rates of those with a baseline."""
    before = state.domains if state is not None and state.epoch == record["epoch"] else {}
    now_s = record["monotonic_s"]
    oldest_s = now_s - MEMORY.total_seconds()
    # A domain missing from one poll may be back in the next: its baseline stays until it is too old.
    baselines = {key: baseline for key, baseline in before.items() if baseline.monotonic_s >= oldest_s}
    totals: list[VmTotal] = []
    features: list[VmFeature] = []
    devices: list[DeviceRate] = []
    for domain in record["domains"]:
        total = vm_total(domain)
        totals.append(total)
        if domain["stale"]:
            continue
        key = (domain["uuid"], domain["domain_id"])
        baseline = baselines.get(key)
        baselines[key] = sample = _sample(domain, total, now_s, baseline)
        if baseline is not None and now_s > baseline.monotonic_s:
            features.append(_features(total, baseline, sample))
            devices += _device_rates(total, baseline, sample)
    header = derived_header(record)
    outputs: list[Output] = [("vm-totals", cast("VmTotals", {**header, "vms": totals, **host_total(totals)}))]
    if features:
        vm_features: VmFeatures = {**header, "vms": features}
        outputs.append(("vm-features", vm_features))
    if devices:
        device_rates: DeviceRates = {**header, "devices": devices}
        outputs.append(("device-rates", device_rates))
    return DomainBaselines(record["epoch"], baselines), outputs


def _sample(domain: Domain, total: VmTotal, now_s: float, baseline: DomainBaseline | None) -> DomainBaseline:
    reported_at = domain["memlast_update"]
    guest = guest_counters(domain)
    if baseline is not None and reported_at is not None and reported_at == baseline.guest_reported_at:
        guest = baseline.guest
    return DomainBaseline(
        monotonic_s=now_s,
        memory_used_kb=domain["memory_used_kb"],
        totals=total_counters(total),
        devices={("nic", nic["device"]): nic_counters(nic) for nic in domain["nics"]}
        | {("disk", disk["device"]): disk_counters(disk) for disk in domain["disks"]},
        guest_reported_at=reported_at,
        guest=guest,
    )


def _features(total: VmTotal, before: DomainBaseline, now: DomainBaseline) -> VmFeature:
    elapsed_s = now.monotonic_s - before.monotonic_s
    memory_rate = change(before.memory_used_kb, now.memory_used_kb, elapsed_s)
    if now.guest_reported_at is None:
        guest_elapsed_s = elapsed_s
    elif before.guest_reported_at is None:
        guest_elapsed_s = 0
    else:
        guest_elapsed_s = now.guest_reported_at - before.guest_reported_at
    has_report = guest_elapsed_s > 0
    fields = {
        "vmid": total["vmid"],
        "name": total["name"],
        "uuid": total["uuid"],
        "interval_s": elapsed_s,
        "memory_rate_kb_per_sec": memory_rate,
        "memory_angle_deg": angle(memory_rate),
        **rates(TOTAL_COUNTERS, before.totals, now.totals, elapsed_s),
        **(rates(GUEST_COUNTERS, before.guest, now.guest, guest_elapsed_s) if has_report else NO_GUEST_RATES),
    }
    return cast("VmFeature", fields)


def _device_rates(total: VmTotal, before: DomainBaseline, now: DomainBaseline) -> list[DeviceRate]:
    elapsed_s = now.monotonic_s - before.monotonic_s
    entries = []
    for key, counters in now.devices.items():
        if key not in before.devices:
            continue
        kind, name = key
        previous: tuple[CounterValue, ...] = before.devices[key]
        fields = {
            "vmid": total["vmid"],
            "name": total["name"],
            "uuid": total["uuid"],
            "devtype": kind,
            "device": name,
            "interval_s": elapsed_s,
            **(rates(NIC_COUNTERS, previous, counters, elapsed_s) if kind == "nic" else NO_NIC_RATES),
            **(rates(DISK_COUNTERS, previous, counters, elapsed_s) if kind == "disk" else NO_DISK_RATES),
        }
        entries.append(cast("DeviceRate", fields))
    return entries


STEP: Final = Step(
    name="vms",
    input="raw-libvirt",
    outputs=("vm-totals", "vm-features", "device-rates"),
    memory=MEMORY,
    run=step,
)
