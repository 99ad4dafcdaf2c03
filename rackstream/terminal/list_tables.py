"""What the lists show: hosts, VMs, alerts, silences, and the pipeline's. Pure: answers in, tables out."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from rich.text import Text

from rackstream.terminal.layout import Column, Row, Table, joined, said, state
from rackstream.text import units
from rackstream.view import answers

HOSTS: Final = (
    Column("Host", wide=12, least=14, sort="name"),
    Column("Health", wide=8, sort="health"),
    Column("Sources", wide=8, least=14, sort="status"),
    Column("Power", right=True, wide=7, sort="watts"),
    Column("Nearest its limit", wide=18, least=17, sort="temperature"),
    Column("VMs", right=True, wide=3, rank=2, sort="vms"),
    Column("CPU", right=True, wide=5, rank=3, sort="cpu"),
    Column("Alerts", right=True, rank=1, sort="alerts"),
    Column("Labels", least=12, rank=4),
    Column("Read", right=True, wide=8, rank=5, sort="seen"),
)
VMS: Final = (
    Column("VM", wide=12, least=14, sort="name"),
    Column("Host", wide=8, least=12, sort="host"),
    Column("State", wide=8, rank=2, sort="state"),
    Column("CPUs", right=True, rank=3),
    Column("CPU", right=True, wide=6, sort="cpu"),
    Column("Memory", right=True, wide=9, rank=1, sort="memory"),
    Column("Network", right=True, wide=10, sort="network"),
    Column("Disks", right=True, wide=10, sort="disk"),
)
ACTIVE: Final = (
    Column("Since", wide=8),
    Column("Severity", wide=8),
    Column("Host", wide=8, least=14),
    Column("Rule", least=12, rank=2),
    Column("What", least=40),
    Column("Muted by", least=12, rank=1),
)
PAST: Final = (
    Column("At", wide=8),
    Column("Transition", least=10),
    Column("Host", wide=8, least=14),
    Column("Rule", least=12, rank=1),
    Column("What", least=32),
)
SILENCES: Final = (
    Column("Matches", least=20),
    Column("Holds", wide=7),
    Column("Until", wide=8),
    Column("Who", least=8, rank=1),
    Column("Why", least=16),
)
PRODUCERS: Final = (
    Column("Producer", least=16),
    Column("State", wide=6),
    Column("Heard", right=True, wide=8),
    Column("Targets", right=True),
    Column("Not read", right=True),
    Column("Records", right=True, rank=2),
    Column("Queued", right=True),
    Column("Spooled", right=True),
    Column("Oldest", right=True, rank=1),
    Column("Dropped", right=True),
    Column("Polls", right=True, rank=3),
)
TOPICS: Final = (
    Column("Topic", least=20),
    Column("Partitions", right=True, rank=1),
    Column("Records", right=True, wide=9),
    Column("Per s", right=True, wide=8),
)
GROUPS: Final = (
    Column("Group", least=16),
    Column("Topic", least=16),
    Column("State", rank=1),
    Column("Behind", right=True, wide=6),
)
LETTERS: Final = (Column("Stage"), Column("Reason", least=16), Column("Records", right=True))


def hosts(page: answers.HostPage, at: datetime) -> Table:
    """A page of hosts."""
    return Table("Hosts", HOSTS, [_host(row, at) for row in page.rows], empty="No host.")


def _host(host: answers.HostRow, at: datetime) -> Row:
    labels = " ".join(f"{name}={value}" for name, value in sorted(host.labels.items()))
    cells = (
        said(host.name),
        state(host.health),
        joined(state(word, name) for name, word in sorted(host.statuses.items())),
        said(units.number(host.watts, " W")),
        hottest(host.hottest),
        said(units.number(host.vms)),
        said(units.number(host.cpu_percent, " %")),
        said(host.alerts, "bad" if host.alerts else "soft"),
        said(labels, "soft"),
        said(units.age(host.seen_at, at), "soft"),
    )
    return Row(cells, ("host", host.name))


def hottest(hot: answers.Hottest | None) -> Text:
    """The reading nearest its limit: how warm, its limit, which sensor."""
    if hot is None:
        return said(None)
    limit = f" of {hot.limit_celsius:.0f}" if hot.limit_celsius else ""
    reading = said(f"{hot.celsius:.1f} °C", units.near(hot.celsius, hot.limit_celsius))
    return reading + said(f"{limit} {hot.sensor}", "soft")


def vms(rows: Iterable[answers.VmRow]) -> Table:
    """VMs of one host or of all."""
    return Table("VMs", VMS, [_vm(row) for row in rows], empty="No VM.")


def _vm(vm: answers.VmRow) -> Row:
    cells = (
        said(vm.name),
        said(vm.host),
        state(vm.state),
        said(units.number(vm.cpus)),
        said(units.number(vm.cpu_percent, " %")),
        said(units.kib(vm.memory_kib)),
        said(units.size(vm.net_bytes_s)),
        said(units.size(vm.disk_bytes_s)),
    )
    return Row(cells, ("vm", vm.host, vm.uuid))


def alerts(page: Sequence[answers.Alert], at: datetime, empty: str = "") -> Table:
    """Active alerts."""
    rows = [_alert(each, at) for each in page]
    if any(each.muted_by for each in page):
        return Table("Active alerts", ACTIVE, rows, empty)
    return Table("Active alerts", ACTIVE[:-1], [replace(row, cells=row.cells[:-1]) for row in rows], empty)


def _alert(each: answers.Alert, at: datetime) -> Row:
    cells = (
        moment(each.started_at, at),
        state(each.severity),
        said(each.host),
        said(each.rule),
        said(each.text),
        said(", ".join(each.muted_by)),
    )
    return Row(cells, ("alert", each.id))


def transitions(page: Iterable[answers.Alert], at: datetime) -> Table:
    """How alerts came and went."""
    rows = [_transition(each, at) for each in page]
    return Table("Last transitions", PAST, rows, "No alert has come or gone yet.")


def _transition(each: answers.Alert, at: datetime) -> Row:
    told = each.transition + (f" ({each.cause})" if each.cause else "")
    tone = units.tone(each.transition if each.transition == "cleared" else each.severity)
    cells = (moment(each.observed_at, at), said(told, tone), said(each.host), said(each.rule), said(each.text))
    return Row(cells, ("alert", each.id))


def silences(known: Iterable[Mapping[str, Any]], at: datetime) -> Table:
    """Those that hold now or will."""
    return Table("Silences", SILENCES, [_silence(each, at) for each in known if each["ends_at"] > at])


def _silence(each: Mapping[str, Any], at: datetime) -> Row:
    matchers = " ".join(f"{matcher['name']}={matcher['pattern']}" for matcher in each["matchers"])
    holds = "not yet" if each["starts_at"] > at else "now"
    return Row((said(matchers), said(holds), moment(each["ends_at"], at), said(each["who"]), said(each["why"])))


def moment(when: datetime, now: datetime) -> Text:
    """A moment, UTC: the time alone while it is of this day."""
    return said(f"{when:%H:%M:%S}" if when.date() == now.date() else f"{when:%m-%d %H:%M}", "soft")


def producers(rows: Iterable[answers.Producer], at: datetime) -> Table:
    """Producers, and what waits at them."""
    return Table("Producers", PRODUCERS, [_producer(row, at) for row in rows], "No producer has been heard.")


def _producer(each: answers.Producer, at: datetime) -> Row:
    spooled = f"{each.spooled:,} ({units.size(each.spooled_bytes, 'B')})" if each.spooled else "0"
    oldest = units.span((at - each.spool_oldest_at).total_seconds()) if each.spool_oldest_at else None
    dropped = f"{each.dropped:,}" + (f" ({each.rejected:,} refused)" if each.rejected else "")
    queued = said(f"{each.queued:,}", "warn" if each.queued > units.MANY_QUEUED else "")
    cells = (
        said(each.name),
        state(each.status),
        said(units.age(each.observed_at, at), "soft"),
        said(units.number(each.targets)),
        said(f"{each.failing:,}", "bad" if each.failing else ""),
        said(units.number(each.records)),
        queued,
        said(spooled, "warn" if each.spooled else ""),
        said(oldest),
        said(dropped, "bad" if each.dropped else ""),
        said(units.number(each.polls)),
    )
    return Row(cells)


def topics(rows: Iterable[answers.TopicRow]) -> Table:
    """Topics: how much is on them, and how fast it comes."""
    return Table("Topics", TOPICS, [_topic(row) for row in rows], "No topic.")


def _topic(each: answers.TopicRow) -> Row:
    rate = units.number(each.records_s, digits=1)
    partitions, records = units.number(each.partitions), units.number(each.records)
    return Row((said(each.name), said(partitions), said(records), said(rate)))


def groups(rows: Iterable[answers.GroupRow]) -> Table:
    """How far consumer groups are behind."""
    return Table("Consumer groups", GROUPS, [_group(row) for row in rows], "No group reads a topic of ours.")


def _group(each: answers.GroupRow) -> Row:
    behind = said(f"{each.lag:,}", "warn" if each.lag > units.MANY_BEHIND else "")
    return Row((said(each.group), said(each.topic), said(each.state.lower()), behind))


def letters(rows: Iterable[answers.LetterRow]) -> Table:
    """Dead letters."""
    found = [Row((said(row.stage), said(row.reason), said(f"{row.count:,}", "warn"))) for row in rows]
    return Table("Dead letters", LETTERS, found, "Nothing was refused.")
