"""libvirt's answers → `Domain` records. Pure and total: no libvirt, no I/O, nothing raises, nothing is negative.

Keys are those of virConnectGetAllDomainStats; `calls` brings what per-device calls return into the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast

from producers.libvirt.device_cache import DOMAIN_WORDS, NIC_WORDS, Devices, Disk

if TYPE_CHECKING:
    from producers.reader import Problems
    from schemas.records import Domain

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
OPENNEBULA: Final = re.compile(r"one-([0-9]+)")
ANY_DISK: Final = Disk()
_MISSING: Final = object()


class Who(NamedTuple):
    """Which domain, as its libvirt handle knows it without asking."""

    name: str
    uuid: str
    domain_id: int | None


Plan = tuple[tuple[str, str, str], ...]
"""Field of the record, key of the figure, field of the problem it may be."""
DOMAIN: Final[Plan] = tuple((name, key, name) for name, key in FIGURES)


@cache
def plan(group: str, index: int) -> Plan:
    """What is read of net.N or block.N; there are as many as a domain has devices."""
    table, field = {"net": (NIC, "nics"), "block": (DISK, "disks")}[group]
    return tuple((name, f"{group}.{index}.{key}", f"{field}.{name}") for name, key in table)


def from_bulk(who: Who, stats: Stats, devices: Devices | None, problems: Problems) -> Domain:
    """The record of one domain. `devices` None: its XML was never read, so any block device passes for a disk."""
    state = _number(stats, "state.state", "state", problems)
    if state == SHUT_OFF:
        # libvirt then gives libvirtd's own CPU time (virDomainGetCPUStats reads the wrong cgroup).
        stats = {key: value for key, value in stats.items() if not key.startswith("cpu.")}
    known = devices or Devices()
    domain: dict[str, Any] = {
        "vmid": vmid(who),
        "name": who.name,
        "uuid": who.uuid,
        "domain_id": who.domain_id,
        "state": NO_STATE if state is None else state,
        "state_reason": _number(stats, "state.reason", "state_reason", problems),
        "stale": False,
        **_numbers(stats, DOMAIN, problems),
        "memlast_update": _last_update(stats, problems),
    }
    domain["nics"] = [
        {
            "device": device,
            **known.nics.get(device, NIC_WORDS),
            **_numbers(stats, plan("net", index), problems),
        }
        for index, device in _named(stats, "net", tuple(known.nics), problems)
    ]
    domain["disks"] = [
        {"device": device, **disk.words, **_numbers(stats, plan("block", index), problems)}
        for index, device in _named(stats, "block", tuple(known.disks), problems)
        if (disk := known.disks.get(device, ANY_DISK)).kind == "disk"
    ]
    return cast("Domain", {**domain, **known.words})


def unanswered(who: Who, last: Domain | None) -> Domain:
    """The record of a domain that does not answer: its last known values, marked; else nothing but its names."""
    if last is not None:
        return cast("Domain", {**last, "stale": True})
    domain: dict[str, Any] = {"vmid": vmid(who), **who._asdict(), "state": NO_STATE, "state_reason": None}
    domain |= {"stale": True, **dict.fromkeys(name for name, _ in FIGURES), "memlast_update": None}
    return cast("Domain", {**domain, "nics": [], "disks": [], **DOMAIN_WORDS})


def shape(stats: Stats) -> tuple[Any, ...]:
    """What changes when a device comes or goes: then the XML must be read again."""
    names = (value for key, value in stats.items() if key.endswith(".name") and isinstance(value, str))
    return (stats.get("net.count"), stats.get("block.count"), *sorted(names))


def has_figures(stats: Stats) -> bool:
    """Whether a bulk answer holds more than the state, which is all that the test driver gives."""
    return any(not key.startswith("state.") for key in stats)


def is_busy(stats: Stats) -> bool:
    """Whether libvirt could not ask the hypervisor: NOWAIT then gives only what libvirt knows itself."""
    return (
        stats.get("state.state") != SHUT_OFF
        and "balloon.rss" not in stats
        and not any(key.endswith(".rd.reqs") for key in stats)
    )


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


def _numbers(stats: Stats, wanted: Plan, problems: Problems) -> dict[str, int | None]:
    found: dict[str, int | None] = {}
    for name, key, field in wanted:
        value = stats.get(key)
        # As `_number`, whose call would cost more than the rest of this loop.
        known = type(value) is int and 0 <= value <= LONG_MAX
        found[name] = value if known else _number(stats, key, field, problems)
    return found


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
