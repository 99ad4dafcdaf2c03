"""Totals of a VM over its NICs and disks (as the scripting API's `vm_totals`), and of a host over its VMs. Pure.

Totals per label (rack, site, project) are queries over the label columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, cast

from schemas.records import Domain, VmTotal

NIC_COUNTERS: Final = ("rxbytes", "rxpackets", "rxerrors", "rxdrops", "txbytes", "txpackets", "txerrors", "txdrops")
DISK_COUNTERS: Final = ("rd_req", "rd_bytes", "wr_reqs", "wr_bytes", "errors")
DOMAIN_COUNTERS: Final = (
    "memactual",
    "memrss",
    "memavailable",
    "memusable",
    "memswap_in",
    "memswap_out",
    "memmajor_fault",
    "memminor_fault",
    "memdisk_cache",
    "timeusr",
    "timesys",
    "cpus",
    "cputime",
)
"""Fields that a VM's total takes over from its domain and a host's total adds up."""
NIC_FIELDS: Final = tuple((f"net_{name}", name) for name in NIC_COUNTERS)
DISK_FIELDS: Final = tuple((f"disk_{name}", name) for name in DISK_COUNTERS)
"""(field of the total, counter of the device)."""
HOST_FIELDS: Final = (*(total for total, _ in (*NIC_FIELDS, *DISK_FIELDS)), *DOMAIN_COUNTERS)
MAX_LONG: Final = 2**63 - 1
Counts = Mapping[str, int | None]


def sum_known(parts: Iterable[int | None]) -> tuple[int | None, bool]:
    """Returns the sum of the known parts, and whether any part was unknown.

    The sum is None if no part is known or it exceeds 63 bits; no parts at all (a VM without disks) add up to 0.
    """
    values = list(parts)
    known_values = cast("list[int]", values) if None not in values else [value for value in values if value is not None]
    if values and not known_values:
        return None, False
    total = sum(known_values)
    return (total, len(known_values) < len(values)) if abs(total) <= MAX_LONG else (None, False)


def vm_total(domain: Domain) -> VmTotal:
    """Returns a domain's entry of a VmTotals record."""
    total: dict[str, object] = {"vmid": domain["vmid"], "name": domain["name"], "uuid": domain["uuid"]}
    is_partial = False
    for devices, fields in ((domain["nics"], NIC_FIELDS), (domain["disks"], DISK_FIELDS)):
        counts = cast("list[Counts]", devices)
        if len(counts) == 1:
            for name, counter in fields:
                total[name] = counts[0][counter]
            continue
        for name, counter in fields:
            total[name], has_unknown = sum_known([device[counter] for device in counts])
            is_partial = is_partial or has_unknown
    domain_counts = cast("Counts", domain)
    for counter in DOMAIN_COUNTERS:
        total[counter] = domain_counts[counter]
    total["state"] = domain["state"]
    total["partial"] = is_partial
    return cast("VmTotal", total)


def host_total(totals: Sequence[VmTotal]) -> dict[str, int | None]:
    """Returns the sums over a host's VMs. `partial`: true if any part of any VM was unknown."""
    sums: dict[str, int | None] = {"vm_count": len(totals)}
    is_partial = any(total["partial"] for total in totals)
    counts = cast("Sequence[Counts]", totals)
    for field in HOST_FIELDS:
        sums[field], has_unknown = sum_known([vm[field] for vm in counts])
        is_partial = is_partial or has_unknown
    return sums | {"partial": is_partial}
