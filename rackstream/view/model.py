"""Thread-safe facade of the view: applies what the feed reads, and answers queries. Independent of Kafka."""

from __future__ import annotations

import heapq
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Final, cast

from rackstream.view import lists
from rackstream.view.alert_log import alert_row
from rackstream.view.answers import (
    KAFKA_NOT_CONTACTED,
    AlertCounts,
    AlertPage,
    AlertRow,
    AlertTimeline,
    ConsumerGroupRow,
    DeadLetterRow,
    HostPage,
    HotSensor,
    Overview,
    PipelineStatus,
    ViewEvent,
    VmPage,
)
from rackstream.view.detail import host_detail, producer_row, vm_detail
from rackstream.view.detail_answers import HostDetail, VmDetail
from rackstream.view.host_state import HostState
from rackstream.view.state import Decode, FleetState, make_decoder
from rackstream.view.traffic import OffsetSnapshot, TopicTraffic
from schemas import catalog
from schemas.records import Alert, Domain, Silence, TargetStatus
from sinks.webhook.inhibition import InhibitingTarget

STALL_S: Final = 30.0
"""A thread of the feed that made no progress for this long hangs or is dead."""
MAX_HOTTEST: Final = 10
"""Sensors in the overview's list of the hottest."""
HEALTHS: Final = ("ok", "warning", "critical", "unknown")


class View:
    """The fleet as it is now. All methods may be called from any thread."""

    def __init__(self, topics: catalog.Catalog | None = None, decode: Decode | None = None) -> None:
        """Creates an empty view.

        Args:
            topics: Catalogue of the topics; default: the one with default names.
            decode: Decodes a record of a topic; default: by the schemas of this release.
        """
        self._topics = topics or catalog.load()
        self._state = FleetState(decode or make_decoder(self._topics))
        self._lock = threading.RLock()
        self._traffic = TopicTraffic()
        self._kafka = KAFKA_NOT_CONTACTED
        self._reader_error = ""
        self._progress_s: dict[str, float] = {}
        """Thread of the feed → when it last went round its loop, on the monotonic clock."""

    # Updates, called by the feed

    def apply(self, records: Iterable[tuple[str, bytes, bytes | None]]) -> None:
        """Applies records, each as (topic alias, key, value)."""
        with self._lock:
            for alias, key, value in records:
                self._state.apply(alias, key, value)

    def restore_alerts(self, values: Iterable[bytes]) -> None:
        """Adds the active alerts of the alert engine's state: the newest AlertState of each host and source."""
        with self._lock:
            self._state.restore_alerts(values)

    def update_lists(self, budget_s: float = float("inf")) -> bool:
        """Decodes new records and updates the list columns. Returns False if the time budget ran out."""
        with self._lock:
            return self._state.update_lists(budget_s)

    def record_offsets(
        self, snapshot: OffsetSnapshot, groups: list[ConsumerGroupRow] | None, missing: list[str], at: datetime
    ) -> None:
        """Records an answer from Kafka.

        Args:
            snapshot: Offsets of the topics.
            groups: Lag of the consumer groups; None: not requested this time.
            missing: Topics that do not exist.
            at: Time of the answer.
        """
        with self._lock:
            self._traffic.record(snapshot, at)
            self._traffic.groups = self._traffic.groups if groups is None else groups
            self._traffic.missing = missing
            self._kafka = ""

    def record_kafka_error(self, error: str) -> None:
        """Records that Kafka did not answer."""
        with self._lock:
            self._kafka = error

    def record_progress(self, thread: str) -> None:
        """Records that a thread of the feed is at work; it does so at least every few seconds."""
        self._progress_s[thread] = time.monotonic()

    def record_reader_error(self, error: str) -> None:
        """Records an unexpected error of a thread of the feed; empty: it works again."""
        self._reader_error = error

    def set_ready(self) -> None:
        """Marks the initial read as complete: changes become events from now on."""
        with self._lock:
            self._state.emits_events = True

    # Status of the view itself

    @property
    def ready(self) -> bool:
        """True if everything that was on Kafka at the start has been applied."""
        return self._state.emits_events

    @property
    def kafka(self) -> str:
        """Error of the last request to Kafka; empty: Kafka answers."""
        return self._kafka

    @property
    def reader_problem(self) -> str:
        """Reason why records are not being read although Kafka answers, such as a dead thread; empty: they are."""
        now_s = time.monotonic()
        stalled = [name for name, at_s in self._progress_s.copy().items() if now_s - at_s > STALL_S]
        if stalled:
            return f"no progress of {', '.join(sorted(stalled))} for {STALL_S:.0f} s; restart this process"
        return self._reader_error

    def record_count(self, alias: str) -> int:
        """Records of a topic applied so far."""
        return self._state.record_counts[alias]

    # Queries

    def overview(self, at: datetime | None = None) -> Overview:
        """Totals of the whole fleet."""
        with self._lock:
            state = self._state
            hosts = state.hosts.values()
            health = Counter(host.health for host in hosts)
            watts = [host.watts for host in hosts if host.watts is not None]
            readings = [(reading, host.name) for host in hosts if (reading := host.hottest) is not None]
            hottest = heapq.nlargest(MAX_HOTTEST, readings, key=lambda pair: pair[0].nearness)
            topics = self._traffic.rows(self._topics)
            rates = [topic.records_s for topic in topics if topic.records_s is not None]
            return Overview(
                at=at or datetime.now(UTC),
                hosts=len(state.hosts),
                health={name: health[name] for name in HEALTHS},
                statuses=dict(self._count_statuses().most_common()),
                watts=sum(watts) if watts else None,
                vms=sum(len(host.domains) for host in hosts if host.domains),
                alerts=state.alert_log.count_by_severity(),
                hottest=[
                    HotSensor(reading.sensor, reading.celsius, reading.limit_celsius, reading.nearness, name)
                    for reading, name in hottest
                ],
                records_s=sum(rates) if rates else None,
                topics=topics,
                silent=sorted(state.silent_producers),
            )

    def _count_statuses(self) -> Counter[str]:
        silent = self._state.silent_producers
        reported = Counter(
            (target.producer, target.status) for host in self._state.hosts.values() for target in host.targets.values()
        )
        statuses: Counter[str] = Counter()
        for (producer, status), count in reported.items():
            statuses["unknown" if producer in silent else status] += count
        return statuses

    def hosts(  # noqa: PLR0913  one keyword per control of a list
        self,
        search: str = "",
        *,
        health: str | None = None,
        status: str | None = None,
        sort: lists.HostOrder = "name",
        descending: bool = False,
        offset: int = 0,
        limit: int = 50,
    ) -> HostPage:
        """A page of the hosts whose name and labels (`rack=r1`) contain every word of `search`."""
        with self._lock:
            state, alerts = self._state, self._state.alert_log.count_by_host()
            silent = state.silent_producers
            hosts = [
                host
                for host in state.hosts.values()
                if (health is None or host.health == health)
                and (status is None or any(host.status(source, silent) == status for source in host.targets))
                and lists.matches(host.search_text, search)
            ]
            hosts.sort(key=lambda host: host.name)
            hosts = lists.sort_rows(hosts, lists.host_sort_key(sort, silent, alerts), descending=descending)
            rows = [host.row(silent, alerts[host.name]) for host in lists.page_of(hosts, offset, limit)]
            return HostPage(len(hosts), offset, rows)

    def host(self, name: str) -> HostDetail | None:
        """Details of one host; None if there is no host of this name."""
        with self._lock:
            state = self._state
            host = state.hosts.get(name)
            if host is None:
                return None
            alerts = [alert for alert in state.alert_log.active.values() if alert["host"] == name]
            return host_detail(
                host.row(state.silent_producers, len(alerts)),
                state.host_records(host),
                self._target_statuses(host),
                host.vm_rows(),
                self._alert_rows(alerts),
            )

    def _target_statuses(self, host: HostState) -> Iterator[TargetStatus]:
        for source in host.targets:
            if (record := self._state.target_status((host.name, source))) is not None:
                # A silent producer's last report counts as unknown.
                status = host.status(source, self._state.silent_producers)
                yield cast("TargetStatus", {**record, "status": status})

    def vms(
        self,
        search: str = "",
        *,
        host: str | None = None,
        sort: lists.VmOrder = "name",
        descending: bool = False,
        offset: int = 0,
        limit: int = 50,
    ) -> VmPage:
        """A page of the VMs whose name, UUID and host contain every word of `search`; `host`: of this one only."""
        with self._lock:
            vms = [
                vm
                for hypervisor in self._state.hosts.values()
                if hypervisor.domains and host in (None, hypervisor.name)
                for vm in hypervisor.vm_rows()
                if not search or lists.matches(f"{vm.name} {vm.uuid} {vm.host}".lower(), search)
            ]
            vms.sort(key=lambda vm: (vm.name, vm.host))
            vms = lists.sort_rows(vms, lists.vm_sort_key(sort), descending=descending)
            return VmPage(len(vms), offset, list(lists.page_of(vms, offset, limit)))

    def vm(self, host: str, uuid: str) -> VmDetail | None:
        """Details of one VM; None if there is no such host or VM."""
        with self._lock:
            hypervisor = self._state.hosts.get(host)
            row = next((vm for vm in hypervisor.vm_rows() if vm.uuid == uuid), None) if hypervisor else None
            if hypervisor is None or row is None:
                return None
            topics = ("raw-libvirt", "vm-features", "device-rates", "vm-power")
            return vm_detail(row, self._state.host_records(hypervisor, *topics))

    def alerts(
        self,
        search: str = "",
        *,
        severity: str | None = None,
        state: lists.AlertStateFilter = "active",
        host: str | None = None,
        offset: int = 0,
        limit: int = 50,
    ) -> AlertPage:
        """A page of alerts: the active ones, critical and newest first; or `history`, transitions newest first."""
        with self._lock:
            log = self._state.alert_log
            candidates: Iterable[Alert] = (
                lists.sort_by_urgency(log.active.values()) if state == "active" else reversed(log.transitions)
            )
            alerts = [
                alert
                for alert in candidates
                if (severity is None or alert["severity"] == severity)
                and host in (None, alert["host"])
                and (not search or lists.matches(lists.alert_search_text(alert), search))
            ]
            return AlertPage(len(alerts), offset, self._alert_rows(lists.page_of(alerts, offset, limit)))

    def alert_counts(self) -> AlertCounts:
        """Numbers of active, raised and cleared alerts."""
        with self._lock:
            log = self._state.alert_log
            return AlertCounts(len(log.active), log.raised, log.cleared)

    def alert(self, alert_id: str) -> AlertTimeline | None:
        """An alert with its transitions; None if none of them is held any longer."""
        with self._lock:
            transitions = self._alert_rows(self._state.alert_log.history(alert_id))
            return AlertTimeline(transitions[-1], transitions) if transitions else None

    def _alert_rows(self, alerts: Iterable[Alert]) -> list[AlertRow]:
        state, now = self._state, datetime.now(UTC)
        rows = []
        for alert in alerts:
            newest = state.alert_log.active.get(alert["id"])
            is_active = newest is not None and newest["revision"] == alert["revision"]
            muted_by = state.muting.muted_by(alert, self._inhibiting_targets(), now) if is_active else []
            rows.append(alert_row(alert, muted_by, is_active=is_active))
        return rows

    def _inhibiting_targets(self) -> Iterator[InhibitingTarget]:
        for host in self._state.hosts.values():
            for source, target in host.targets.items():
                yield {
                    "source": source,
                    "host": host.name,
                    "producer": target.producer,
                    "stopped_by": target.stopped_by,
                }

    def domains(self, host: str) -> list[Domain]:
        """VMs of a host's newest libvirt sample."""
        with self._lock:
            hypervisor = self._state.hosts.get(host)
            sample = self._state.host_records(hypervisor, "raw-libvirt").libvirt if hypervisor else None
            return list(sample["domains"]) if sample else []

    def silences(self) -> list[Silence]:
        """All silences, expired and pending ones included, sorted by start."""
        with self._lock:
            silences = self._state.muting.silences.values()
            return sorted(silences, key=lambda silence: (silence["starts_at"], silence["id"]))

    def pipeline(self, at: datetime | None = None) -> PipelineStatus:
        """Status of producers, topics, consumer groups and dead letters."""
        with self._lock:
            state, traffic = self._state, self._traffic
            heartbeats, presence = state.heartbeats, state.muting.presence
            producers = sorted(heartbeats.keys() | presence.keys())
            dead_letters = Counter(state.dead_letters.values())
            return PipelineStatus(
                at=at or datetime.now(UTC),
                ready=self.ready,
                kafka=self._kafka,
                reader=self.reader_problem,
                asked_at=traffic.measured_at,
                producers=[producer_row(name, heartbeats.get(name), presence.get(name)) for name in producers],
                topics=traffic.rows(self._topics),
                groups=traffic.groups,
                letters=[DeadLetterRow(*head, count) for head, count in dead_letters.most_common()],
                missing=traffic.missing,
                undecodable=state.undecodable,
            )

    def events(self, after: int | None = None) -> tuple[list[ViewEvent], int, bool]:
        """Events after a number.

        Args:
            after: The last event that the caller has; None asks for the newest number only.

        Returns:
            The events, the newest number, and True if some events in between are not held any longer.
        """
        with self._lock:
            events, newest, missed = self._state.events_after(after)
            return [self._with_alert_row(event) for event in events], newest, missed

    def _with_alert_row(self, event: ViewEvent) -> ViewEvent:
        """Replaces the record of an alert event by the row that lists show."""
        if event.kind != "alert":
            return event
        [row] = self._alert_rows([cast("Alert", event.data["record"])])
        return replace(event, data=asdict(row))
