"""The view model: asks and answers. Thread-safe; knows no Kafka, and no time but the one it is told."""

from __future__ import annotations

import heapq
import threading
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any, Final

from rackstream.view import answers, detail, detail_answers, lists
from rackstream.view.alert_log import shown
from rackstream.view.host_state import Entry
from rackstream.view.state import Decode, Fold, decoding
from rackstream.view.traffic import Answered, Traffic
from schemas import catalog

Record = dict[str, Any]
HOTTEST: Final = 10
NOT_ASKED: Final = "not asked yet"
"""What is wrong with Kafka until it is known."""
HEALTHS: Final = ("ok", "warning", "critical", "unknown")


class View:
    """What the fleet looks like now."""

    def __init__(self, topics: catalog.Catalog | None = None, decode: Decode | None = None) -> None:
        self._topics = topics or catalog.load()
        self._fold = Fold(decode or decoding(self._topics))
        self._lock = threading.RLock()
        self._traffic = Traffic()
        self._kafka = NOT_ASKED

    # What the feed tells

    def take(self, records: Iterable[tuple[str, bytes, bytes | None]]) -> None:
        """Takes records in: alias of the topic, key, value."""
        with self._lock:
            for alias, key, value in records:
                self._fold.take(alias, key, value)

    def remember(self, memories: Iterable[bytes]) -> None:
        """Takes what the alert engine remembers: the newest AlertState of each host and source."""
        with self._lock:
            self._fold.remember(memories)

    def settle(self, budget_s: float = float("inf")) -> bool:
        """Reads of the records that came what lists show of them; false: the budget ended first."""
        with self._lock:
            return self._fold.settle(budget_s)

    def note(self, answered: Answered, groups: list[answers.GroupRow] | None, missing: list[str], at: datetime) -> None:
        """Takes what Kafka says of topics and of groups (None: not asked this time), and which topics there are not."""
        with self._lock:
            self._traffic.note(answered, at)
            self._traffic.groups = self._traffic.groups if groups is None else groups
            self._traffic.missing = missing
            self._kafka = ""

    def note_trouble(self, trouble: str) -> None:
        """Kafka does not answer."""
        with self._lock:
            self._kafka = trouble

    def set_ready(self) -> None:
        """What there was at the beginning has been taken in: from now on what happens is an event."""
        with self._lock:
            self._fold.telling = True

    # How it stands

    @property
    def ready(self) -> bool:
        """Whether what there was at the beginning has been taken in."""
        return self._fold.telling

    @property
    def kafka(self) -> str:
        """What is wrong with Kafka; empty: it answers."""
        return self._kafka

    def seen(self, alias: str) -> int:
        """Records of a topic that were taken in."""
        return self._fold.seen[alias]

    # Questions

    def overview(self, at: datetime | None = None) -> answers.Overview:
        """The fleet at a glance."""
        with self._lock:
            fold = self._fold
            entries = fold.hosts.values()
            health = Counter(each.health for each in entries)
            watts = [each.watts for each in entries if each.watts is not None]
            hot = [(found, each.name) for each in entries if (found := each.hottest) is not None]
            hottest = heapq.nlargest(HOTTEST, hot, key=lambda each: each[0].nearness)
            topics = self._traffic.rows(self._topics)
            rates = [topic.records_s for topic in topics if topic.records_s is not None]
            return answers.Overview(
                at=at or datetime.now(UTC),
                hosts=len(fold.hosts),
                health={name: health[name] for name in HEALTHS},
                statuses=dict(self._by_status().most_common()),
                watts=sum(watts) if watts else None,
                vms=sum(len(each.domains) for each in entries if each.domains),
                alerts=fold.book.by_severity(),
                hottest=[
                    answers.HotSensor(each.sensor, each.celsius, each.limit_celsius, each.nearness, name)
                    for each, name in hottest
                ],
                records_s=sum(rates) if rates else None,
                topics=topics,
                silent=sorted(fold.silent),
            )

    def _by_status(self) -> Counter[str]:
        silent = self._fold.silent
        told = Counter(
            (each.producer, each.status) for host in self._fold.hosts.values() for each in host.told.values()
        )
        found: Counter[str] = Counter()
        for (producer, status), count in told.items():
            found["unknown" if producer in silent else status] += count
        return found

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
    ) -> answers.HostPage:
        """Hosts whose name and labels (`rack=r1`) have every word of `search`, a page of them."""
        with self._lock:
            fold, alerts = self._fold, self._fold.book.by_host()
            found = [
                each
                for each in fold.hosts.values()
                if (health is None or each.health == health)
                and (status is None or any(each.status(source, fold.silent) == status for source in each.told))
                and lists.matching(each.text, search)
            ]
            found.sort(key=lambda each: each.name)
            found = lists.ordered(found, lists.host_key(sort, fold.silent, alerts), descending=descending)
            rows = [each.row(fold.silent, alerts[each.name]) for each in lists.page(found, offset, limit)]
            return answers.HostPage(len(found), offset, rows)

    def host(self, name: str) -> detail_answers.Host | None:
        """All of one host; None: there is none of this name."""
        with self._lock:
            fold = self._fold
            entry = fold.hosts.get(name)
            if entry is None:
                return None
            alerts = [each for each in fold.book.active.values() if each["host"] == name]
            return detail.host(
                entry.row(fold.silent, len(alerts)),
                self._records(entry),
                self._statuses(entry),
                entry.vms(),
                self._shown(alerts),
            )

    def _records(self, entry: Entry, *aliases: str) -> dict[tuple[str, str], Record]:
        wanted = (slot for slot in entry.kept if not aliases or slot[0] in aliases)
        return {slot: record for slot in wanted if (record := self._fold.kept(entry, slot)) is not None}

    def _statuses(self, entry: Entry) -> Iterator[Record]:
        for source in entry.told:
            if (found := self._fold.target((entry.name, source))) is not None:
                yield found | {"status": entry.status(source, self._fold.silent)}

    def vms(
        self,
        search: str = "",
        *,
        host: str | None = None,
        sort: lists.VmOrder = "name",
        descending: bool = False,
        offset: int = 0,
        limit: int = 50,
    ) -> answers.VmPage:
        """VMs whose name, UUID and host have every word of `search`, a page of them; `host`: of one host."""
        with self._lock:
            entries = self._fold.hosts.values()
            found = [
                vm
                for each in entries
                if each.domains and host in (None, each.name)
                for vm in each.vms()
                if not search or lists.matching(f"{vm.name} {vm.uuid} {vm.host}".lower(), search)
            ]
            found.sort(key=lambda vm: (vm.name, vm.host))
            found = lists.ordered(found, lists.vm_key(sort), descending=descending)
            return answers.VmPage(len(found), offset, list(lists.page(found, offset, limit)))

    def vm(self, host: str, uuid: str) -> detail_answers.Vm | None:
        """All of one VM; None: there is no such host or VM."""
        with self._lock:
            entry = self._fold.hosts.get(host)
            row = next((each for each in entry.vms() if each.uuid == uuid), None) if entry else None
            if entry is None or row is None:
                return None
            return detail.vm(row, self._records(entry, "raw-libvirt", "vm-features", "device-rates", "vm-power"))

    def alerts(
        self,
        search: str = "",
        *,
        severity: str | None = None,
        state: lists.AlertState = "active",
        host: str | None = None,
        offset: int = 0,
        limit: int = 50,
    ) -> answers.AlertPage:
        """Alerts that are active, critical ones first, then the newest; or transitions of late, the newest first."""
        with self._lock:
            book = self._fold.book
            known: Iterable[Record] = (
                lists.by_urgency(book.active.values()) if state == "active" else reversed(book.transitions)
            )
            found = [
                each
                for each in known
                if (severity is None or each["severity"] == severity)
                and host in (None, each["host"])
                and (not search or lists.matching(lists.alert_text(each), search))
            ]
            return answers.AlertPage(len(found), offset, self._shown(lists.page(found, offset, limit)))

    def counts(self) -> answers.AlertCounts:
        """How many alerts there are, and how many came and went."""
        with self._lock:
            book = self._fold.book
            return answers.AlertCounts(len(book.active), book.raised, book.cleared)

    def alert(self, name: str) -> answers.AlertStory | None:
        """One alert by its id; None: nothing is known of it any more."""
        with self._lock:
            story = self._shown(self._fold.book.story(name))
            return answers.AlertStory(story[-1], story) if story else None

    def _shown(self, alerts: Iterable[Record]) -> list[answers.Alert]:
        fold, now = self._fold, datetime.now(UTC)
        found = []
        for each in alerts:
            newest = fold.book.active.get(each["id"])
            is_active = newest is not None and newest["revision"] == each["revision"]
            mutes = fold.mutes.muted_by(each, self._targets(), now) if is_active else []
            found.append(shown(each, mutes, is_active=is_active))
        return found

    def _targets(self) -> Iterator[Record]:
        for each in self._fold.hosts.values():
            for source, told in each.told.items():
                stop = {"stopped_by": told.stopped_by, "detail": told.detail}
                yield {"source": source, "host": each.name, "producer": told.producer, **stop}

    def domains(self, host: str) -> list[Record]:
        """The VMs of a host's newest sample, as `Domain` has them."""
        with self._lock:
            entry = self._fold.hosts.get(host)
            found = self._fold.kept(entry, ("raw-libvirt", "")) if entry else None
            return list(found["domains"]) if found else []

    def silences(self) -> list[Record]:
        """All silences there are, those that have ended or not begun among them, by their beginning."""
        with self._lock:
            return sorted(self._fold.mutes.silences.values(), key=lambda each: (each["starts_at"], each["id"]))

    def pipeline(self, at: datetime | None = None) -> answers.Pipeline:
        """How the pipeline itself stands."""
        with self._lock:
            fold, traffic = self._fold, self._traffic
            beats, presence = fold.beats, fold.mutes.presence
            names = sorted(beats.keys() | presence.keys())
            letters = Counter(fold.letters.values())
            return answers.Pipeline(
                at=at or datetime.now(UTC),
                ready=self.ready,
                kafka=self._kafka,
                asked_at=traffic.asked_at,
                producers=[detail.producer(each, beats.get(each), presence.get(each)) for each in names],
                topics=traffic.rows(self._topics),
                groups=traffic.groups,
                letters=[answers.LetterRow(*letter, count) for letter, count in letters.most_common()],
                missing=traffic.missing,
                undecodable=fold.undecodable,
            )

    def events(self, after: int | None = None) -> tuple[list[answers.Event], int, bool]:
        """Events after a number (None: none), the newest number, and whether some between are not known any more."""
        with self._lock:
            found, newest, missed = self._fold.events_after(after)
            return [self._event(each) for each in found], newest, missed

    def _event(self, event: answers.Event) -> answers.Event:
        if event.kind != "alert":
            return event
        [alert] = self._shown([event.data["record"]])
        return replace(event, data=asdict(alert))
