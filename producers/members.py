"""The targets of a loop: which there are, their readers' ends, and their statuses on Kafka. For one thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from producers import status
from producers.publish import Left, Publication
from producers.reader import Reader
from producers.status import Outcome, Standing
from producers.workers import Workers
from runtime import metrics

log = structlog.get_logger()
CLOSE_S: Final = 8.0
"""At a stop, readers may take this long to let their sessions go."""
CLOSERS: Final = 64
"""Readers that do so at once."""
FAILING_LISTED: Final = 100
"""A heartbeat lists so many of the targets that cannot be read; beyond, it counts."""
REMOVED: Final = "no longer in the fleet file"
STOPPED: Final = "its producer was stopped"
Later = Callable[[Callable[[], None]], None]
"""Has a function called in the members' thread."""


@dataclass(eq=False)
class Member:
    """One target."""

    reader: Reader
    standing: Standing
    running: int = 0
    """Its polls under way."""
    leaving: bool = False


@dataclass(frozen=True)
class Change:
    """Readers to begin with, and hosts to end. A host in both has changed: the new reader takes over."""

    added: tuple[Reader, ...] = ()
    removed: frozenset[str] = frozenset()


class Members:
    """Writes a status when it changes and now and then; closes a reader when its last poll has ended."""

    def __init__(
        self, source: str, alias: str, publication: Publication, known: Mapping[str, Mapping[str, Any]], later: Later
    ) -> None:
        """`alias`: of the topic; `known`: the newest TargetStatus of each host of this source, by any producer."""
        self._source, self._alias = source, alias
        self._publication = publication
        self._known = dict(known)
        self._later = later
        self._members: dict[str, Member] = {}
        self._leaving: dict[Member, None] = {}
        self._closers = Workers(f"{source}-close", CLOSERS)

    def __len__(self) -> int:
        return len(self._members)

    def add(self, readers: Iterable[Reader]) -> list[Member]:
        """Targets that begin. One that nobody knows is written at once: it is expected from now on."""
        added = []
        for reader in readers:
            last = self._known.pop(reader.host, None)
            member = Member(reader, Standing.after(last, datetime.now(UTC)))
            self._members[reader.host] = member
            added.append(member)
            if member.standing.status == "unknown":
                self._write_if_due(member)
        return added

    def replace(self, readers: Iterable[Reader]) -> tuple[list[Member], list[Member]]:
        """Targets that go on with another reader: (those that end, those that begin)."""
        pairs = [(self._members[reader.host], reader) for reader in readers]
        added = [Member(reader, old.standing.handed_on()) for old, reader in pairs]
        self._members |= {member.reader.host: member for member in added}
        for old, _ in pairs:
            self._leave(old)
        return [old for old, _ in pairs], added

    def remove(self, hosts: Iterable[str]) -> list[Member]:
        """Targets that end for good."""
        removed = [self._members.pop(host) for host in hosts]
        for member in removed:
            log.info("target removed", source=self._source, host=member.reader.host)
            member.standing.end(datetime.now(UTC), REMOVED)
            self._leave(member)
        return removed

    def forget_others(self) -> None:
        """Says of targets that this producer once polled, and that left the fleet file since, that they are none."""
        for record in self._known.values():
            if record["producer"] == self._publication.producer and not record["removed"]:
                self._farewell(record["host"], record["address"], record["labels"])
                end = {"status": "stopped", "detail": REMOVED, "observed_at": datetime.now(UTC), "removed": True}
                self._publication.state("state-targets", {**record, **end})
        self._known.clear()

    def began(self, member: Member) -> None:
        """A poll of it begins."""
        member.running += 1

    def ended(self, member: Member, result: Outcome, *, missed: int, down: bool) -> None:
        """A poll of it has ended; `missed`: how many were left out for it."""
        member.running -= 1
        if member.leaving:
            self._let_go(member)
            return
        standing = member.standing
        standing.counts.late += missed
        if standing.take(result, member.reader.facts(), datetime.now(UTC), down=down):
            tell = log.info if standing.status in ("up", "partial") else log.warning
            told = {"status": standing.status, "detail": standing.detail}
            tell("target", source=self._source, host=member.reader.host, **told)
        self._write_if_due(member)

    def look_at_sessions(self) -> None:
        """So that whoever takes over from a killed producer knows of a session that began in a poll under way."""
        for member in self._members.values():
            if member.running and member.reader.facts().session_uri != member.standing.facts.session_uri:
                member.standing.facts = member.reader.facts()
                self._write_if_due(member)

    def count(self) -> None:
        """Sets the gauge of targets by status."""
        counts = dict.fromkeys(("unknown", *status.WORSE), 0)
        for member in self._members.values():
            counts[member.standing.status] = counts.get(member.standing.status, 0) + 1
        for name, count in counts.items():
            metrics.TARGETS.labels(self._source, name).set(count)

    def failing(self) -> dict[str, Any]:
        """What a heartbeat says of the targets that cannot be read, for presence."""
        found = [member for member in self._members.values() if member.standing.status in status.SILENT]
        listed = [
            {"host": each.reader.host, "status": each.standing.status, "labels": dict(each.reader.labels)}
            for each in found[:FAILING_LISTED]
        ]
        return {"failing": listed, "failing_count": len(found)}

    def end(self) -> None:
        """Closes all readers, within CLOSE_S seconds, and writes that their targets are stopped."""
        for member in [*self._members.values(), *(each for each in self._leaving if each.running)]:
            self._closers.do(_closing(member.reader))
        self._closers.wait(CLOSE_S)
        for member in self._members.values():
            member.standing.end(datetime.now(UTC), STOPPED)
            self._write(member)
        for member in self._leaving:
            self._write_removed(member)
        self._closers.close()

    def _leave(self, member: Member) -> None:
        member.leaving = True
        self._leaving[member] = None
        self._let_go(member)

    def _let_go(self, member: Member) -> None:
        """Closes a reader that nobody uses any more."""
        if member.running:
            return
        closing = _closing(member.reader)

        def close() -> None:
            closing()
            self._later(lambda: self._closed(member))

        self._closers.do(close)

    def _closed(self, member: Member) -> None:
        if self._leaving.pop(member, member) is None:
            self._write_removed(member)

    def _write_removed(self, member: Member) -> None:
        reader = member.reader
        if reader.host not in self._members:
            self._farewell(reader.host, reader.address, reader.labels)
            self._write(member, removed=True)

    def _farewell(self, host: str, address: str, labels: Mapping[str, str]) -> None:
        self._publication.farewell(self._alias, Left(host, address, dict(labels)))

    def _write_if_due(self, member: Member) -> None:
        if member.standing.due(time.monotonic()):
            self._write(member)

    def _write(self, member: Member, *, removed: bool = False) -> None:
        if member.standing.status == "stopped":
            member.standing.facts = member.reader.facts()
        self._publication.state(
            "state-targets",
            status.record(
                member.reader,
                member.standing,
                datetime.now(UTC),
                origin=(self._publication.producer, self._publication.epoch),
                removed=removed,
            ),
        )


def _closing(reader: Reader) -> Callable[[], None]:
    def close() -> None:
        try:
            reader.close()
        except Exception:
            log.exception("reader not closed", host=reader.host)

    return close
