"""Tables of hosts, VMs, alerts, silences, producers, topics, consumer groups and dead letters. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from rich.text import Text

from rackstream.terminal.layout import TableColumn, TableRow, TextTable, join, status_text, styled
from rackstream.text import units
from rackstream.view.answers import (
    AlertRow,
    ConsumerGroupRow,
    DeadLetterRow,
    HostPage,
    HostRow,
    HottestReading,
    ProducerRow,
    TopicRow,
    VmRow,
)
from schemas.records import Silence

HOSTS: Final = (
    TableColumn("Host", min_width=12, shrink_to=14, sort="name"),
    TableColumn("Health", min_width=8, sort="health"),
    TableColumn("Sources", min_width=8, shrink_to=14, sort="status"),
    TableColumn("Power", align_right=True, min_width=7, sort="watts"),
    TableColumn("Hottest sensor", min_width=18, shrink_to=17, sort="temperature"),
    TableColumn("VMs", align_right=True, min_width=3, drop_rank=2, sort="vms"),
    TableColumn("CPU", align_right=True, min_width=5, drop_rank=3, sort="cpu"),
    TableColumn("Alerts", align_right=True, drop_rank=1, sort="alerts"),
    TableColumn("Labels", shrink_to=12, drop_rank=4),
    TableColumn("Last reading", align_right=True, min_width=8, drop_rank=5, sort="seen"),
)
VMS: Final = (
    TableColumn("VM", min_width=12, shrink_to=14, sort="name"),
    TableColumn("Host", min_width=8, shrink_to=12, sort="host"),
    TableColumn("State", min_width=8, drop_rank=2, sort="state"),
    TableColumn("CPUs", align_right=True, drop_rank=3),
    TableColumn("CPU", align_right=True, min_width=6, sort="cpu"),
    TableColumn("Memory", align_right=True, min_width=9, drop_rank=1, sort="memory"),
    TableColumn("Network", align_right=True, min_width=10, sort="network"),
    TableColumn("Disks", align_right=True, min_width=10, sort="disk"),
)
ACTIVE_ALERTS: Final = (
    TableColumn("Start", min_width=8),
    TableColumn("Severity", min_width=8),
    TableColumn("Host", min_width=8, shrink_to=14),
    TableColumn("Rule", shrink_to=12, drop_rank=2),
    TableColumn("Description", shrink_to=40),
    TableColumn("Muted by", shrink_to=12, drop_rank=1),
)
TRANSITIONS: Final = (
    TableColumn("Time", min_width=8),
    TableColumn("Transition", shrink_to=10),
    TableColumn("Host", min_width=8, shrink_to=14),
    TableColumn("Rule", shrink_to=12, drop_rank=1),
    TableColumn("Description", shrink_to=32),
)
SILENCES: Final = (
    TableColumn("Matchers", shrink_to=20),
    TableColumn("State", min_width=7),
    TableColumn("End", min_width=8),
    TableColumn("Author", shrink_to=8, drop_rank=1),
    TableColumn("Reason", shrink_to=16),
)
PRODUCERS: Final = (
    TableColumn("Producer", shrink_to=16),
    TableColumn("State", min_width=6),
    TableColumn("Last heartbeat", align_right=True, min_width=8),
    TableColumn("Targets", align_right=True),
    TableColumn("Failing", align_right=True),
    TableColumn("Records", align_right=True, drop_rank=2),
    TableColumn("Queued", align_right=True),
    TableColumn("Spooled", align_right=True),
    TableColumn("Oldest", align_right=True, drop_rank=1),
    TableColumn("Dropped", align_right=True),
    TableColumn("Polls", align_right=True, drop_rank=3),
)
TOPICS: Final = (
    TableColumn("Topic", shrink_to=20),
    TableColumn("Partitions", align_right=True, drop_rank=1),
    TableColumn("Records", align_right=True, min_width=9),
    TableColumn("Records/s", align_right=True, min_width=8),
)
CONSUMER_GROUPS: Final = (
    TableColumn("Group", shrink_to=16),
    TableColumn("Topic", shrink_to=16),
    TableColumn("State", drop_rank=1),
    TableColumn("Lag", align_right=True, min_width=6),
)
DEAD_LETTERS: Final = (
    TableColumn("Stage"),
    TableColumn("Reason", shrink_to=16),
    TableColumn("Records", align_right=True),
)


def hosts(page: HostPage, at: datetime) -> TextTable:
    """A page of hosts."""
    return TextTable("Hosts", HOSTS, [_host(row, at) for row in page.rows], empty="No hosts.")


def _host(host: HostRow, at: datetime) -> TableRow:
    labels = " ".join(f"{name}={value}" for name, value in sorted(host.labels.items()))
    cells = (
        styled(host.name),
        status_text(host.health),
        join(status_text(status, source) for source, status in sorted(host.statuses.items())),
        styled(units.format_number(host.watts, " W")),
        hottest(host.hottest),
        styled(units.format_number(host.vms)),
        styled(units.format_number(host.cpu_percent, " %")),
        styled(host.alerts, "bad" if host.alerts else "soft"),
        styled(labels, "soft"),
        styled(units.format_age(host.seen_at, at), "soft"),
    )
    return TableRow(cells, ("host", host.name))


def hottest(reading: HottestReading | None) -> Text:
    """The reading closest to its limit: temperature, limit, sensor."""
    if reading is None:
        return styled(None)
    limit = f" of {reading.limit_celsius:.0f}" if reading.limit_celsius else ""
    celsius = styled(f"{reading.celsius:.1f} °C", units.limit_tone(reading.celsius, reading.limit_celsius))
    return celsius + styled(f"{limit} {reading.sensor}", "soft")


def vms(rows: Iterable[VmRow]) -> TextTable:
    """VMs of one host or of all."""
    return TextTable("VMs", VMS, [_vm(row) for row in rows], empty="No VMs.")


def _vm(vm: VmRow) -> TableRow:
    cells = (
        styled(vm.name),
        styled(vm.host),
        status_text(vm.state),
        styled(units.format_number(vm.cpus)),
        styled(units.format_number(vm.cpu_percent, " %")),
        styled(units.format_kib(vm.memory_kib)),
        styled(units.format_bytes(vm.net_bytes_s)),
        styled(units.format_bytes(vm.disk_bytes_s)),
    )
    return TableRow(cells, ("vm", vm.host, vm.uuid))


def alerts(rows: Sequence[AlertRow], at: datetime, empty: str = "") -> TextTable:
    """Active alerts; the column of mutes is left out if none is muted."""
    table = TextTable("Active alerts", ACTIVE_ALERTS, [_alert(row, at) for row in rows], empty)
    if any(row.muted_by for row in rows):
        return table
    return replace(table, columns=ACTIVE_ALERTS[:-1], rows=[replace(row, cells=row.cells[:-1]) for row in table.rows])


def _alert(alert: AlertRow, at: datetime) -> TableRow:
    cells = (
        format_moment(alert.started_at, at),
        status_text(alert.severity),
        styled(alert.host),
        styled(alert.rule),
        styled(alert.text),
        styled(", ".join(alert.muted_by)),
    )
    return TableRow(cells, ("alert", alert.id))


def transitions(rows: Iterable[AlertRow], at: datetime) -> TextTable:
    """Latest transitions of alerts."""
    return TextTable("Last transitions", TRANSITIONS, [_transition(row, at) for row in rows], "No transitions yet.")


def _transition(alert: AlertRow, at: datetime) -> TableRow:
    transition = alert.transition + (f" ({alert.cause})" if alert.cause else "")
    tone = units.tone(alert.transition if alert.transition == "cleared" else alert.severity)
    cells = (
        format_moment(alert.observed_at, at),
        styled(transition, tone),
        styled(alert.host),
        styled(alert.rule),
        styled(alert.text),
    )
    return TableRow(cells, ("alert", alert.id))


def silences(records: Iterable[Silence], at: datetime) -> TextTable:
    """Active and pending silences."""
    return TextTable("Silences", SILENCES, [_silence(silence, at) for silence in records if silence["ends_at"] > at])


def _silence(silence: Silence, at: datetime) -> TableRow:
    matchers = " ".join(f"{matcher['name']}={matcher['pattern']}" for matcher in silence["matchers"])
    state = "pending" if silence["starts_at"] > at else "active"
    return TableRow(
        (
            styled(matchers),
            styled(state),
            format_moment(silence["ends_at"], at),
            styled(silence["who"]),
            styled(silence["why"]),
        )
    )


def format_moment(at: datetime, now: datetime) -> Text:
    """A UTC time; without its date if it is today."""
    return styled(f"{at:%H:%M:%S}" if at.date() == now.date() else f"{at:%m-%d %H:%M}", "soft")


def producers(rows: Iterable[ProducerRow], at: datetime) -> TextTable:
    """Producers with their queues and spools."""
    return TextTable("Producers", PRODUCERS, [_producer(row, at) for row in rows], "No producers yet.")


def _producer(producer: ProducerRow, at: datetime) -> TableRow:
    spool_bytes = units.format_bytes(producer.spooled_bytes, "B")
    spooled = f"{producer.spooled:,} ({spool_bytes})" if producer.spooled else "0"
    oldest_at = producer.spool_oldest_at
    oldest = units.format_duration((at - oldest_at).total_seconds()) if oldest_at else None
    dropped = f"{producer.dropped:,}" + (f" ({producer.rejected:,} rejected)" if producer.rejected else "")
    cells = (
        styled(producer.name),
        status_text(producer.status),
        styled(units.format_age(producer.observed_at, at), "soft"),
        styled(units.format_number(producer.targets)),
        styled(f"{producer.failing:,}", "bad" if producer.failing else ""),
        styled(units.format_number(producer.records)),
        styled(f"{producer.queued:,}", "warn" if producer.queued > units.QUEUE_WARNING_RECORDS else ""),
        styled(spooled, "warn" if producer.spooled else ""),
        styled(oldest),
        styled(dropped, "bad" if producer.dropped else ""),
        styled(units.format_number(producer.polls)),
    )
    return TableRow(cells)


def topics(rows: Iterable[TopicRow]) -> TextTable:
    """Topics with record counts and append rates."""
    return TextTable("Topics", TOPICS, [_topic(row) for row in rows], "No topics.")


def _topic(topic: TopicRow) -> TableRow:
    return TableRow(
        (
            styled(topic.name),
            styled(units.format_number(topic.partitions)),
            styled(units.format_number(topic.records)),
            styled(units.format_number(topic.records_s, digits=1)),
        )
    )


def consumer_groups(rows: Iterable[ConsumerGroupRow]) -> TextTable:
    """Consumer groups with their lag."""
    table_rows = [_consumer_group(row) for row in rows]
    return TextTable("Consumer groups", CONSUMER_GROUPS, table_rows, "No consumer groups on these topics.")


def _consumer_group(group: ConsumerGroupRow) -> TableRow:
    lag = styled(f"{group.lag:,}", "warn" if group.lag > units.LAG_WARNING_RECORDS else "")
    return TableRow((styled(group.group), styled(group.topic), styled(group.state.lower()), lag))


def dead_letters(rows: Iterable[DeadLetterRow]) -> TextTable:
    """Dead letters by stage and reason."""
    table_rows = [TableRow((styled(row.stage), styled(row.reason), styled(f"{row.count:,}", "warn"))) for row in rows]
    return TextTable(
        "Dead letters", DEAD_LETTERS, table_rows, "No dead letters. Inspect them with `rackstream dead-letters`."
    )
