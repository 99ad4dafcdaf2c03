"""Converts libvirt's statistics into `Domain` records.

Pure and total: no I/O, nothing raises, no value is negative.

Keys are those of virConnectGetAllDomainStats; `device_stats` converts per-device calls to them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from producers.libvirt.device_cache import NO_DOMAIN_METADATA, NO_NIC_METADATA, DiskDevice, DomainDevices, Signature

if TYPE_CHECKING:
    from producers.reader import Problems
    from schemas.records import Domain

Stat = int | str | None
Stats = Mapping[str, Stat]
"""One domain's bulk statistics. A missing key was not reported; None was requested, failed and has been counted."""

LONG_MAX: Final = 2**63 - 1
NO_STATE: Final = 0
"""virDomainState VIR_DOMAIN_NOSTATE."""
SHUT_OFF: Final = 5
"""virDomainState VIR_DOMAIN_SHUTOFF."""
MAX_DEVICES: Final = 1024
"""Bounds loops over a count reported by libvirt; no hypervisor supports that many NICs or disks."""

CPU_STATS: Final = (("cputime", "cpu.time"), ("timeusr", "cpu.user"), ("timesys", "cpu.system"))  # ns
DOMAIN_STATS: Final = (
    ("cpus", "vcpu.current"),
    ("memory_max_kb", "balloon.maximum"),  # KiB, like all of balloon.* except the faults and last-update
    ("memory_used_kb", "balloon.current"),
    *CPU_STATS,
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
NIC_STATS: Final = (
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
DISK_STATS: Final = (
    ("rd_req", "rd.reqs"),
    ("rd_bytes", "rd.bytes"),
    ("wr_reqs", "wr.reqs"),
    ("wr_bytes", "wr.bytes"),
    ("errors", "errors"),  # in bulk on Xen only; the per-device call returns -1 on QEMU
)
"""In the order of virDomainBlockStats."""
OPENNEBULA_NAME: Final = re.compile(r"one-([0-9]+)")
UNKNOWN_DISK: Final = DiskDevice()
_MISSING: Final = object()


class DomainIdentity(NamedTuple):
    """Identifies a domain, as its libvirt handle does without a round trip."""

    name: str
    uuid: str
    domain_id: int | None


FieldMap = tuple[tuple[str, str, str], ...]
"""Field of the record, key of the statistic, field named in a problem."""
DOMAIN_FIELDS: Final[FieldMap] = tuple((name, key, name) for name, key in DOMAIN_STATS)


@cache
def device_fields(group: str, index: int) -> FieldMap:
    """Returns the fields read from net.N or block.N."""
    table, field = {"net": (NIC_STATS, "nics"), "block": (DISK_STATS, "disks")}[group]
    return tuple((name, f"{group}.{index}.{key}", f"{field}.{name}") for name, key in table)


def domain_from_stats(
    identity: DomainIdentity, stats: Stats, devices: DomainDevices | None, problems: Problems
) -> Domain:
    """Builds the record of one domain.

    Args:
        identity: The domain.
        stats: Its bulk statistics.
        devices: Its devices; None if its XML was never read, so that every block device counts as a disk.
        problems: Collects the values that are missing or unusable.
    """
    state = _number(stats, "state.state", "state", problems)
    if state == SHUT_OFF:
        # libvirt then reports libvirtd's own CPU time (virDomainGetCPUStats reads the wrong cgroup).
        stats = {key: value for key, value in stats.items() if not key.startswith("cpu.")}
    devices = devices or DomainDevices()
    domain: dict[str, object] = {
        "vmid": vmid(identity),
        "name": identity.name,
        "uuid": identity.uuid,
        "domain_id": identity.domain_id,
        "state": NO_STATE if state is None else state,
        "state_reason": _number(stats, "state.reason", "state_reason", problems),
        "stale": False,
        **_numbers(stats, DOMAIN_FIELDS, problems),
        "memlast_update": _last_update(stats, problems),
    }
    domain["nics"] = [
        {
            "device": device,
            **devices.nics.get(device, NO_NIC_METADATA),
            **_numbers(stats, device_fields("net", index), problems),
        }
        for index, device in _device_names(stats, "net", tuple(devices.nics), problems)
    ]
    domain["disks"] = [
        {"device": device, **disk.metadata, **_numbers(stats, device_fields("block", index), problems)}
        for index, device in _device_names(stats, "block", tuple(devices.disks), problems)
        if (disk := devices.disks.get(device, UNKNOWN_DISK)).kind == "disk"
    ]
    return cast("Domain", {**domain, **devices.metadata})


def stale_domain(identity: DomainIdentity, last: Domain | None) -> Domain:
    """Builds the record of an unresponsive domain: last values marked stale, else only names."""
    if last is not None:
        return {**last, "stale": True}
    domain: dict[str, object] = {"vmid": vmid(identity), **identity._asdict(), "state": NO_STATE, "state_reason": None}
    domain |= {"stale": True, **dict.fromkeys(name for name, _ in DOMAIN_STATS), "memlast_update": None}
    return cast("Domain", {**domain, "nics": [], "disks": [], **NO_DOMAIN_METADATA})


def device_signature(stats: Stats) -> Signature:
    """Returns a value that changes when a device comes or goes: the XML must be read again."""
    names = (value for key, value in stats.items() if key.endswith(".name") and isinstance(value, str))
    return (stats.get("net.count"), stats.get("block.count"), *sorted(names))


def has_statistics(stats: Stats) -> bool:
    """True if a bulk result has more than the state, which is all that the test driver reports."""
    return any(not key.startswith("state.") for key in stats)


def is_busy(stats: Stats) -> bool:
    """True if libvirt could not query the hypervisor.

    NOWAIT then returns only what libvirt itself holds.
    """
    return (
        stats.get("state.state") != SHUT_OFF
        and "balloon.rss" not in stats
        and not any(key.endswith(".rd.reqs") for key in stats)
    )


def vmid(identity: DomainIdentity) -> str:
    """Returns OpenNebula's number of a domain named one-<n>, else the domain id, else the UUID."""
    number = OPENNEBULA_NAME.fullmatch(identity.name)
    if number:
        return number[1]
    return identity.uuid if identity.domain_id is None else str(identity.domain_id)


def _number(stats: Stats, key: str, field: str, problems: Problems) -> int | None:
    value: object = stats.get(key, _MISSING)
    if type(value) is int and 0 <= value <= LONG_MAX:  # a bool is an int, but no count
        return value
    if value is not None:
        problems.add(field, _cause(value))
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


def _numbers(stats: Stats, fields: FieldMap, problems: Problems) -> dict[str, int | None]:
    numbers: dict[str, int | None] = {}
    for name, key, field in fields:
        value = stats.get(key)
        # The test of `_number` inline: a call per value would cost more than the rest of this loop.
        if type(value) is int and 0 <= value <= LONG_MAX:
            numbers[name] = value
        else:
            numbers[name] = _number(stats, key, field, problems)
    return numbers


def _device_names(stats: Stats, group: str, xml_names: Sequence[str], problems: Problems) -> Iterator[tuple[int, str]]:
    """Yields N and device of net.N or block.N, each device once.

    A missing name comes from the XML.
    """
    field = {"net": "nics", "block": "disks"}[group]
    count = _number(stats, f"{group}.count", field, problems)
    seen = set()
    for index in range(min(len(xml_names) if count is None else count, MAX_DEVICES)):
        value = stats.get(f"{group}.{index}.name")
        name = value if isinstance(value, str) and value else xml_names[index] if index < len(xml_names) else None
        if name is None or name in seen:
            problems.add(field, "device without a name of its own")
            continue
        seen.add(name)
        yield index, name
