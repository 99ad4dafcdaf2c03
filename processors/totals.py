"""A VM's totals over its NICs and disks (seed 003's `vm_totals`), and a host's over its VMs. Pure.

Sums per label (rack, site, project) are queries over the label columns.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

NIC: Final = ("rxbytes", "rxpackets", "rxerrors", "rxdrops", "txbytes", "txpackets", "txerrors", "txdrops")
DISK: Final = ("rd_req", "rd_bytes", "wr_reqs", "wr_bytes", "errors")
COPIED: Final = (
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
    "state",
)
NICS: Final = tuple((f"net_{name}", name) for name in NIC)
DISKS: Final = tuple((f"disk_{name}", name) for name in DISK)
LARGEST: Final = 2**63 - 1


def total(parts: Iterable[int | None]) -> tuple[int | None, bool]:
    """The sum of the known parts, and whether any was unknown. None if none is known, or if the sum is beyond 63 bits.

    No parts at all (a VM without disks) add up to 0.
    """
    values = list(parts)
    known = values if None not in values else [value for value in values if value is not None]
    if values and not known:
        return None, False
    summed: int = sum(known)  # type: ignore[arg-type]  # None is not among them
    return (summed, len(known) < len(values)) if abs(summed) <= LARGEST else (None, False)


def vm_total(domain: Mapping[str, Any]) -> dict[str, Any]:
    """One domain's entry of a VmTotals record."""
    entry: dict[str, Any] = {"vmid": domain["vmid"], "name": domain["name"], "uuid": domain["uuid"]}
    partial = False
    for devices, fields in ((domain["nics"], NICS), (domain["disks"], DISKS)):
        if len(devices) == 1:
            for name, field in fields:
                entry[name] = devices[0][field]
            continue
        for name, field in fields:
            entry[name], lacks = total([device[field] for device in devices])
            partial = partial or lacks
    for field in COPIED:
        entry[field] = domain[field]
    entry["partial"] = partial
    return entry


SUMMED: Final = tuple(f"net_{name}" for name in NIC) + tuple(f"disk_{name}" for name in DISK) + COPIED[:-1]
"""What is summed over a host's VMs: all but the state."""


def host_total(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The sums over a host's VMs, from their entries. `partial`: of some VM something was unknown."""
    found: dict[str, Any] = {"vm_count": len(entries)}
    partial = any(entry["partial"] for entry in entries)
    for field in SUMMED:
        found[field], lacks = total([entry[field] for entry in entries])
        partial = partial or lacks
    return found | {"partial": partial}
