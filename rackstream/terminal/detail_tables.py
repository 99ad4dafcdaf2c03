"""What the views of one host, one VM and the alerts, and of the pipeline, are made of. Pure: answers in, tables out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

from rich.text import Text

from rackstream.terminal import list_tables
from rackstream.terminal.layout import Column, Row, Table, joined, said, state
from rackstream.text import units
from rackstream.view import answers, detail_answers

TARGETS: Final = (
    Column("Source", wide=7),
    Column("Status", wide=8),
    Column("Since", right=True, wide=8),
    Column("Told", right=True, wide=8, rank=1),
    Column("A poll took", right=True, rank=2),
    Column("Address", least=16, rank=4),
    Column("By", least=12, rank=5),
    Column("Detail", least=16, rank=3),
)
TEMPERATURES: Final = (
    Column("Sensor", wide=16, least=20),
    Column("Now", right=True, wide=8),
    Column("Critical", right=True, wide=8),
    Column("Fatal", right=True, wide=6, rank=1),
    Column("Health"),
)
FANS: Final = (
    Column("Fan", wide=16, least=20),
    Column("Speed", right=True, wide=10),
    Column("Lowest", right=True, wide=10),
    Column("Health"),
)
SUPPLIES: Final = (
    Column("Supply", wide=16, least=16),
    Column("In", right=True, wide=7),
    Column("Out", right=True, wide=7),
    Column("Capacity", right=True, wide=8),
    Column("Efficiency", right=True, rank=2),
    Column("Model", least=10, rank=1),
    Column("Health"),
)
DRIVES: Final = (
    Column("Drive", wide=16, least=16),
    Column("Model", least=12, rank=1),
    Column("Capacity", right=True, wide=8),
    Column("Kind", rank=2),
    Column("Serial", least=10, rank=3),
    Column("Health", least=8),
    Column("", rank=1),
)
FILESYSTEMS: Final = (
    Column("Mounted at", wide=16, least=20),
    Column("Used", right=True, wide=9),
    Column("Of", right=True, wide=9),
    Column("Share", right=True, wide=6),
)
NICS: Final = (
    Column("NIC", wide=8),
    Column("Received", right=True, wide=11),
    Column("Sent", right=True, wide=11),
    Column("Received in all", right=True, wide=9, rank=2),
    Column("Sent in all", right=True, wide=9, rank=2),
    Column("Errors", right=True),
    Column("Drops", right=True),
    Column("About", least=12, rank=1),
)
DISKS: Final = (
    Column("Disk", wide=8),
    Column("Read", right=True, wide=11),
    Column("Written", right=True, wide=11),
    Column("Read in all", right=True, wide=9, rank=2),
    Column("Written in all", right=True, wide=9, rank=2),
    Column("Errors", right=True),
    Column("About", least=12, rank=1),
)
RATES: Final = (
    Column("Counter", wide=20, least=20),
    Column("Per second", right=True, wide=14),
    Column("Angle", right=True, wide=8),
)
MEMORY: Final = (Column("Memory", wide=20), Column("Now", right=True, wide=10))


def host(found: detail_answers.Host, at: datetime) -> list[Table]:
    """All of a host, what matters most first."""
    return [
        Table("", rows=[Row((joined(_about(found), "   "),))]),
        Table("Sources", TARGETS, [_target(target, at) for target in found.targets], "No source reads it now."),
        list_tables.alerts(found.alerts, at),
        Table("Findings", rows=[Row((said(finding, "warn"),)) for finding in found.findings]),
        list_tables.vms(found.vms) if found.vms else Table("VMs"),
        Table("Temperatures", TEMPERATURES, [_temperature(temperature) for temperature in found.temperatures]),
        Table("Fans", FANS, [_fan(fan) for fan in found.fans]),
        Table("Power supplies", SUPPLIES, [_supply(supply) for supply in found.supplies]),
        Table("Drives", DRIVES, [_drive(drive) for drive in found.drives]),
        Table("Operating system", rows=[Row((each,)) for each in _own(found.own)]),
        Table(
            "Filesystems",
            FILESYSTEMS,
            [_filesystem(filesystem) for filesystem in found.own.filesystems] if found.own else [],
        ),
    ]


def _pairs(pairs: Iterable[tuple[str, object]]) -> list[Text]:
    """Names with values; those without a value are left out."""
    return [said(f"{name} ", "soft") + said(value) for name, value in pairs if value]


def _about(found: detail_answers.Host) -> list[Text]:
    pairs: list[tuple[str, object]] = []
    for system in found.systems[:2]:
        memory = units.number(system.memory_gib, " GiB") if system.memory_gib else None
        pairs += [
            ("model", " ".join(word for word in (system.manufacturer, system.model) if word)),
            ("serial", system.serial),
            ("BIOS", system.bios),
            ("power", system.power_state),
            ("CPUs", system.processors),
            ("memory", memory),
        ]
    pairs.append(("BMC firmware", ", ".join(sorted({target.firmware for target in found.targets if target.firmware}))))
    available = found.power.get("available_watts")
    of = f" of {available:,.0f} W" if available else ""
    pairs.append(("consumes", None if found.row.watts is None else f"{found.row.watts:,.0f} W{of}"))
    labels = [said(f"{name}={value}", "soft") for name, value in sorted(found.row.labels.items())]
    return [state(found.row.health, "health"), *_pairs(pairs), *labels]


def _target(each: detail_answers.Target, at: datetime) -> Row:
    return Row(
        (
            said(each.source),
            state(each.status),
            said(units.age(each.since, at), "soft"),
            said(units.age(each.observed_at, at), "soft"),
            said(units.number(each.duration_s, " s", 2)),
            said(each.address, "soft"),
            said(each.producer, "soft"),
            said(each.detail),
        )
    )


def _health(
    part: detail_answers.Temperature | detail_answers.Fan | detail_answers.Supply | detail_answers.Drive,
) -> Text:
    """Health, and the state where it is not simply enabled."""
    word = state(part.health)
    return word if part.state in (None, "Enabled") else word + said(f" {part.state}", "soft")


def _temperature(each: detail_answers.Temperature) -> Row:
    now = units.number(each.celsius, " °C", 1)
    return Row(
        (
            said(each.name),
            said(now, units.near(each.celsius, each.upper_critical)),
            said(units.number(each.upper_critical, " °C")),
            said(units.number(each.upper_fatal, " °C")),
            _health(each),
        )
    )


def _fan(each: detail_answers.Fan) -> Row:
    speed, unit = (each.rpm, " RPM") if each.percent is None else (each.percent, " %")
    low = "bad" if speed is not None and each.lower_critical is not None and speed <= each.lower_critical else ""
    return Row(
        (
            said(each.name),
            said(units.number(speed, unit), low),
            said(units.number(each.lower_critical, unit)),
            _health(each),
        )
    )


def _supply(each: detail_answers.Supply) -> Row:
    return Row(
        (
            said(each.name),
            said(units.number(each.input_watts, " W")),
            said(units.number(each.output_watts, " W")),
            said(units.number(each.capacity_watts, " W")),
            said(units.number(each.efficiency_percent, " %")),
            said(each.model),
            _health(each),
        )
    )


def _drive(each: detail_answers.Drive) -> Row:
    return Row(
        (
            said(each.name),
            said(each.model),
            said(units.size(each.capacity_bytes, "B")),
            said(" ".join(word for word in (each.media, each.protocol) if word)),
            said(each.serial),
            _health(each),
            said("failure predicted", "bad") if each.failure_predicted else Text(),
        )
    )


def _own(own: detail_answers.Own | None) -> list[Text]:
    if own is None:
        return []
    known = own.figures
    load = " ".join(units.number(known.get(f"load_{minutes}"), digits=2) for minutes in (1, 5, 15))
    memory = f"{units.size(known.get('memory_used'), 'B')} of {units.size(known.get('memory_total'), 'B')}"
    swap = f"{units.size(known.get('swap_used'), 'B')} of {units.size(known.get('swap_total'), 'B')}"
    pairs = (
        ("CPU", units.number(known.get("cpu_percent"), " %")),
        ("load", load),
        ("memory", memory),
        ("swap", swap),
        ("processes", units.number(known.get("processes"))),
    )
    return [joined(_pairs(pairs), "   ")]


def _filesystem(each: Mapping[str, Any]) -> Row:
    used, total = each["used"], each["total"]
    share = used / total if used is not None and total else None
    return Row(
        (
            said(each["mountpoint"]),
            said(units.size(used, "B")),
            said(units.size(total, "B")),
            said(units.number(None if share is None else 100 * share, " %"), units.near(share, 1)),
        )
    )


def vm(found: detail_answers.Vm) -> list[Table]:
    """All of a VM."""
    row = found.row
    about = [
        state(row.state),
        *([said("does not answer its hypervisor: figures are old", "warn")] if found.stale else []),
        *_pairs(
            [
                ("on", row.host),
                ("UUID", row.uuid),
                ("number", found.vmid),
                ("CPUs", row.cpus),
                ("CPU", units.number(row.cpu_percent, " %")),
                ("memory", units.kib(row.memory_kib)),
                ("network", units.size(row.net_bytes_s)),
                ("disks", units.size(row.disk_bytes_s)),
                ("power, an estimate", units.number(found.watts, " W", 1)),
                *sorted(found.cloud.items()),
            ]
        ),
    ]
    memory = [
        Row((said(name.replace("_", " ")), said(units.number(value) if "fault" in name else units.kib(value))))
        for name, value in found.memory.items()
        if value is not None
    ]
    return [
        Table("", rows=[Row((joined(about, "   "),))]),
        Table("NICs", NICS, [_nic(nic) for nic in found.nics], "It has no NIC."),
        Table("Disks", DISKS, [_disk(disk) for disk in found.disks], "It has no disk."),
        Table("Rates and angles", RATES, _rates(found), "They come with the second poll."),
        Table("Memory", MEMORY, memory),
    ]


def _sum(figures_: Mapping[str, float | None], *names: str) -> Text:
    known = [value for name in names if (value := figures_.get(name)) is not None]
    return said(units.number(sum(known)) if known else None, "warn" if any(known) else "")


def _nic(each: detail_answers.Device) -> Row:
    return Row(
        (
            said(each.name),
            said(units.size(each.rates.get("rxbytes"))),
            said(units.size(each.rates.get("txbytes"))),
            said(units.size(each.counters.get("rxbytes"), "B")),
            said(units.size(each.counters.get("txbytes"), "B")),
            _sum(each.counters, "rxerrors", "txerrors"),
            _sum(each.counters, "rxdrops", "txdrops"),
            said(" ".join(value for value in each.about.values() if value), "soft"),
        )
    )


def _disk(each: detail_answers.Device) -> Row:
    return Row(
        (
            said(each.name),
            said(units.size(each.rates.get("rd_bytes"))),
            said(units.size(each.rates.get("wr_bytes"))),
            said(units.size(each.counters.get("rd_bytes"), "B")),
            said(units.size(each.counters.get("wr_bytes"), "B")),
            _sum(each.counters, "errors"),
            said(" ".join(value for value in each.about.values() if value), "soft"),
        )
    )


def _rates(found: detail_answers.Vm) -> list[Row]:
    return [
        Row((said(name), said(units.number(value, digits=1)), said(units.number(found.angles.get(name), "°", 1))))
        for name, value in sorted(found.rates.items())
    ]


def alerts(
    active: answers.AlertPage, past: answers.AlertPage, silences: Iterable[Mapping[str, Any]], at: datetime
) -> list[Table]:
    """Alerts that are active, silences, and the last transitions."""
    left = active.total - len(active.rows)
    more = Table("", rows=[Row((said(f"{left:,} more: search for them", "soft"),))] if left > 0 else [])
    return [
        list_tables.alerts(active.rows, at, "No alert is active."),
        more,
        list_tables.silences(silences, at),
        list_tables.transitions(past.rows, at),
    ]


def pipeline(found: answers.Pipeline) -> list[Table]:
    """How the pipeline itself stands."""
    missing = [Row((said(f"not there: {', '.join(found.missing)}", "bad"),))] if found.missing else []
    unread = [Row((said(f"{found.undecodable:,} could not be read", "warn"),))] if found.undecodable else []
    return [
        Table("", rows=[*missing, *unread]),
        list_tables.producers(found.producers, found.at),
        list_tables.topics(found.topics),
        list_tables.groups(found.groups),
        list_tables.letters(found.letters),
    ]
