"""Answers of the view to list queries, shared by the terminal, the web page and the REST API. Values only.

Field names are the keys of the REST API's JSON.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

KAFKA_NOT_CONTACTED: Final = "not contacted yet"
"""Stands for Kafka's error until the first request has been answered."""


@dataclass(frozen=True, slots=True)
class HottestReading:
    """Temperature of a host that is closest to its limit."""

    sensor: str
    celsius: float
    limit_celsius: float | None
    """Upper critical threshold; None if the sensor reports none."""
    nearness: float
    """Reading divided by its limit, or by 100 °C where there is no limit."""


@dataclass(frozen=True, slots=True)
class HotSensor(HottestReading):
    """Temperature closest to its limit, with its host."""

    host: str


@dataclass(frozen=True, slots=True)
class HostRow:
    """A host in a list."""

    name: str
    health: str
    """ok, warning, critical or unknown, as reported by its BMC."""
    statuses: dict[str, str]
    """Source → up, slow, partial, late, auth_failed, unreachable, stopped or unknown."""
    watts: float | None
    hottest: HottestReading | None
    vms: int | None
    """None: not a hypervisor."""
    cpu_percent: float | None
    alerts: int
    """Active alerts."""
    seen_at: datetime | None
    """Time of the newest reading."""
    labels: dict[str, str]


@dataclass(frozen=True, slots=True)
class HostPage:
    """A page of the hosts that match a query."""

    total: int
    """Hosts on all pages."""
    offset: int
    rows: list[HostRow]


@dataclass(frozen=True, slots=True)
class Overview:
    """Totals of the whole fleet."""

    at: datetime
    hosts: int
    health: dict[str, int]
    """Hosts by health."""
    statuses: dict[str, int]
    """Targets by status."""
    watts: float | None
    """Sum over the hosts that report power."""
    vms: int
    alerts: dict[str, int]
    """Active alerts by severity."""
    hottest: list[HotSensor]
    """The ten hosts closest to their temperature limits, hottest first."""
    records_s: float | None
    """Records per second on all topics; None until two measurements exist."""
    topics: list[TopicRow]
    silent: list[str]
    """Producers whose heartbeats are missing."""


@dataclass(frozen=True, slots=True)
class TopicRow:
    """A topic in a list."""

    alias: str
    name: str
    partitions: int
    records: int | None
    """End offset minus start offset; a compacted topic holds fewer records. None: not measured yet."""
    records_s: float | None
    """Recent append rate per second; None until two measurements exist."""


@dataclass(frozen=True, slots=True)
class VmRow:
    """A VM in a list."""

    host: str
    uuid: str
    name: str
    state: str
    cpus: int | None
    memory_kib: int | None
    """Memory in use."""
    cpu_percent: float | None
    """Percent of one CPU: two busy CPUs are 200."""
    net_bytes_s: float | None
    disk_bytes_s: float | None


@dataclass(frozen=True, slots=True)
class VmPage:
    """A page of the VMs that match a query."""

    total: int
    offset: int
    rows: list[VmRow]


@dataclass(frozen=True, slots=True)
class AlertRow:
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
    """Message for people; of a cleared alert, with the present value."""
    started_at: datetime
    observed_at: datetime
    cause: str | None
    """Reason for clearing: recovered, gone or unknown."""
    labels: dict[str, str]
    muted_by: list[str]
    """Silences and inhibitions that keep an active alert from being delivered."""
    pack: str
    """Fingerprint of the rule pack that raised it."""


@dataclass(frozen=True, slots=True)
class AlertCounts:
    """Alerts since the start of the view's look-back."""

    active: int
    raised: int
    cleared: int


@dataclass(frozen=True, slots=True)
class AlertPage:
    """A page of the alerts that match a query."""

    total: int
    offset: int
    rows: list[AlertRow]


@dataclass(frozen=True, slots=True)
class AlertTimeline:
    """An alert: its newest transition, and all transitions still held, oldest first."""

    alert: AlertRow
    transitions: list[AlertRow]


@dataclass(frozen=True, slots=True)
class ProducerRow:
    """A producer process, from its newest heartbeat."""

    name: str
    source: str
    status: str
    """alive, silent, stopped or unknown."""
    observed_at: datetime | None
    """Time of the newest heartbeat."""
    interval_s: float | None
    targets: int
    polls: int
    failures: int
    records: int
    dropped: int
    queued: int
    """Records that Kafka has not acknowledged."""
    spooled: int
    """Queued records that wait on the producer's disk."""
    spooled_bytes: int
    spool_oldest_at: datetime | None
    """Time at which the oldest spooled record was queued; None: the spool is empty."""
    rejected: int
    """Records that Kafka refused permanently, kept in a file beside the spool; also counted in dropped."""
    failing: int
    """Targets that cannot be polled."""


@dataclass(frozen=True, slots=True)
class ConsumerGroupRow:
    """Lag of one consumer group on one topic."""

    group: str
    topic: str
    state: str
    """Kafka's state of the group: stable, empty, …"""
    lag: int
    """Records not committed yet."""


@dataclass(frozen=True, slots=True)
class DeadLetterRow:
    """Number of open dead letters of one stage and reason."""

    stage: str
    reason: str
    count: int


@dataclass(frozen=True, slots=True)
class PipelineStatus:
    """Status of the pipeline: producers, topics, consumer groups, dead letters."""

    at: datetime
    ready: bool
    """True if the view has read everything that was on Kafka when it started."""
    kafka: str
    """Error of the last request to Kafka; empty: Kafka answers."""
    reader: str
    """Reason why records are not being read although Kafka answers; empty: they are."""
    asked_at: datetime | None
    """Time of the last answer from Kafka about topics and groups."""
    producers: list[ProducerRow]
    topics: list[TopicRow]
    groups: list[ConsumerGroupRow]
    letters: list[DeadLetterRow]
    """Dead letters written since the start of the view's look-back."""
    missing: list[str]
    """Topics that do not exist."""
    undecodable: int
    """Records that the view could not decode."""

    @property
    def outage_notice(self) -> str:
        """Sentence for people while Kafka does not answer, or its records are not read; otherwise empty."""
        if self.reader:
            return f"Records are not being read: {self.reader}. The values below are out of date."
        if self.kafka in ("", KAFKA_NOT_CONTACTED):
            return ""
        if self.asked_at is None:
            return f"Kafka has not answered yet: {self.kafka}"
        return f"Kafka has not answered since {self.asked_at:%H:%M:%S}. The values below are from then."


@dataclass(frozen=True, slots=True)
class ViewEvent:
    """A change of the fleet; changes are numbered in the order in which the view applied them."""

    number: int
    kind: str
    """alert, status, health, host or producer."""
    data: dict[str, object]
