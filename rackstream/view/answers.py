"""What the view answers: one shape per question, for the terminal, the page and the API alike. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Hottest:
    """The temperature of a host that is nearest its limit."""

    sensor: str
    celsius: float
    limit_celsius: float | None
    """Upper critical threshold; None: the BMC tells none."""
    nearness: float
    """Reading over limit; without one, over 100 °C."""


@dataclass(frozen=True, slots=True)
class HotSensor(Hottest):
    """The same with its host."""

    host: str


@dataclass(frozen=True, slots=True)
class HostRow:
    """One host in a list."""

    name: str
    health: str
    """ok, warning, critical or unknown, as its BMC tells."""
    statuses: dict[str, str]
    """Source → up, slow, partial, late, auth_failed, unreachable, stopped or unknown."""
    watts: float | None
    hottest: Hottest | None
    vms: int | None
    """None: no hypervisor."""
    cpu_percent: float | None
    alerts: int
    """Active ones."""
    seen_at: datetime | None
    """When the newest of its readings was taken."""
    labels: dict[str, str]


@dataclass(frozen=True, slots=True)
class HostPage:
    """Some of the hosts that were asked for."""

    total: int
    """All that were asked for."""
    offset: int
    rows: list[HostRow]


@dataclass(frozen=True, slots=True)
class Overview:
    """The fleet at a glance."""

    at: datetime
    hosts: int
    health: dict[str, int]
    """Hosts by health."""
    statuses: dict[str, int]
    """Targets by status."""
    watts: float | None
    """Of the hosts that tell theirs."""
    vms: int
    alerts: dict[str, int]
    """Active alerts by severity."""
    hottest: list[HotSensor]
    """Of the ten hosts that are nearest their limits."""
    records_s: float | None
    """Records per second on all topics; None: not known yet."""
    topics: list[TopicRow]
    silent: list[str]
    """Producers that are not heard."""


@dataclass(frozen=True, slots=True)
class TopicRow:
    """One topic."""

    alias: str
    name: str
    partitions: int
    records: int | None
    """Offsets from its first to its end; of a compacted topic not all of them are left. None: not known."""
    records_s: float | None
    """Appended per second of late; None: not known yet."""


@dataclass(frozen=True, slots=True)
class VmRow:
    """One VM in a list."""

    host: str
    uuid: str
    name: str
    state: str
    cpus: int | None
    memory_kib: int | None
    """In use."""
    cpu_percent: float | None
    """Of one CPU: two busy ones are 200."""
    net_bytes_s: float | None
    disk_bytes_s: float | None


@dataclass(frozen=True, slots=True)
class VmPage:
    """Some of the VMs that were asked for."""

    total: int
    offset: int
    rows: list[VmRow]


@dataclass(frozen=True, slots=True)
class Alert:
    """An alert, or one transition of it."""

    id: str
    revision: int
    transition: str
    """raised, updated or cleared."""
    active: bool
    severity: str
    host: str
    rule: str
    component: str
    category: str
    value: float | None
    threshold: float | None
    text: str
    """For people; of a cleared one with the value now."""
    started_at: datetime
    observed_at: datetime
    cause: str | None
    """Why it was cleared: recovered, gone or unknown."""
    labels: dict[str, str]
    muted_by: list[str]
    """What keeps an active one from being delivered now; empty: nothing."""
    pack: str
    """Fingerprint of the rules that raised it."""


@dataclass(frozen=True, slots=True)
class AlertCounts:
    """Alerts since the view's look-back."""

    active: int
    raised: int
    cleared: int


@dataclass(frozen=True, slots=True)
class AlertPage:
    """Some of the alerts that were asked for."""

    total: int
    offset: int
    rows: list[Alert]


@dataclass(frozen=True, slots=True)
class AlertStory:
    """One alert: its newest transition, and those before that are still known, oldest first."""

    alert: Alert
    transitions: list[Alert]


@dataclass(frozen=True, slots=True)
class Producer:
    """One producer process, by its newest heartbeat."""

    name: str
    source: str
    status: str
    """alive, silent, stopped or unknown."""
    observed_at: datetime | None
    interval_s: float | None
    targets: int
    polls: int
    failures: int
    records: int
    dropped: int
    queued: int
    """Records that Kafka has not taken yet."""
    spooled: int
    """Those of them that wait on the producer's disk."""
    spooled_bytes: int
    spool_oldest_at: datetime | None
    """When the oldest of them was handed over; None: none waits."""
    rejected: int
    """Records that Kafka refused for good, kept in a file beside the spool; counted in dropped, too."""
    failing: int
    """Targets that it cannot read."""


@dataclass(frozen=True, slots=True)
class GroupRow:
    """How far one consumer group is behind one topic."""

    group: str
    topic: str
    state: str
    """As Kafka says: stable, empty, …"""
    lag: int
    """Records that it has not committed."""


@dataclass(frozen=True, slots=True)
class LetterRow:
    """Open dead letters of one stage and reason."""

    stage: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class Pipeline:
    """How the pipeline itself stands."""

    at: datetime
    ready: bool
    """The view has read what there was when it began."""
    kafka: str
    """Empty: Kafka answers; else what is wrong."""
    asked_at: datetime | None
    """When topics and groups were last asked."""
    producers: list[Producer]
    topics: list[TopicRow]
    groups: list[GroupRow]
    letters: list[LetterRow]
    """Of those written since the view's look-back."""
    missing: list[str]
    """Topics that are not there."""
    undecodable: int
    """Records that the view could not read."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened, in the order in which the view learnt it."""

    number: int
    kind: str
    """alert, status, health, host or producer."""
    data: dict[str, Any]
