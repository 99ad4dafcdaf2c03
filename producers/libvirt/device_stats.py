"""Answers of libvirt's per-device calls → `Domain` records, by way of the keys of the bulk call. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from producers.libvirt import mapping
from producers.libvirt.device_cache import Devices

if TYPE_CHECKING:
    from producers.reader import Problems
    from schemas.records import Domain

MEMORY: Final = (
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


def from_calls(who: mapping.Who, answers: Calls, devices: Devices, problems: Problems) -> Domain:
    """The record of one domain of a driver without bulk figures."""
    info, memory, cpu = answers.info, answers.memory, answers.cpu
    stats: dict[str, Any] = dict.fromkeys(("state.state", "balloon.maximum", "balloon.current", "vcpu.current"))
    stats |= dict.fromkeys(("state.reason", "cpu.time", "cpu.user", "cpu.system"))
    if info is not None:
        # Its CPU time, not getCPUStats': two clocks under one name would look like a counter reset.
        keys = ("state.state", "balloon.maximum", "balloon.current", "vcpu.current", "cpu.time")
        stats |= zip(keys, info, strict=False)
    if answers.state is not None:
        stats |= zip(("state.state", "state.reason"), answers.state, strict=False)
    if cpu is not None:
        stats |= {"cpu.user": cpu.get("user_time", -1), "cpu.system": cpu.get("system_time", -1)}
    if memory is None:
        stats |= dict.fromkeys(key for _, key in MEMORY)
    else:
        stats |= {key: memory[name] for name, key in MEMORY if name in memory}
    stats |= _flat("net", tuple(devices.nics), answers.nics)
    stats |= _flat("block", tuple(devices.disks), answers.disks)
    return mapping.from_bulk(who, stats, devices, problems)


def _flat(group: str, names: tuple[str, ...], answers: Mapping[str, Sequence[int] | None]) -> dict[str, Any]:
    """Per-device answers under bulk keys. No answer: keys with None."""
    flat: dict[str, Any] = {f"{group}.count": len(names)}
    for index, name in enumerate(names):
        plan = mapping.plan(group, index)
        flat[f"{group}.{index}.name"] = name
        values: Sequence[int | None] = answers.get(name) or [None] * len(plan)
        flat.update(zip((key for _, key, _ in plan), values, strict=False))
    return flat
