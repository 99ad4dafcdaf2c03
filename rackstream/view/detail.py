"""All of one host and of one VM, from their newest records. Pure: decoded records in, answers out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from rackstream.view import answers, detail_answers
from rackstream.view.host_state import Slot

Record = dict[str, Any]
Records = Mapping[Slot, Record]
PARTS: Final = ("system", "thermal", "power", "processor", "memory", "storage")
COUNTERS: Final = {
    "nics": ("rxbytes", "rxpackets", "rxerrors", "rxdrops", "txbytes", "txpackets", "txerrors", "txdrops"),
    "disks": ("rd_req", "rd_bytes", "wr_reqs", "wr_bytes", "errors"),
}
MEMORY: Final = (
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
)
OWN: Final = (
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
)
POWER: Final = (
    "consumed_watts",
    "available_watts",
    "power_utilization_percent",
    "average_psu_efficiency",
    "psu_input_watts",
    "psu_output_watts",
    "consumed_of_psu_input_percent",
)
CLOUD: Final = {"cloud_name": "name", "cloud_project": "project", "cloud_user": "user", "cloud_flavor": "flavor"}


def host(
    row: answers.HostRow,
    records: Records,
    targets: Iterable[Record],
    vms: list[answers.VmRow],
    alerts: list[answers.Alert],
) -> detail_answers.Host:
    """All of a host."""
    redfish = [each for (alias, _), each in records.items() if alias == "raw-redfish"]
    health = _one(records, "state-health")

    def listed(name: str, made: Callable[[Record], Any]) -> list[Any]:
        return [made(each) for record in redfish for each in record[name]]

    power = _one(records, "power")
    return detail_answers.Host(
        row=row,
        targets=[_target(target) for target in sorted(targets, key=lambda each: each["source"])],
        components=[_component(part, health[part]) for part in PARTS] if health else [],
        health_since=health["since"] if health else None,
        findings=[alert["text"] for alert in health["alerts"]] if health else [],
        systems=listed("systems", _system),
        temperatures=listed("temperatures", _temperature) + _own_temperatures(_one(records, "raw-host")),
        fans=listed("fans", _fan),
        supplies=listed("power_supplies", _supply),
        voltages=listed("voltages", _voltage),
        drives=listed("drives", _drive),
        power={name: power[name] for name in POWER} if power else {},
        own=_own(_one(records, "raw-host"), _one(records, "host-rates")),
        vms=vms,
        alerts=alerts,
        observed_at={_kind(slot): each["observed_at"] for slot, each in sorted(records.items())},
    )


def _one(records: Records, alias: str) -> Record | None:
    return next((each for (found, _), each in records.items() if found == alias), None)


def _kind(slot: Slot) -> str:
    alias, category = slot
    return category if alias == "raw-redfish" else alias


def _target(record: Record) -> detail_answers.Target:
    names = (
        "source",
        "status",
        "detail",
        "address",
        "producer",
        "since",
        "observed_at",
        "polls",
        "failures",
        "late",
        "duration_s",
        "vendor",
        "model",
        "firmware",
        "left_out",
    )
    return detail_answers.Target(**{name: record[name] for name in names})


def _component(name: str, part: Record) -> detail_answers.Component:
    return detail_answers.Component(
        name, part["status"], {key: value for key, value in part.items() if key != "status"}
    )


def _system(each: Record) -> detail_answers.System:
    return detail_answers.System(
        id=each["system_id"],
        manufacturer=each["manufacturer"],
        model=each["model"],
        serial=each["serial_number"],
        bios=each["bios_version"],
        power_state=each["power_state"],
        processors=each["processor_summary"]["count"],
        memory_gib=each["memory_summary"]["total_system_memory_gib"],
        health=each["health"],
    )


def _name(each: Record) -> str:
    return str(each["sensor_name"] or each["sensor_id"])


def _temperature(each: Record) -> detail_answers.Temperature:
    return detail_answers.Temperature(
        name=_name(each),
        celsius=each["reading_celsius"],
        upper_critical=each["upper_threshold_critical"],
        upper_fatal=each["upper_threshold_fatal"],
        lower_critical=each["lower_threshold_critical"],
        health=each["health"],
        state=each["state"],
        context=each["physical_context"],
    )


def _own_temperatures(sample: Record | None) -> list[detail_answers.Temperature]:
    found = sample["temperatures"] if sample else []
    return [
        detail_answers.Temperature(
            each["sensor"], each["reading_celsius"], each["upper_threshold_critical"], None, None, None, None, None
        )
        for each in found
    ]


def _fan(each: Record) -> detail_answers.Fan:
    return detail_answers.Fan(
        name=_name(each),
        rpm=each["speed_rpm"],
        percent=each["speed_percent"],
        lower_critical=each["lower_threshold_critical"],
        health=each["health"],
        state=each["state"],
    )


def _supply(each: Record) -> detail_answers.Supply:
    return detail_answers.Supply(
        name=_name(each),
        model=each["model"],
        capacity_watts=each["power_capacity_watts"],
        input_watts=each["power_input_watts"],
        output_watts=each["power_output_watts"],
        efficiency_percent=each["efficiency_percent"],
        firmware=each["firmware_version"],
        health=each["health"],
        state=each["state"],
    )


def _voltage(each: Record) -> detail_answers.Voltage:
    return detail_answers.Voltage(
        name=_name(each),
        volts=each["reading_volts"],
        upper_critical=each["upper_threshold_critical"],
        lower_critical=each["lower_threshold_critical"],
        health=each["health"],
        state=each["state"],
    )


def _drive(each: Record) -> detail_answers.Drive:
    return detail_answers.Drive(
        name=each["name"] or each["drive_id"],
        model=each["model"],
        serial=each["serial_number"],
        media=each["media_type"],
        protocol=each["protocol"],
        capacity_bytes=each["capacity_bytes"],
        failure_predicted=each["failure_predicted"],
        health=each["health"],
        state=each["state"],
    )


def _own(sample: Record | None, rates: Record | None) -> detail_answers.Own | None:
    if sample is None:
        return None
    of_time = {name: value for name, value in (rates or {}).items() if name.endswith("_rate")}
    return detail_answers.Own(
        observed_at=sample["observed_at"],
        boot_at=sample["boot_at"],
        figures={name: sample[name] for name in OWN} | of_time,
        filesystems=sample["filesystems"],
        disks=[_without_angles(disk) for disk in rates["disks"]] if rates else [],
        interfaces=[_without_angles(interface) for interface in rates["interfaces"]] if rates else [],
    )


def _without_angles(each: Record) -> Record:
    return {name: value for name, value in each.items() if not name.endswith("_angle")}


def vm(row: answers.VmRow, records: Records) -> detail_answers.Vm | None:
    """All of a VM; None: its newest sample does not have it."""
    sample = _one(records, "raw-libvirt")
    domain = _of(sample, "domains", row.uuid)
    if sample is None or domain is None:
        return None
    features = _of(_one(records, "vm-features"), "vms", row.uuid) or {}
    devices = _one(records, "device-rates")
    rates = {each["device"]: each for each in (devices["devices"] if devices else []) if each["uuid"] == row.uuid}
    watts = _of(_one(records, "vm-power"), "vms", row.uuid)
    return detail_answers.Vm(
        row=row,
        vmid=domain["vmid"],
        observed_at=sample["observed_at"],
        stale=domain["stale"],
        memory={name: domain[name] for name in MEMORY},
        nics=[_device(nic, "nics", ("mac", "source"), rates) for nic in domain["nics"]],
        disks=[_device(disk, "disks", ("bus",), rates) for disk in domain["disks"]],
        rates=_ending(features, "_rate") | _ending(features, "_rate_kb_per_sec"),
        angles=_ending(features, "_angle") | _ending(features, "_angle_deg"),
        watts=watts["estimated_watts"] if watts else None,
        cloud={short: domain[name] for name, short in CLOUD.items() if domain[name]},
    )


def _of(record: Record | None, name: str, uuid: str) -> Record | None:
    return next((each for each in record[name] if each["uuid"] == uuid), None) if record else None


def _ending(record: Record, end: str) -> detail_answers.Figures:
    return {name.removesuffix(end): value for name, value in record.items() if name.endswith(end)}


def _device(each: Record, kind: str, about: Iterable[str], rates: Mapping[str, Record]) -> detail_answers.Device:
    found = rates.get(each["device"])
    names = COUNTERS[kind]
    return detail_answers.Device(
        name=each["device"],
        about={name: each[name] for name in about},
        counters={name: each[name] for name in names},
        rates={name: found[f"{name}_rate"] for name in names} if found else {},
    )


def producer(name: str, beat: Record | None, presence: Record | None) -> answers.Producer:
    """A producer, by its newest heartbeat and by what presence says of it."""
    known = beat or presence or {}
    interval_s: float | None = known.get("interval_s")
    observed_at: datetime | None = beat["observed_at"] if beat else presence["appended_at"] if presence else None
    numbers = ("targets", "polls", "failures", "records", "dropped", "queued", "spooled", "spooled_bytes", "rejected")
    return answers.Producer(
        name=name,
        source=known.get("source", ""),
        status=presence["status"] if presence else "unknown",
        observed_at=observed_at,
        interval_s=interval_s,
        **{number: known.get(number, 0) for number in numbers},
        spool_oldest_at=beat["spool_oldest_at"] if beat else None,
        failing=beat["failing_count"] if beat else 0,
    )
