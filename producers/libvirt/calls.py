"""Answers of libvirt's per-device calls → `Domain` records, by way of the keys of the bulk call. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from producers.libvirt import sample
from producers.libvirt.devices import Devices

if TYPE_CHECKING:
    from producers.reader import Problems
    from schemas.records import Domain

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


def from_calls(who: sample.Who, calls: Calls, devices: Devices, problems: Problems) -> Domain:
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
    stats |= _flat("net", sample.NIC, tuple(devices.nics), calls.nics)
    stats |= _flat("block", sample.DISK, tuple(devices.disks), calls.disks)
    return sample.from_bulk(who, stats, devices, problems)


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
