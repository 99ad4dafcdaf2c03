"""Mapping of psutil's answers to fields of HostSample, part by part.

File systems come without their sizes, which may block.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from schemas.records import (
        CpuTimes,
        HostDisk,
        HostFilesystem,
        HostInterface,
        HostSample,
    )

IMAGE_TYPES: Final = frozenset({"squashfs", "iso9660", "erofs", "udf"})
"""Types of read-only images, which are always full."""
Ps = ModuleType
"""psutil, or an object with its functions."""
PsTuple = Any
"""A named tuple of psutil; its fields depend on the platform."""


def _read_boot(ps: Ps, sample: HostSample) -> None:
    boot_s = ps.boot_time()
    # The boot-time clock does not jump when the wall clock is set.
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    sample["uptime_s"] = max(0.0, time.time() - boot_s) if clock is None else time.clock_gettime(clock)
    sample["boot_at"] = datetime.fromtimestamp(boot_s, UTC)


def _read_cpu(ps: Ps, sample: HostSample) -> None:
    times = ps.cpu_times()
    sample["cores"] = [_cpu_times(core) for core in ps.cpu_times(percpu=True)]
    sample["cpu"] = _cpu_times(times)


def _cpu_times(times: PsTuple) -> CpuTimes:
    def total(first: str, second: str) -> float | None:
        value: float | None = getattr(times, first, None)
        return None if value is None else value + getattr(times, second, 0.0)

    return {
        "user_s": times.user + getattr(times, "nice", 0.0),  # niced processes run in user mode too
        "system_s": times.system,
        "idle_s": times.idle,
        "iowait_s": getattr(times, "iowait", None),
        "irq_s": total("irq", "softirq"),
        "steal_s": getattr(times, "steal", None),
        "guest_s": total("guest", "guest_nice"),  # Linux includes it in user as well
    }


def _read_load(ps: Ps, sample: HostSample) -> None:
    sample["load_1"], sample["load_5"], sample["load_15"] = ps.getloadavg()


def _read_memory(ps: Ps, sample: HostSample) -> None:
    memory = ps.virtual_memory()
    sample["memory_total"] = getattr(memory, "total", None)
    sample["memory_available"] = getattr(memory, "available", None)
    sample["memory_used"] = getattr(memory, "used", None)
    sample["memory_cached"] = getattr(memory, "cached", None)


def _read_swap(ps: Ps, sample: HostSample) -> None:
    swap = ps.swap_memory()
    sample["swap_total"], sample["swap_used"] = swap.total, swap.used
    # Where the kernel provides no vmstat, psutil warns and returns 0.
    if Path(getattr(ps, "PROCFS_PATH", "/proc"), "vmstat").exists():
        sample["swap_in"], sample["swap_out"] = swap.sin, swap.sout


def _read_processes(ps: Ps, sample: HostSample) -> None:
    sample["processes"] = len(ps.pids())


def _read_disks(ps: Ps, sample: HostSample) -> None:
    # nowrap=False: the kernel's own counters; psutil otherwise compensates wraps, for this process only.
    counters = ps.disk_io_counters(perdisk=True, nowrap=False) or {}
    sample["disks"] = [_disk(device, io) for device, io in counters.items() if not _is_unused(device, io)]


def _is_unused(device: str, io: PsTuple) -> bool:
    """True for loop and RAM devices that the kernel has created in advance."""
    return device.startswith(("loop", "ram")) and io.read_count == io.write_count == 0


def _disk(device: str, io: PsTuple) -> HostDisk:
    return {
        "device": device,
        "read_bytes": io.read_bytes,
        "write_bytes": io.write_bytes,
        "read_count": io.read_count,
        "write_count": io.write_count,
        "busy_ms": getattr(io, "busy_time", None),
    }


def _read_interfaces(ps: Ps, sample: HostSample) -> None:
    states = ps.net_if_stats()
    counters = ps.net_io_counters(pernic=True, nowrap=False) or {}
    sample["interfaces"] = [_interface(device, io, states.get(device)) for device, io in counters.items()]


def _interface(device: str, io: PsTuple, state: PsTuple) -> HostInterface:
    return {
        "device": device,
        "up": None if state is None else state.isup,
        "speed_mbps": (state.speed or None) if state is not None else None,  # psutil returns 0 for unknown
        "rxbytes": io.bytes_recv,
        "rxpackets": io.packets_recv,
        "rxerrors": io.errin,
        "rxdrops": io.dropin,
        "txbytes": io.bytes_sent,
        "txpackets": io.packets_sent,
        "txerrors": io.errout,
        "txdrops": io.dropout,
    }


def _read_temperatures(ps: Ps, sample: HostSample) -> None:
    sample["temperatures"] = [
        {
            "sensor": name,
            "reading_celsius": _finite(sensor.current),
            "upper_threshold_critical": _finite(sensor.critical),
        }
        for name, sensor in _sensors(ps.sensors_temperatures())
    ]


def _read_fans(ps: Ps, sample: HostSample) -> None:
    sample["fans"] = [
        {"sensor": name, "speed_rpm": _finite(sensor.current)} for name, sensor in _sensors(ps.sensors_fans())
    ]


def _sensors(chips: Mapping[str, list[PsTuple]]) -> list[tuple[str, PsTuple]]:
    """Returns (chip/label/position, sensor).

    psutil puts two chips of one name into one list; the position distinguishes their sensors.
    """
    return [
        ("/".join(part for part in (chip, sensor.label, str(position)) if part), sensor)
        for chip, sensors in chips.items()
        for position, sensor in enumerate(sensors)
    ]


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _read_filesystems(ps: Ps, sample: HostSample) -> None:
    """Reads physical ones by psutil's rule (no network, no memory).

    Each device is listed once, at its shortest path.
    """
    filesystems: dict[str, HostFilesystem] = {}
    for mount in sorted(ps.disk_partitions(all=False), key=lambda mount: len(mount.mountpoint)):
        # Bind mounts and subvolumes show the space of one device again.
        if mount.fstype not in IMAGE_TYPES:
            filesystem: HostFilesystem = {
                "mountpoint": mount.mountpoint,
                "device": mount.device,
                "fstype": mount.fstype,
                "total": None,
                "used": None,
                "free": None,
            }
            filesystems.setdefault(mount.device, filesystem)
    sample["filesystems"] = list(filesystems.values())


PARTS: Final[Mapping[str, Callable[[Ps, HostSample], None]]] = {
    "boot": _read_boot,
    "cpu": _read_cpu,
    "load": _read_load,
    "memory": _read_memory,
    "swap": _read_swap,
    "processes": _read_processes,
    "disks": _read_disks,
    "interfaces": _read_interfaces,
    "temperatures": _read_temperatures,
    "fans": _read_fans,
    "filesystems": _read_filesystems,
}
"""Name of a part → function that fills its fields. Each part may fail without the others."""
