"""Answers of the view about one host or one VM, with all that its newest records contain. Values only.

Field names are the keys of the REST API's JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from rackstream.view.answers import AlertRow, HostRow, VmRow

Figures = dict[str, float | None]
"""Values by the names of their fields in `schemas/avsc`."""


@dataclass(frozen=True, slots=True)
class TargetDetail:
    """Status of one source of a host."""

    source: str
    status: str
    detail: str
    address: str
    producer: str
    since: datetime
    """Time of the last change of status."""
    observed_at: datetime
    """Time of the last report."""
    polls: int
    failures: int
    late: int
    duration_s: float | None
    vendor: str | None
    model: str | None
    firmware: str | None
    left_out: list[str]
    """Parts that are not polled now, or whose values are stale."""


@dataclass(frozen=True, slots=True)
class ComponentDetail:
    """Health of one part of a host: system, thermal, power, processor, memory or storage."""

    name: str
    status: str
    details: dict[str, object]
    """Counts and names, by the fields of `Health`."""


@dataclass(frozen=True, slots=True)
class TemperatureDetail:
    """Reading and limits of a temperature sensor."""

    name: str
    celsius: float | None
    upper_critical: float | None
    upper_fatal: float | None
    lower_critical: float | None
    health: str | None
    state: str | None
    context: str | None


@dataclass(frozen=True, slots=True)
class FanDetail:
    """Reading and limit of a fan."""

    name: str
    rpm: float | None
    percent: float | None
    lower_critical: float | None
    health: str | None
    state: str | None


@dataclass(frozen=True, slots=True)
class PowerSupplyDetail:
    """Readings and identity of a power supply."""

    name: str
    model: str | None
    capacity_watts: float | None
    input_watts: float | None
    output_watts: float | None
    efficiency_percent: float | None
    firmware: str | None
    health: str | None
    state: str | None


@dataclass(frozen=True, slots=True)
class VoltageDetail:
    """Reading and limits of a voltage sensor."""

    name: str
    volts: float | None
    upper_critical: float | None
    lower_critical: float | None
    health: str | None
    state: str | None


@dataclass(frozen=True, slots=True)
class DriveDetail:
    """Identity and health of a drive."""

    name: str
    model: str | None
    serial: str | None
    media: str | None
    protocol: str | None
    capacity_bytes: int | None
    failure_predicted: bool | None
    health: str | None
    state: str | None


@dataclass(frozen=True, slots=True)
class SystemDetail:
    """Identity and health of a Redfish system of a BMC."""

    id: str
    manufacturer: str | None
    model: str | None
    serial: str | None
    bios: str | None
    power_state: str | None
    processors: int | None
    memory_gib: float | None
    health: str | None


@dataclass(frozen=True, slots=True)
class FilesystemDetail:
    """A file system of a host, sizes in bytes."""

    mountpoint: str
    device: str
    fstype: str
    total: int | None
    used: int | None
    free: int | None


@dataclass(frozen=True, slots=True)
class HostDiskDetail:
    """Rates per second of one block device of a host."""

    device: str
    read_bytes_rate: float | None
    write_bytes_rate: float | None
    read_count_rate: float | None
    write_count_rate: float | None
    busy_ms_rate: float | None


@dataclass(frozen=True, slots=True)
class HostInterfaceDetail:
    """Rates per second of one network interface of a host."""

    device: str
    rxbytes_rate: float | None
    rxpackets_rate: float | None
    rxerrors_rate: float | None
    rxdrops_rate: float | None
    txbytes_rate: float | None
    txpackets_rate: float | None
    txerrors_rate: float | None
    txdrops_rate: float | None


@dataclass(frozen=True, slots=True)
class OperatingSystemDetail:
    """Values that a host's operating system reports about itself."""

    observed_at: datetime
    boot_at: datetime | None
    figures: Figures
    """CPU, load, memory (bytes), swap and processes, and the rates of the host's counters."""
    filesystems: list[FilesystemDetail]
    disks: list[HostDiskDetail]
    interfaces: list[HostInterfaceDetail]


@dataclass(frozen=True, slots=True)
class DeviceDetail:
    """A NIC or disk of a VM."""

    name: str
    about: dict[str, str | None]
    """MAC address and source of a NIC; bus of a disk."""
    counters: dict[str, int | None]
    """Totals since it was attached, by the fields of `DomainNic` or `DomainDisk`."""
    rates: Figures
    """Rates per second of the same counters; empty until the second poll."""


@dataclass(frozen=True, slots=True)
class VmDetail:
    """All values of one VM."""

    row: VmRow
    vmid: str
    observed_at: datetime
    stale: bool
    """True if the values are old, because the VM does not answer its hypervisor."""
    memory: dict[str, int | None]
    """Sizes in KiB, and counters, by the fields of `Domain`."""
    nics: list[DeviceDetail]
    disks: list[DeviceDetail]
    rates: Figures
    """Rates per second of its counters."""
    angles: Figures
    """The same rates as angles, in degrees."""
    watts: float | None
    """Estimate: the VM's share of the host's power, by CPU time."""
    cloud: dict[str, str]
    """Name, project, user and flavour, if a cloud manages the VM."""


@dataclass(frozen=True, slots=True)
class HostDetail:
    """All values of one host. Values that no source reports are empty or None."""

    row: HostRow
    targets: list[TargetDetail]
    components: list[ComponentDetail]
    health_since: datetime | None
    findings: list[str]
    """Reasons for its health, in words."""
    systems: list[SystemDetail]
    temperatures: list[TemperatureDetail]
    fans: list[FanDetail]
    supplies: list[PowerSupplyDetail]
    voltages: list[VoltageDetail]
    drives: list[DriveDetail]
    power: Figures
    own: OperatingSystemDetail | None
    vms: list[VmRow]
    alerts: list[AlertRow]
    """Active alerts."""
    observed_at: dict[str, datetime]
    """Kind of record → time of the newest one."""
