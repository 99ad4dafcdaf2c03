"""What the view answers about one host and one VM: all that their newest records tell. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rackstream.view.answers import Alert, HostRow, VmRow

Figures = dict[str, float | None]
"""By the names of their fields in `schemas/avsc`."""


@dataclass(frozen=True, slots=True)
class Target:
    """How one source of a host stands."""

    source: str
    status: str
    detail: str
    address: str
    producer: str
    since: datetime
    observed_at: datetime
    polls: int
    failures: int
    late: int
    duration_s: float | None
    vendor: str | None
    model: str | None
    firmware: str | None
    left_out: list[str]
    """What it does not give."""


@dataclass(frozen=True, slots=True)
class Component:
    """The health of one part of a host: system, thermal, power, processor, memory or storage."""

    name: str
    status: str
    details: dict[str, Any]
    """Counts and names, by the fields of `Health`."""


@dataclass(frozen=True, slots=True)
class Temperature:
    """One temperature sensor."""

    name: str
    celsius: float | None
    upper_critical: float | None
    upper_fatal: float | None
    lower_critical: float | None
    health: str | None
    state: str | None
    context: str | None


@dataclass(frozen=True, slots=True)
class Fan:
    """One fan."""

    name: str
    rpm: float | None
    percent: float | None
    lower_critical: float | None
    health: str | None
    state: str | None


@dataclass(frozen=True, slots=True)
class Supply:
    """One power supply."""

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
class Voltage:
    """One voltage sensor."""

    name: str
    volts: float | None
    upper_critical: float | None
    lower_critical: float | None
    health: str | None
    state: str | None


@dataclass(frozen=True, slots=True)
class Drive:
    """One drive."""

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
class System:
    """One system that a BMC tells of."""

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
class Own:
    """What a host's operating system tells of itself."""

    observed_at: datetime
    boot_at: datetime | None
    figures: Figures
    """Single values: CPU, load, memory (bytes), swap, processes; and rates of the same."""
    filesystems: list[dict[str, Any]]
    """Bytes by mountpoint, by the fields of `HostFilesystem`."""
    disks: list[dict[str, Any]]
    """Rates per second by device, by the fields of `HostDiskRates`."""
    interfaces: list[dict[str, Any]]
    """Rates per second by device, by the fields of `HostInterfaceRates`."""


@dataclass(frozen=True, slots=True)
class Device:
    """A NIC or disk of a VM."""

    name: str
    about: dict[str, str | None]
    """MAC and source of a NIC; bus of a disk."""
    counters: dict[str, int | None]
    """Since it was attached, by the fields of `DomainNic` or `DomainDisk`."""
    rates: Figures
    """Per second, by the same names; empty: not known yet."""


@dataclass(frozen=True, slots=True)
class Vm:
    """All of one VM."""

    row: VmRow
    vmid: str
    observed_at: datetime
    stale: bool
    """Its figures are old: it does not answer its hypervisor."""
    memory: dict[str, int | None]
    """KiB and counters, by the fields of `Domain`."""
    nics: list[Device]
    disks: list[Device]
    rates: Figures
    """Of its counters, per second."""
    angles: Figures
    """The same as degrees."""
    watts: float | None
    """An estimate: its share of the host's watts, by CPU time."""
    cloud: dict[str, str]
    """Name, project, user and flavour, where a cloud tells them."""


@dataclass(frozen=True, slots=True)
class Host:
    """All of one host. What no source tells is empty or None."""

    row: HostRow
    targets: list[Target]
    components: list[Component]
    health_since: datetime | None
    findings: list[str]
    """What its health is made of, in words."""
    systems: list[System]
    temperatures: list[Temperature]
    fans: list[Fan]
    supplies: list[Supply]
    voltages: list[Voltage]
    drives: list[Drive]
    power: Figures
    own: Own | None
    vms: list[VmRow]
    alerts: list[Alert]
    """Active ones."""
    observed_at: dict[str, datetime]
    """Kind of record → when the newest was taken."""
