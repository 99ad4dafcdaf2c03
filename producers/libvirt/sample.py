"""libvirt's answers → `Domain` records. Pure and total: no libvirt, no I/O, nothing raises, nothing is negative.

Keys are those of virConnectGetAllDomainStats; what per-device calls return is brought into the same keys first.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

if TYPE_CHECKING:
    from producers.reader import Problems
    from schemas.records import Domain, DomainDisk, DomainNic

Stats = Mapping[str, Any]
"""One domain's bulk figures. A key that is missing was not given; a key with None was asked for, failed and counted."""

LONG_MAX: Final = 2**63 - 1
NO_STATE: Final = 0
"""virDomainState VIR_DOMAIN_NOSTATE."""
SHUT_OFF: Final = 5
"""virDomainState VIR_DOMAIN_SHUTOFF."""
DEVICES_MAX: Final = 1024
"""A count from outside bounds a loop: no hypervisor takes as many NICs or disks."""

CPU: Final = (("cputime", "cpu.time"), ("timeusr", "cpu.user"), ("timesys", "cpu.system"))  # ns
FIGURES: Final = (
    ("cpus", "vcpu.current"),
    ("memory_max_kb", "balloon.maximum"),  # KiB, as all of balloon.* but the faults and last-update
    ("memory_used_kb", "balloon.current"),
    *CPU,
    ("memactual", "balloon.current"),
    ("memrss", "balloon.rss"),
    ("memavailable", "balloon.available"),
    ("memusable", "balloon.usable"),
    ("memswap_in", "balloon.swap_in"),
    ("memswap_out", "balloon.swap_out"),
    ("memmajor_fault", "balloon.major_fault"),
    ("memminor_fault", "balloon.minor_fault"),
    ("memdisk_cache", "balloon.disk_caches"),
)
NIC: Final = (
    ("rxbytes", "rx.bytes"),
    ("rxpackets", "rx.pkts"),
    ("rxerrors", "rx.errs"),
    ("rxdrops", "rx.drop"),
    ("txbytes", "tx.bytes"),
    ("txpackets", "tx.pkts"),
    ("txerrors", "tx.errs"),
    ("txdrops", "tx.drop"),
)
"""In the order of virDomainInterfaceStats."""
DISK: Final = (
    ("rd_req", "rd.reqs"),
    ("rd_bytes", "rd.bytes"),
    ("wr_reqs", "wr.reqs"),
    ("wr_bytes", "wr.bytes"),
    ("errors", "errors"),  # bulk has it on Xen only; the per-device call says -1 on QEMU
)
"""In the order of virDomainBlockStats."""
MEMORY: Final = (
    ("rss", "rss"),
    ("available", "available"),
    ("usable", "usable"),
    ("swap_in", "swap_in"),
    ("swap_out", "swap_out"),
    ("major_fault", "major_fault"),
    ("minor_fault", "minor_fault"),
    ("disk_caches", "disk_caches"),
    ("last_update", "last-update"),
)
"""virDomainMemoryStats → balloon.*"""
OPENNEBULA: Final = re.compile(r"one-([0-9]+)")
_MISSING: Final = object()


class Who(NamedTuple):
    """Which domain, as its libvirt handle knows it without asking."""

    name: str
    uuid: str
    domain_id: int | None


class Devices(NamedTuple):
    """What a domain has by its XML, in the order of its definition, which is the order of net.N and block.N."""

    nics: tuple[str, ...] = ()
    """Target devices; MAC where there is none."""
    disks: tuple[tuple[str, str], ...] = ()
    """(target, device type): disk, lun, cdrom or floppy."""


@dataclass(frozen=True)
class Calls:
    """What the per-device calls returned; None: that call failed, and was counted."""

    info: Sequence[int] | None
    """virDomainGetInfo: state, maximum memory KiB, memory KiB, CPUs, CPU time ns."""
    state: Sequence[int] | None
    """virDomainGetState: state, reason."""
    memory: Mapping[str, int] | None
    """virDomainMemoryStats, KiB."""
    cpu: Mapping[str, int] | None
    """virDomainGetCPUStats over all CPUs, ns."""
    nics: Mapping[str, Sequence[int] | None] = field(default_factory=dict)
    """Device → virDomainInterfaceStats."""
    disks: Mapping[str, Sequence[int] | None] = field(default_factory=dict)
    """Device → virDomainBlockStats."""


def from_bulk(who: Who, stats: Stats, devices: Devices | None, problems: Problems) -> Domain:
    """The record of one domain. `devices` None: its XML was never read, so any block device passes for a disk."""
    state = _number(stats, "state.state", "state", problems)
    if state == SHUT_OFF:
        # libvirt then gives libvirtd's own CPU time (virDomainGetCPUStats reads the wrong cgroup).
        stats = {key: value for key, value in stats.items() if not key.startswith("cpu.")}
    known = devices or Devices()
    types = dict(known.disks)
    domain: dict[str, Any] = {
        "vmid": vmid(who),
        "name": who.name,
        "uuid": who.uuid,
        "domain_id": who.domain_id,
        "state": NO_STATE if state is None else state,
        "state_reason": _number(stats, "state.reason", "state_reason", problems),
        "stale": False,
        **{name: _number(stats, key, name, problems) for name, key in FIGURES},
        "memlast_update": _last_update(stats, problems),
    }
    domain["nics"] = [
        cast("DomainNic", {"device": device} | _counters(stats, f"net.{index}.", NIC, "nics.", problems))
        for index, device in _named(stats, "net", known.nics, problems)
    ]
    domain["disks"] = [
        cast("DomainDisk", {"device": device} | _counters(stats, f"block.{index}.", DISK, "disks.", problems))
        for index, device in _named(stats, "block", tuple(types), problems)
        if types.get(device, "disk") == "disk"
    ]
    return cast("Domain", domain)


def from_calls(who: Who, calls: Calls, devices: Devices, problems: Problems) -> Domain:
    """The record of one domain of a driver without bulk figures."""
    info, memory, cpu = calls.info, calls.memory, calls.cpu
    stats: dict[str, Any] = dict.fromkeys(("state.state", "balloon.maximum", "balloon.current", "vcpu.current"))
    stats |= dict.fromkeys(("state.reason", "cpu.time", "cpu.user", "cpu.system"))
    if info is not None:
        # Its CPU time, not getCPUStats': two clocks under one name would look like a counter reset.
        keys = ("state.state", "balloon.maximum", "balloon.current", "vcpu.current", "cpu.time")
        stats |= zip(keys, info, strict=False)
    if calls.state is not None:
        stats |= zip(("state.state", "state.reason"), calls.state, strict=False)
    if cpu is not None:
        stats |= {"cpu.user": cpu.get("user_time", -1), "cpu.system": cpu.get("system_time", -1)}
    if memory is None:
        stats |= dict.fromkeys(f"balloon.{key}" for _, key in MEMORY)
    else:
        stats |= {f"balloon.{key}": memory[name] for name, key in MEMORY if name in memory}
    stats |= _flat("net", NIC, devices.nics, calls.nics)
    stats |= _flat("block", DISK, tuple(name for name, _ in devices.disks), calls.disks)
    return from_bulk(who, stats, devices, problems)


def shape(stats: Stats) -> tuple[Any, ...]:
    """What changes when a device comes or goes: then the XML must be read again."""
    names = (value for key, value in stats.items() if key.endswith(".name") and isinstance(value, str))
    return (stats.get("net.count"), stats.get("block.count"), *sorted(names))


def has_figures(stats: Stats) -> bool:
    """Whether a bulk answer holds more than the state, which is all that the test driver gives."""
    return any(not key.startswith("state.") for key in stats)


def vmid(who: Who) -> str:
    """OpenNebula's number for domains named one-<n>, else libvirt's domain id, else (it has none) the UUID."""
    number = OPENNEBULA.fullmatch(who.name)
    if number:
        return number[1]
    return who.uuid if who.domain_id is None else str(who.domain_id)


def _number(stats: Stats, key: str, name: str, problems: Problems) -> int | None:
    value = stats.get(key, _MISSING)
    if type(value) is int and 0 <= value <= LONG_MAX:  # bool is an int, and no count
        return value
    if value is not None:
        problems.add(name, _cause(value))
    return None


def _cause(value: object) -> str:
    if value is _MISSING:
        return "missing"
    if type(value) is not int:
        return "not a whole number"
    return "above 2**63-1" if value > LONG_MAX else "unknown to libvirt (-1)" if value == -1 else "negative"


def _last_update(stats: Stats, problems: Problems) -> int | None:
    seconds = _number(stats, "balloon.last-update", "memlast_update", problems)
    if seconds == 0:
        problems.add("memlast_update", "the guest's balloon driver never answered")
        return None
    return seconds


def _counters(
    stats: Stats, prefix: str, table: tuple[tuple[str, str], ...], group: str, problems: Problems
) -> dict[str, int | None]:
    return {name: _number(stats, prefix + key, group + name, problems) for name, key in table}


def _named(stats: Stats, group: str, known: Sequence[str], problems: Problems) -> Iterator[tuple[int, str]]:
    """(N, device) of net.N or block.N, each device once. A hole takes its name from the XML, or is left out."""
    field_name = {"net": "nics", "block": "disks"}[group]
    count = _number(stats, f"{group}.count", field_name, problems)
    seen = set()
    for index in range(min(len(known) if count is None else count, DEVICES_MAX)):
        name = stats.get(f"{group}.{index}.name")
        if not (isinstance(name, str) and name):
            name = known[index] if index < len(known) else None
        if name is None or name in seen:
            problems.add(field_name, "device without a name of its own")
            continue
        seen.add(name)
        yield index, name


def _flat(
    group: str,
    table: tuple[tuple[str, str], ...],
    names: tuple[str, ...],
    answers: Mapping[str, Sequence[int] | None],
) -> dict[str, Any]:
    """Per-device answers under bulk keys. No answer: keys with None."""
    flat: dict[str, Any] = {f"{group}.count": len(names)}
    for index, name in enumerate(names):
        flat[f"{group}.{index}.name"] = name
        answer = answers.get(name)
        values = [None] * len(table) if answer is None else answer
        flat |= {f"{group}.{index}.{key}": value for (_, key), value in zip(table, values, strict=False)}
    return flat
