"""Converts the results of libvirt's per-device calls into `Domain` records. Pure.

Results are filed under the keys of the bulk call, so that `mapping` converts both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from producers.libvirt import mapping
from producers.libvirt.device_cache import DomainDevices

if TYPE_CHECKING:
    from producers.reader import Problems
    from schemas.records import Domain

MEMORY_STATS: Final = (
    ("rss", "balloon.rss"),
    ("available", "balloon.available"),
    ("usable", "balloon.usable"),
    ("swap_in", "balloon.swap_in"),
    ("swap_out", "balloon.swap_out"),
    ("major_fault", "balloon.major_fault"),
    ("minor_fault", "balloon.minor_fault"),
    ("disk_caches", "balloon.disk_caches"),
    ("last_update", "balloon.last-update"),
)
"""virDomainMemoryStats → balloon.*"""


@dataclass(frozen=True)
class CallResults:
    """Results of the calls on one domain. None: the call failed, which has been counted."""

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


def domain_from_calls(
    domain: mapping.DomainIdentity, results: CallResults, devices: DomainDevices, problems: Problems
) -> Domain:
    """Builds the record of a domain whose driver has no bulk statistics."""
    info, memory, cpu = results.info, results.memory, results.cpu
    stats: dict[str, mapping.Stat] = dict.fromkeys(
        ("state.state", "balloon.maximum", "balloon.current", "vcpu.current")
    )
    stats |= dict.fromkeys(("state.reason", "cpu.time", "cpu.user", "cpu.system"))
    if info is not None:
        # CPU time from here, not from getCPUStats: two clocks under one name would look like a counter reset.
        keys = ("state.state", "balloon.maximum", "balloon.current", "vcpu.current", "cpu.time")
        stats |= zip(keys, info, strict=False)
    if results.state is not None:
        stats |= zip(("state.state", "state.reason"), results.state, strict=False)
    if cpu is not None:
        stats |= {"cpu.user": cpu.get("user_time", -1), "cpu.system": cpu.get("system_time", -1)}
    if memory is None:
        stats |= dict.fromkeys(key for _, key in MEMORY_STATS)
    else:
        stats |= {key: memory[name] for name, key in MEMORY_STATS if name in memory}
    stats |= _bulk_keys("net", tuple(devices.nics), results.nics)
    stats |= _bulk_keys("block", tuple(devices.disks), results.disks)
    return mapping.domain_from_stats(domain, stats, devices, problems)


def _bulk_keys(
    group: str, devices: tuple[str, ...], results: Mapping[str, Sequence[int] | None]
) -> dict[str, mapping.Stat]:
    """Files per-device results under the keys of the bulk call; those of a failed call are None."""
    stats: dict[str, mapping.Stat] = {f"{group}.count": len(devices)}
    for index, device in enumerate(devices):
        fields = mapping.device_fields(group, index)
        stats[f"{group}.{index}.name"] = device
        values: Sequence[int | None] = results.get(device) or [None] * len(fields)
        stats.update(zip((key for _, key, _ in fields), values, strict=False))
    return stats
