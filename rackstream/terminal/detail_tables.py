"""Tables of the host, VM, alerts and pipeline views. Pure: answers of the view in, tables out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Final

from rich.text import Text

from rackstream.terminal import list_tables
from rackstream.terminal.layout import TableColumn, TableRow, TextTable, join, status_text, styled
from rackstream.text import units
from rackstream.view.answers import AlertPage, PipelineStatus
from rackstream.view.detail_answers import (
    DeviceDetail,
    DriveDetail,
    FanDetail,
    FilesystemDetail,
    HostDetail,
    OperatingSystemDetail,
    PowerSupplyDetail,
    TargetDetail,
    TemperatureDetail,
    VmDetail,
)
from schemas.records import Silence

TARGETS: Final = (
    TableColumn("Source", min_width=7),
    TableColumn("Status", min_width=8),
    TableColumn("Last change", align_right=True, min_width=8),
    TableColumn("Last report", align_right=True, min_width=8, drop_rank=1),
    TableColumn("Poll duration", align_right=True, drop_rank=2),
    TableColumn("Address", shrink_to=16, drop_rank=4),
    TableColumn("Producer", shrink_to=12, drop_rank=5),
    TableColumn("Detail", shrink_to=16, drop_rank=3),
)
TEMPERATURES: Final = (
    TableColumn("Sensor", min_width=16, shrink_to=20),
    TableColumn("Reading", align_right=True, min_width=8),
    TableColumn("Critical", align_right=True, min_width=8),
    TableColumn("Fatal", align_right=True, min_width=6, drop_rank=1),
    TableColumn("Health"),
)
FANS: Final = (
    TableColumn("Fan", min_width=16, shrink_to=20),
    TableColumn("Speed", align_right=True, min_width=10),
    TableColumn("Critical", align_right=True, min_width=10),
    TableColumn("Health"),
)
SUPPLIES: Final = (
    TableColumn("Supply", min_width=16, shrink_to=16),
    TableColumn("Input", align_right=True, min_width=7),
    TableColumn("Output", align_right=True, min_width=7),
    TableColumn("Capacity", align_right=True, min_width=8),
    TableColumn("Efficiency", align_right=True, drop_rank=2),
    TableColumn("Model", shrink_to=10, drop_rank=1),
    TableColumn("Health"),
)
DRIVES: Final = (
    TableColumn("Drive", min_width=16, shrink_to=16),
    TableColumn("Model", shrink_to=12, drop_rank=1),
    TableColumn("Capacity", align_right=True, min_width=8),
    TableColumn("Type", drop_rank=2),
    TableColumn("Serial", shrink_to=10, drop_rank=3),
    TableColumn("Health", shrink_to=8),
    TableColumn("", drop_rank=1),
)
FILESYSTEMS: Final = (
    TableColumn("Mount point", min_width=16, shrink_to=20),
    TableColumn("Used", align_right=True, min_width=9),
    TableColumn("Size", align_right=True, min_width=9),
    TableColumn("Usage", align_right=True, min_width=6),
)
NICS: Final = (
    TableColumn("NIC", min_width=8),
    TableColumn("Received", align_right=True, min_width=11),
    TableColumn("Sent", align_right=True, min_width=11),
    TableColumn("Total received", align_right=True, min_width=9, drop_rank=2),
    TableColumn("Total sent", align_right=True, min_width=9, drop_rank=2),
    TableColumn("Errors", align_right=True),
    TableColumn("Drops", align_right=True),
    TableColumn("Details", shrink_to=12, drop_rank=1),
)
DISKS: Final = (
    TableColumn("Disk", min_width=8),
    TableColumn("Read", align_right=True, min_width=11),
    TableColumn("Written", align_right=True, min_width=11),
    TableColumn("Total read", align_right=True, min_width=9, drop_rank=2),
    TableColumn("Total written", align_right=True, min_width=9, drop_rank=2),
    TableColumn("Errors", align_right=True),
    TableColumn("Details", shrink_to=12, drop_rank=1),
)
RATES: Final = (
    TableColumn("Counter", min_width=20, shrink_to=20),
    TableColumn("Per second", align_right=True, min_width=14),
    TableColumn("Angle", align_right=True, min_width=8),
)
MEMORY: Final = (TableColumn("Memory", min_width=20), TableColumn("Value", align_right=True, min_width=10))


def host(detail: HostDetail, at: datetime) -> list[TextTable]:
    """Tables of one host, the most important first."""
    filesystems = detail.own.filesystems if detail.own else []
    return [
        TextTable("", rows=[TableRow((join(_host_facts(detail), "   "),))]),
        TextTable("Sources", TARGETS, [_target(target, at) for target in detail.targets], "No source polls this host."),
        list_tables.alerts(detail.alerts, at),
        TextTable("Findings", rows=[TableRow((styled(finding, "warn"),)) for finding in detail.findings]),
        list_tables.vms(detail.vms) if detail.vms else TextTable("VMs"),
        TextTable("Temperatures", TEMPERATURES, [_temperature(temperature) for temperature in detail.temperatures]),
        TextTable("Fans", FANS, [_fan(fan) for fan in detail.fans]),
        TextTable("Power supplies", SUPPLIES, [_supply(supply) for supply in detail.supplies]),
        TextTable("Drives", DRIVES, [_drive(drive) for drive in detail.drives]),
        TextTable("Operating system", rows=[TableRow((text,)) for text in _operating_system(detail.own)]),
        TextTable("Filesystems", FILESYSTEMS, [_filesystem(filesystem) for filesystem in filesystems]),
    ]


def _facts(pairs: Iterable[tuple[str, object]]) -> list[Text]:
    """Names with values; pairs without a value are left out."""
    return [styled(f"{name} ", "soft") + styled(value) for name, value in pairs if value]


def _host_facts(detail: HostDetail) -> list[Text]:
    pairs: list[tuple[str, object]] = []
    for system in detail.systems[:2]:
        memory = units.format_number(system.memory_gib, " GiB") if system.memory_gib else None
        pairs += [
            ("model", " ".join(word for word in (system.manufacturer, system.model) if word)),
            ("serial", system.serial),
            ("BIOS", system.bios),
            ("power", system.power_state),
            ("CPUs", system.processors),
            ("memory", memory),
        ]
    firmware = sorted({target.firmware for target in detail.targets if target.firmware})
    pairs.append(("BMC firmware", ", ".join(firmware)))
    available = detail.power.get("available_watts")
    limit = f" of {available:,.0f} W" if available else ""
    pairs.append(("consumption", None if detail.row.watts is None else f"{detail.row.watts:,.0f} W{limit}"))
    labels = [styled(f"{name}={value}", "soft") for name, value in sorted(detail.row.labels.items())]
    return [status_text(detail.row.health, "health"), *_facts(pairs), *labels]


def _target(target: TargetDetail, at: datetime) -> TableRow:
    return TableRow(
        (
            styled(target.source),
            status_text(target.status),
            styled(units.format_age(target.since, at), "soft"),
            styled(units.format_age(target.observed_at, at), "soft"),
            styled(units.format_number(target.duration_s, " s", 2)),
            styled(target.address, "soft"),
            styled(target.producer, "soft"),
            styled(target.detail),
        )
    )


def _health(part: TemperatureDetail | FanDetail | PowerSupplyDetail | DriveDetail) -> Text:
    """Health of a part, with its state unless that is Enabled."""
    health = status_text(part.health)
    return health if part.state in (None, "Enabled") else health + styled(f" {part.state}", "soft")


def _temperature(temperature: TemperatureDetail) -> TableRow:
    reading = units.format_number(temperature.celsius, " °C", 1)
    return TableRow(
        (
            styled(temperature.name),
            styled(reading, units.limit_tone(temperature.celsius, temperature.upper_critical)),
            styled(units.format_number(temperature.upper_critical, " °C")),
            styled(units.format_number(temperature.upper_fatal, " °C")),
            _health(temperature),
        )
    )


def _fan(fan: FanDetail) -> TableRow:
    speed, unit = (fan.rpm, " RPM") if fan.percent is None else (fan.percent, " %")
    is_low = speed is not None and fan.lower_critical is not None and speed <= fan.lower_critical
    return TableRow(
        (
            styled(fan.name),
            styled(units.format_number(speed, unit), "bad" if is_low else ""),
            styled(units.format_number(fan.lower_critical, unit)),
            _health(fan),
        )
    )


def _supply(supply: PowerSupplyDetail) -> TableRow:
    return TableRow(
        (
            styled(supply.name),
            styled(units.format_number(supply.input_watts, " W")),
            styled(units.format_number(supply.output_watts, " W")),
            styled(units.format_number(supply.capacity_watts, " W")),
            styled(units.format_number(supply.efficiency_percent, " %")),
            styled(supply.model),
            _health(supply),
        )
    )


def _drive(drive: DriveDetail) -> TableRow:
    return TableRow(
        (
            styled(drive.name),
            styled(drive.model),
            styled(units.format_bytes(drive.capacity_bytes, "B")),
            styled(" ".join(word for word in (drive.media, drive.protocol) if word)),
            styled(drive.serial),
            _health(drive),
            styled("failure predicted", "bad") if drive.failure_predicted else Text(),
        )
    )


def _operating_system(system: OperatingSystemDetail | None) -> list[Text]:
    if system is None:
        return []
    figures = system.figures

    def usage(used: str, total: str) -> str:
        return f"{units.format_bytes(figures.get(used), 'B')} of {units.format_bytes(figures.get(total), 'B')}"

    pairs = (
        ("CPU", units.format_number(figures.get("cpu_percent"), " %")),
        ("load", " ".join(units.format_number(figures.get(f"load_{minutes}"), digits=2) for minutes in (1, 5, 15))),
        ("memory", usage("memory_used", "memory_total")),
        ("swap", usage("swap_used", "swap_total")),
        ("processes", units.format_number(figures.get("processes"))),
    )
    return [join(_facts(pairs), "   ")]


def _filesystem(filesystem: FilesystemDetail) -> TableRow:
    used, total = filesystem.used, filesystem.total
    share = used / total if used is not None and total else None
    return TableRow(
        (
            styled(filesystem.mountpoint),
            styled(units.format_bytes(used, "B")),
            styled(units.format_bytes(total, "B")),
            styled(units.format_number(None if share is None else 100 * share, " %"), units.limit_tone(share, 1)),
        )
    )


def vm(detail: VmDetail) -> list[TextTable]:
    """Tables of one VM."""
    row = detail.row
    facts = [
        status_text(row.state),
        *([styled("does not answer its hypervisor, values are old", "warn")] if detail.stale else []),
        *_facts(
            [
                ("host", row.host),
                ("UUID", row.uuid),
                ("VMID", detail.vmid),
                ("CPUs", row.cpus),
                ("CPU", units.format_number(row.cpu_percent, " %")),
                ("memory", units.format_kib(row.memory_kib)),
                ("network", units.format_bytes(row.net_bytes_s)),
                ("disks", units.format_bytes(row.disk_bytes_s)),
                ("power (estimate)", units.format_number(detail.watts, " W", 1)),
                *sorted(detail.cloud.items()),
            ]
        ),
    ]
    return [
        TextTable("", rows=[TableRow((join(facts, "   "),))]),
        TextTable("NICs", NICS, [_nic(nic) for nic in detail.nics], "No NICs."),
        TextTable("Disks", DISKS, [_disk(disk) for disk in detail.disks], "No disks."),
        TextTable("Rates and angles", RATES, _rates(detail), "Available after the second poll."),
        TextTable(
            "Memory",
            MEMORY,
            [_memory(name, value) for name, value in detail.memory.items() if value is not None],
        ),
    ]


def _memory(name: str, value: int) -> TableRow:
    text = units.format_number(value) if "fault" in name else units.format_kib(value)
    return TableRow((styled(name.replace("_", " ")), styled(text)))


def _sum(counters: Mapping[str, float | None], *names: str) -> Text:
    values = [value for name in names if (value := counters.get(name)) is not None]
    return styled(units.format_number(sum(values)) if values else None, "warn" if any(values) else "")


def _nic(nic: DeviceDetail) -> TableRow:
    return TableRow(
        (
            styled(nic.name),
            styled(units.format_bytes(nic.rates.get("rxbytes"))),
            styled(units.format_bytes(nic.rates.get("txbytes"))),
            styled(units.format_bytes(nic.counters.get("rxbytes"), "B")),
            styled(units.format_bytes(nic.counters.get("txbytes"), "B")),
            _sum(nic.counters, "rxerrors", "txerrors"),
            _sum(nic.counters, "rxdrops", "txdrops"),
            styled(" ".join(value for value in nic.about.values() if value), "soft"),
        )
    )


def _disk(disk: DeviceDetail) -> TableRow:
    return TableRow(
        (
            styled(disk.name),
            styled(units.format_bytes(disk.rates.get("rd_bytes"))),
            styled(units.format_bytes(disk.rates.get("wr_bytes"))),
            styled(units.format_bytes(disk.counters.get("rd_bytes"), "B")),
            styled(units.format_bytes(disk.counters.get("wr_bytes"), "B")),
            _sum(disk.counters, "errors"),
            styled(" ".join(value for value in disk.about.values() if value), "soft"),
        )
    )


def _rates(detail: VmDetail) -> list[TableRow]:
    return [
        TableRow(
            (
                styled(name),
                styled(units.format_number(rate, digits=1)),
                styled(units.format_number(detail.angles.get(name), "°", 1)),
            )
        )
        for name, rate in sorted(detail.rates.items())
    ]


def alerts(active: AlertPage, past: AlertPage, silences: Iterable[Silence], at: datetime) -> list[TextTable]:
    """Tables of active alerts, silences and the latest transitions."""
    remaining = active.total - len(active.rows)
    more = [TableRow((styled(f"{remaining:,} more: search for them", "soft"),))] if remaining > 0 else []
    return [
        list_tables.alerts(active.rows, at, "No active alerts."),
        TextTable("", rows=more),
        list_tables.silences(silences, at),
        list_tables.transitions(past.rows, at),
    ]


def pipeline(status: PipelineStatus) -> list[TextTable]:
    """Tables of producers, topics, consumer groups and dead letters."""
    missing = f"Missing topics: {', '.join(status.missing)}"
    undecodable = f"{status.undecodable:,} records could not be decoded"
    return [
        TextTable(
            "",
            rows=[
                *([TableRow((styled(missing, "bad"),))] if status.missing else []),
                *([TableRow((styled(undecodable, "warn"),))] if status.undecodable else []),
            ],
        ),
        list_tables.producers(status.producers, status.at),
        list_tables.topics(status.topics),
        list_tables.consumer_groups(status.groups),
        list_tables.dead_letters(status.letters),
    ]
