"""Builds the details of one host and of one VM from their newest records. Pure: decoded records in, answers out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal, get_args

from rackstream.view.answers import AlertRow, HostRow, ProducerRow, VmRow
from rackstream.view.detail_answers import (
    ComponentDetail,
    DeviceDetail,
    DriveDetail,
    FanDetail,
    Figures,
    FilesystemDetail,
    HostDetail,
    HostDiskDetail,
    HostInterfaceDetail,
    OperatingSystemDetail,
    PowerSupplyDetail,
    SystemDetail,
    TargetDetail,
    TemperatureDetail,
    VmDetail,
    VoltageDetail,
)
from schemas.records import (
    DeviceRates,
    DomainDisk,
    DomainNic,
    Health,
    Heartbeat,
    HostDiskRates,
    HostFilesystem,
    HostInterfaceRates,
    HostRates,
    HostSample,
    HostTemperature,
    LibvirtSample,
    Power,
    PresenceState,
    RedfishDrive,
    RedfishFan,
    RedfishPowerSupply,
    RedfishSample,
    RedfishSystem,
    RedfishTemperature,
    RedfishVoltage,
    TargetStatus,
    VmFeatures,
    VmPower,
)

HealthComponent = Literal["system", "thermal", "power", "processor", "memory", "storage"]
MemoryField = Literal[
    "memory_max_kb",
    "memory_used_kb",
    "memactual",
    "memrss",
    "memavailable",
    "memusable",
    "memswap_in",
    "memswap_out",
    "memmajor_fault",
    "memminor_fault",
    "memdisk_cache",
]
HostField = Literal[
    "cpu_percent",
    "load_1",
    "load_5",
    "load_15",
    "memory_total",
    "memory_used",
    "memory_available",
    "memory_cached",
    "swap_total",
    "swap_used",
    "processes",
]
PowerField = Literal[
    "consumed_watts",
    "available_watts",
    "power_utilization_percent",
    "average_psu_efficiency",
    "psu_input_watts",
    "psu_output_watts",
    "consumed_of_psu_input_percent",
]
NicCounter = Literal["rxbytes", "rxpackets", "rxerrors", "rxdrops", "txbytes", "txpackets", "txerrors", "txdrops"]
DiskCounter = Literal["rd_req", "rd_bytes", "wr_reqs", "wr_bytes", "errors"]
COMPONENTS: Final[tuple[HealthComponent, ...]] = get_args(HealthComponent)
MEMORY_FIELDS: Final[tuple[MemoryField, ...]] = get_args(MemoryField)
HOST_FIELDS: Final[tuple[HostField, ...]] = get_args(HostField)
POWER_FIELDS: Final[tuple[PowerField, ...]] = get_args(PowerField)
NIC_COUNTERS: Final[tuple[NicCounter, ...]] = get_args(NicCounter)
DISK_COUNTERS: Final[tuple[DiskCounter, ...]] = get_args(DiskCounter)


@dataclass(frozen=True, slots=True)
class HostRecords:
    """The newest decoded record of each kind of one host; None where there is none."""

    redfish: Mapping[str, RedfishSample] = field(default_factory=dict)
    """By category."""
    libvirt: LibvirtSample | None = None
    host: HostSample | None = None
    host_rates: HostRates | None = None
    health: Health | None = None
    power: Power | None = None
    vm_features: VmFeatures | None = None
    device_rates: DeviceRates | None = None
    vm_power: VmPower | None = None
    observed_at: Mapping[str, datetime] = field(default_factory=dict)
    """Kind of record (topic alias, or Redfish category) → its time."""


def host_detail(
    row: HostRow, records: HostRecords, targets: Iterable[TargetStatus], vms: list[VmRow], alerts: list[AlertRow]
) -> HostDetail:
    """Builds the details of one host."""
    redfish = records.redfish.values()
    health, power = records.health, records.power
    own_temperatures = records.host["temperatures"] if records.host else []
    return HostDetail(
        row=row,
        targets=[_target(target) for target in sorted(targets, key=lambda target: target["source"])],
        components=[_component(component, health[component]) for component in COMPONENTS] if health else [],
        health_since=health["since"] if health else None,
        findings=[alert["text"] for alert in health["alerts"]] if health else [],
        systems=[_system(system) for sample in redfish for system in sample["systems"]],
        temperatures=[
            *(_temperature(temperature) for sample in redfish for temperature in sample["temperatures"]),
            *(_host_temperature(temperature) for temperature in own_temperatures),
        ],
        fans=[_fan(fan) for sample in redfish for fan in sample["fans"]],
        supplies=[_supply(supply) for sample in redfish for supply in sample["power_supplies"]],
        voltages=[_voltage(voltage) for sample in redfish for voltage in sample["voltages"]],
        drives=[_drive(drive) for sample in redfish for drive in sample["drives"]],
        power={name: power[name] for name in POWER_FIELDS} if power else {},
        own=_operating_system(records.host, records.host_rates),
        vms=vms,
        alerts=alerts,
        observed_at=dict(records.observed_at),
    )


def _target(status: TargetStatus) -> TargetDetail:
    return TargetDetail(
        source=status["source"],
        status=status["status"],
        detail=status["detail"],
        address=status["address"],
        producer=status["producer"],
        since=status["since"],
        observed_at=status["observed_at"],
        polls=status["polls"],
        failures=status["failures"],
        late=status["late"],
        duration_s=status["duration_s"],
        vendor=status["vendor"],
        model=status["model"],
        firmware=status["firmware"],
        left_out=status["left_out"],
    )


def _component(name: str, health: Mapping[str, object]) -> ComponentDetail:
    details = {field_name: value for field_name, value in health.items() if field_name != "status"}
    return ComponentDetail(name, str(health["status"]), details)


def _system(system: RedfishSystem) -> SystemDetail:
    return SystemDetail(
        id=system["system_id"],
        manufacturer=system["manufacturer"],
        model=system["model"],
        serial=system["serial_number"],
        bios=system["bios_version"],
        power_state=system["power_state"],
        processors=system["processor_summary"]["count"],
        memory_gib=system["memory_summary"]["total_system_memory_gib"],
        health=system["health"],
    )


def _temperature(temperature: RedfishTemperature) -> TemperatureDetail:
    return TemperatureDetail(
        name=temperature["sensor_name"] or temperature["sensor_id"],
        celsius=temperature["reading_celsius"],
        upper_critical=temperature["upper_threshold_critical"],
        upper_fatal=temperature["upper_threshold_fatal"],
        lower_critical=temperature["lower_threshold_critical"],
        health=temperature["health"],
        state=temperature["state"],
        context=temperature["physical_context"],
    )


def _host_temperature(temperature: HostTemperature) -> TemperatureDetail:
    return TemperatureDetail(
        name=temperature["sensor"],
        celsius=temperature["reading_celsius"],
        upper_critical=temperature["upper_threshold_critical"],
        upper_fatal=None,
        lower_critical=None,
        health=None,
        state=None,
        context=None,
    )


def _fan(fan: RedfishFan) -> FanDetail:
    return FanDetail(
        name=fan["sensor_name"] or fan["sensor_id"],
        rpm=fan["speed_rpm"],
        percent=fan["speed_percent"],
        lower_critical=fan["lower_threshold_critical"],
        health=fan["health"],
        state=fan["state"],
    )


def _supply(supply: RedfishPowerSupply) -> PowerSupplyDetail:
    return PowerSupplyDetail(
        name=supply["sensor_name"] or supply["sensor_id"],
        model=supply["model"],
        capacity_watts=supply["power_capacity_watts"],
        input_watts=supply["power_input_watts"],
        output_watts=supply["power_output_watts"],
        efficiency_percent=supply["efficiency_percent"],
        firmware=supply["firmware_version"],
        health=supply["health"],
        state=supply["state"],
    )


def _voltage(voltage: RedfishVoltage) -> VoltageDetail:
    return VoltageDetail(
        name=voltage["sensor_name"] or voltage["sensor_id"],
        volts=voltage["reading_volts"],
        upper_critical=voltage["upper_threshold_critical"],
        lower_critical=voltage["lower_threshold_critical"],
        health=voltage["health"],
        state=voltage["state"],
    )


def _drive(drive: RedfishDrive) -> DriveDetail:
    return DriveDetail(
        name=drive["name"] or drive["drive_id"],
        model=drive["model"],
        serial=drive["serial_number"],
        media=drive["media_type"],
        protocol=drive["protocol"],
        capacity_bytes=drive["capacity_bytes"],
        failure_predicted=drive["failure_predicted"],
        health=drive["health"],
        state=drive["state"],
    )


def _operating_system(sample: HostSample | None, rates: HostRates | None) -> OperatingSystemDetail | None:
    if sample is None:
        return None
    host_rates: Figures = {f"{name}_rate": rate for name, rate in _with_suffix(rates or {}, "_rate").items()}
    return OperatingSystemDetail(
        observed_at=sample["observed_at"],
        boot_at=sample["boot_at"],
        figures={name: sample[name] for name in HOST_FIELDS} | host_rates,
        filesystems=[_filesystem(filesystem) for filesystem in sample["filesystems"]],
        disks=[_host_disk(disk) for disk in rates["disks"]] if rates else [],
        interfaces=[_host_interface(interface) for interface in rates["interfaces"]] if rates else [],
    )


def _filesystem(filesystem: HostFilesystem) -> FilesystemDetail:
    return FilesystemDetail(
        mountpoint=filesystem["mountpoint"],
        device=filesystem["device"],
        fstype=filesystem["fstype"],
        total=filesystem["total"],
        used=filesystem["used"],
        free=filesystem["free"],
    )


def _host_disk(rates: HostDiskRates) -> HostDiskDetail:
    return HostDiskDetail(
        device=rates["device"],
        read_bytes_rate=rates["read_bytes_rate"],
        write_bytes_rate=rates["write_bytes_rate"],
        read_count_rate=rates["read_count_rate"],
        write_count_rate=rates["write_count_rate"],
        busy_ms_rate=rates["busy_ms_rate"],
    )


def _host_interface(rates: HostInterfaceRates) -> HostInterfaceDetail:
    return HostInterfaceDetail(
        device=rates["device"],
        rxbytes_rate=rates["rxbytes_rate"],
        rxpackets_rate=rates["rxpackets_rate"],
        rxerrors_rate=rates["rxerrors_rate"],
        rxdrops_rate=rates["rxdrops_rate"],
        txbytes_rate=rates["txbytes_rate"],
        txpackets_rate=rates["txpackets_rate"],
        txerrors_rate=rates["txerrors_rate"],
        txdrops_rate=rates["txdrops_rate"],
    )


def vm_detail(row: VmRow, records: HostRecords) -> VmDetail | None:
    """Builds the details of one VM; None if the newest sample of its host does not contain it."""
    sample = records.libvirt
    domains = sample["domains"] if sample else []
    domain = next((domain for domain in domains if domain["uuid"] == row.uuid), None)
    if sample is None or domain is None:
        return None
    features = records.vm_features["vms"] if records.vm_features else []
    feature: Mapping[str, object] = next((feature for feature in features if feature["uuid"] == row.uuid), {})
    devices = records.device_rates["devices"] if records.device_rates else []
    rates = {device["device"]: _with_suffix(device, "_rate") for device in devices if device["uuid"] == row.uuid}
    shares = records.vm_power["vms"] if records.vm_power else []
    cloud = {
        "name": domain["cloud_name"],
        "project": domain["cloud_project"],
        "user": domain["cloud_user"],
        "flavor": domain["cloud_flavor"],
    }
    return VmDetail(
        row=row,
        vmid=domain["vmid"],
        observed_at=sample["observed_at"],
        stale=domain["stale"],
        memory={name: domain[name] for name in MEMORY_FIELDS},
        nics=[_nic(nic, rates.get(nic["device"])) for nic in domain["nics"]],
        disks=[_disk(disk, rates.get(disk["device"])) for disk in domain["disks"]],
        rates=_with_suffix(feature, "_rate") | _with_suffix(feature, "_rate_kb_per_sec"),
        angles=_with_suffix(feature, "_angle") | _with_suffix(feature, "_angle_deg"),
        watts=next((share["estimated_watts"] for share in shares if share["uuid"] == row.uuid), None),
        cloud={name: value for name, value in cloud.items() if value},
    )


def _with_suffix(record: Mapping[str, object], suffix: str) -> Figures:
    """Numbers of a record whose field names end in `suffix`, by their names without it."""
    return {
        name.removesuffix(suffix): value
        for name, value in record.items()
        if name.endswith(suffix) and (value is None or isinstance(value, float | int))
    }


def _nic(nic: DomainNic, rates: Figures | None) -> DeviceDetail:
    return DeviceDetail(
        name=nic["device"],
        about={"mac": nic["mac"], "source": nic["source"]},
        counters={name: nic[name] for name in NIC_COUNTERS},
        rates={name: rates[name] for name in NIC_COUNTERS} if rates else {},
    )


def _disk(disk: DomainDisk, rates: Figures | None) -> DeviceDetail:
    return DeviceDetail(
        name=disk["device"],
        about={"bus": disk["bus"]},
        counters={name: disk[name] for name in DISK_COUNTERS},
        rates={name: rates[name] for name in DISK_COUNTERS} if rates else {},
    )


def producer_row(name: str, heartbeat: Heartbeat | None, presence: PresenceState | None) -> ProducerRow:
    """Builds the row of a producer from its newest heartbeat and its presence record."""
    status = presence["status"] if presence else "unknown"
    if heartbeat is not None:
        return ProducerRow(
            name=name,
            source=heartbeat["source"],
            status=status,
            observed_at=heartbeat["observed_at"],
            interval_s=heartbeat["interval_s"],
            targets=heartbeat["targets"],
            polls=heartbeat["polls"],
            failures=heartbeat["failures"],
            records=heartbeat["records"],
            dropped=heartbeat["dropped"],
            queued=heartbeat["queued"],
            spooled=heartbeat["spooled"],
            spooled_bytes=heartbeat["spooled_bytes"],
            spool_oldest_at=heartbeat["spool_oldest_at"],
            rejected=heartbeat["rejected"],
            failing=heartbeat["failing_count"],
        )
    return ProducerRow(
        name=name,
        source=presence["source"] if presence else "",
        status=status,
        observed_at=presence["appended_at"] if presence else None,
        interval_s=presence["interval_s"] if presence else None,
        targets=presence["targets"] if presence else 0,
        polls=0,
        failures=0,
        records=0,
        dropped=0,
        queued=0,
        spooled=0,
        spooled_bytes=0,
        spool_oldest_at=None,
        rejected=0,
        failing=0,
    )
