"""psutil's answers → fields of HostSample, part by part. No clock but the boot's; file systems come without sizes."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from schemas.records import CpuTimes, HostDisk, HostFan, HostFilesystem, HostInterface, HostTemperature

IMAGES: Final = frozenset({"squashfs", "iso9660", "erofs", "udf"})
"""Read-only images, full by their nature."""
Ps = Any
"""The psutil module, or what stands in for it in a test."""


def _boot(ps: Ps) -> dict[str, Any]:
    boot_s = ps.boot_time()
    # boottime counts from the boot and does not jump when someone sets the clock.
    clock = getattr(time, "CLOCK_BOOTTIME", None)
    uptime_s = max(0.0, time.time() - boot_s) if clock is None else time.clock_gettime(clock)
    return {"boot_at": datetime.fromtimestamp(boot_s, UTC), "uptime_s": uptime_s}


def _cpu(ps: Ps) -> dict[str, Any]:
    return {"cpu": _times(ps.cpu_times()), "cores": [_times(cpu_time) for cpu_time in ps.cpu_times(percpu=True)]}


def _times(times: Any) -> CpuTimes:
    def both(first: str, second: str) -> float | None:
        value = getattr(times, first, None)
        return None if value is None else value + getattr(times, second, 0.0)

    return {
        "user_s": times.user + getattr(times, "nice", 0.0),  # niced processes run in user mode too
        "system_s": times.system,
        "idle_s": times.idle,
        "iowait_s": getattr(times, "iowait", None),
        "irq_s": both("irq", "softirq"),
        "steal_s": getattr(times, "steal", None),
        "guest_s": both("guest", "guest_nice"),  # Linux counts it in user as well
    }


def _load(ps: Ps) -> dict[str, Any]:
    return dict(zip(("load_1", "load_5", "load_15"), ps.getloadavg(), strict=True))


def _memory(ps: Ps) -> dict[str, Any]:
    memory = ps.virtual_memory()
    return {f"memory_{name}": getattr(memory, name, None) for name in ("total", "available", "used", "cached")}


def _swap(ps: Ps) -> dict[str, Any]:
    swap = ps.swap_memory()
    # Where the kernel shows no vmstat, psutil warns and says 0.
    counted = Path(getattr(ps, "PROCFS_PATH", "/proc"), "vmstat").exists()
    counters = {"swap_in": swap.sin, "swap_out": swap.sout} if counted else {}
    return {"swap_total": swap.total, "swap_used": swap.used} | counters


def _processes(ps: Ps) -> dict[str, Any]:
    return {"processes": len(ps.pids())}


def _disks(ps: Ps) -> dict[str, Any]:
    # nowrap=False: the kernel's own numbers; psutil else adds up over wraps, in memory and for this process only.
    counters = ps.disk_io_counters(perdisk=True, nowrap=False) or {}
    return {"disks": [_disk(device, io) for device, io in counters.items() if not _unused(device, io)]}


def _unused(device: str, io: Any) -> bool:
    """The kernel makes loop and RAM devices in advance."""
    return device.startswith(("loop", "ram")) and io.read_count == io.write_count == 0


def _disk(device: str, io: Any) -> HostDisk:
    return {
        "device": device,
        "read_bytes": io.read_bytes,
        "write_bytes": io.write_bytes,
        "read_count": io.read_count,
        "write_count": io.write_count,
        "busy_ms": getattr(io, "busy_time", None),
    }


def _interfaces(ps: Ps) -> dict[str, Any]:
    states = ps.net_if_stats()
    counters = ps.net_io_counters(pernic=True, nowrap=False) or {}
    return {"interfaces": [_interface(device, io, states.get(device)) for device, io in counters.items()]}


def _interface(device: str, io: Any, state: Any) -> HostInterface:
    return {
        "device": device,
        "up": None if state is None else state.isup,
        "speed_mbps": (state.speed or None) if state is not None else None,  # psutil says 0 for unknown
        "rxbytes": io.bytes_recv,
        "rxpackets": io.packets_recv,
        "rxerrors": io.errin,
        "rxdrops": io.dropin,
        "txbytes": io.bytes_sent,
        "txpackets": io.packets_sent,
        "txerrors": io.errout,
        "txdrops": io.dropout,
    }


def _temperatures(ps: Ps) -> dict[str, Any]:
    found: list[HostTemperature] = [
        {
            "sensor": sensor,
            "reading_celsius": _finite(each.current),
            "upper_threshold_critical": _finite(each.critical),
        }
        for sensor, each in _sensors(ps.sensors_temperatures())
    ]
    return {"temperatures": found}


def _fans(ps: Ps) -> dict[str, Any]:
    found: list[HostFan] = [
        {"sensor": sensor, "speed_rpm": _finite(each.current)} for sensor, each in _sensors(ps.sensors_fans())
    ]
    return {"fans": found}


def _sensors(chips: Mapping[str, list[Any]]) -> list[tuple[str, Any]]:
    """(chip/label/position, sensor). psutil puts two chips of one name into one list: the position tells them apart."""
    return [
        ("/".join(part for part in (chip, sensor.label, str(position)) if part), sensor)
        for chip, sensors in chips.items()
        for position, sensor in enumerate(sensors)
    ]


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _filesystems(ps: Ps) -> dict[str, Any]:
    """Physical ones by psutil's rule (no network, no memory), without sizes; each device at its shortest path."""
    found: dict[str, HostFilesystem] = {}
    for disk_partition in sorted(ps.disk_partitions(all=False), key=lambda each: len(each.mountpoint)):
        # Bind mounts and subvolumes show the space of one device again.
        if disk_partition.fstype not in IMAGES:
            filesystem: HostFilesystem = {
                "mountpoint": disk_partition.mountpoint,
                "device": disk_partition.device,
                "fstype": disk_partition.fstype,
                "total": None,
                "used": None,
                "free": None,
            }
            found.setdefault(disk_partition.device, filesystem)
    return {"filesystems": list(found.values())}


PARTS: Final[dict[str, Callable[[Ps], dict[str, Any]]]] = {
    "boot": _boot,
    "cpu": _cpu,
    "load": _load,
    "memory": _memory,
    "swap": _swap,
    "processes": _processes,
    "disks": _disks,
    "interfaces": _interfaces,
    "temperatures": _temperatures,
    "fans": _fans,
    "filesystems": _filesystems,
}
"""Each fails alone."""
