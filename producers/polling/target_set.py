"""The targets of a loop: which there are, their readers' ends, and their statuses on Kafka. For one thread."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import structlog

from producers.control import commands
from producers.control.commands import Command, Orders
from producers.polling import status
from producers.polling.status import Author, Outcome, Standing
from producers.polling.target_state import LISTED, Member, closing, counts, unheard
from producers.polling.worker_pool import Workers
from producers.publishing.publisher import Publication
from producers.publishing.subject import Left
from producers.reader import Reader
from runtime import metrics

log = structlog.get_logger()
CLOSE_S: Final = 8.0
"""At a stop, readers may take this long to let their sessions go."""
CLOSERS: Final = 64
"""Readers that do so at once."""
REMOVED: Final = "no longer in the fleet file"
STOPPED: Final = "its producer was stopped"
Later = Callable[[Callable[[], None]], None]
"""Has a function called in the members' thread."""


class Members:
    """Writes a status when it changes and now and then; closes a reader when its last poll has ended."""

    def __init__(  # noqa: PLR0913  what a loop is made of
        self,
        source: str,
        alias: str,
        publication: Publication,
        *,
        known: Mapping[str, Mapping[str, Any]],
        orders: Orders,
        later: Later,
        again: Callable[[Member], None],
    ) -> None:
        """Of one source.

        Args:
            source: redfish, libvirt or host.
            alias: of its topic.
            publication: where records go.
            known: the newest TargetStatus of each host of this source, by any producer.
            orders: what is commanded now.
            later: has a function called in the members' thread.
            again: told of a target that is polled again, if that could not be as soon as it was commanded.
        """
        self._source, self._alias = source, alias
        self._publication = publication
        self._known = dict(known)
        self._orders = orders
        self._later = later
        self._again = again
        self._members: dict[str, Member] = {}
        self._leaving: dict[Member, None] = {}
        self._released: dict[str, None] = {}
        """Hosts handed over to others while they could not be read."""
        self._handing_over: list[tuple[set[Member], Callable[[], None]]] = []
        self._closers = Workers(f"{source}-close", CLOSERS)

    def __len__(self) -> int:
        return len(self._members)

    def add(self, readers: Iterable[Reader]) -> list[Member]:
        """Targets that begin; returns those to poll. One that nobody knows is written at once: it is expected now."""
        added = []
        for reader in readers:
            last = self._known.pop(reader.host, None)
            member = Member(reader, Standing.after(last, datetime.now(UTC)))
            self._members[reader.host] = member
            added += self._begun(member)
            if member.standing.status == "unknown":
                self._write_if_due(member)
        return added

    def take_over(self, readers: Iterable[Reader], known: Mapping[str, Mapping[str, Any]]) -> list[Member]:
        """Targets that others of the group have polled until now; returns those to poll. It is written who does now."""
        taken = []
        for reader in readers:
            member = Member(reader, Standing.after(known.get(reader.host), datetime.now(UTC)))
            member.standing.facts = reader.facts()
            self._members[reader.host] = member
            self._released.pop(reader.host, None)
            taken += self._begun(member)
            if not member.stopped:
                self._write_if_due(member)
        return taken

    def release(self, hosts: Iterable[str], done: Callable[[], None]) -> list[Member]:
        """Targets that another of the group takes over; returns those that were polled.

        They stand as they did. `done` is called when the last poll of each has ended and its session is deleted.
        """
        released = [self._members.pop(host) for host in hosts if host in self._members]
        self._publication.release([member.reader.host for member in released])
        if not released:
            done()
        else:
            self._handing_over.append((set(released), done))
        ended = [member for member in released if member.polled]
        for member in released:
            member.released = True
            if member.standing.status in status.SILENT:
                self._released[member.reader.host] = None
            member.reader.hurry()
            self._leave(member)
        return ended

    def _handed_over(self, member: Member) -> None:
        if member.reader.host not in self._members:  # else it is back here already
            self._write(member)
        for waiting, done in list(self._handing_over):
            waiting.discard(member)
            if not waiting:
                self._handing_over.remove((waiting, done))
                done()

    def _begun(self, member: Member) -> list[Member]:
        """Itself, if it is to be polled."""
        member.command = self._orders.about(self._source, member.reader.host)
        if member.command is not None and commands.is_stop(member.command):
            member.standing.halt(member.command, datetime.now(UTC))
            self._write(member)
            return []
        if member.stopped:
            member.standing.resume(datetime.now(UTC))
        member.polled = True
        return [member]

    def obey(self, orders: Orders) -> tuple[list[Member], list[Member]]:
        """What is commanded from now on: (targets whose polls end, those whose polls begin).

        One of which nothing else is commanded than before is left alone; of others it is written that it is obeyed.
        """
        self._orders = orders
        ended, begun = [], []
        for member in self._members.values():
            command = orders.about(self._source, member.reader.host)
            if command == member.command:
                continue
            was_polled, was_stopped, member.command = member.polled, member.stopped, command
            if command is not None and commands.is_stop(command):
                ended += [member] if was_polled else []
                self._halt(member, command)
            elif was_stopped:
                member.standing.resume(datetime.now(UTC))
                member.polled = not (member.running or member.closing)
                begun += [member] if member.polled else []
                log.info("target started", source=self._source, host=member.reader.host)
            self._write(member)
        return ended, begun

    def _halt(self, member: Member, command: Command) -> None:
        if not member.stopped:
            member.failed = member.standing.status in status.SILENT
            told = {"by": command["by"], "reason": command["reason"]}
            log.info("target stopped", source=self._source, host=member.reader.host, **told)
        member.standing.halt(command, datetime.now(UTC))
        if member.polled:
            member.polled = False
            self._settle(member)

    def replace(self, readers: Iterable[Reader]) -> tuple[list[Member], list[Member]]:
        """Targets that go on with another reader: (those that end, those that begin)."""
        pairs = [(self._members[reader.host], reader) for reader in readers]
        added = [Member(reader, old.standing.handed_on(), failed=old.failed) for old, reader in pairs]
        self._members |= {member.reader.host: member for member in added}
        ended = [old for old, _ in pairs if old.polled]
        for old, _ in pairs:
            self._leave(old)
        return ended, [member for each in added for member in self._begun(each)]

    def remove(self, hosts: Iterable[str]) -> list[Member]:
        """Targets that end for good; returns those that were polled."""
        removed = [self._members.pop(host) for host in hosts]
        ended = [member for member in removed if member.polled]
        for member in removed:
            log.info("target removed", source=self._source, host=member.reader.host)
            member.standing.end(datetime.now(UTC), REMOVED)
            self._leave(member)
        return ended

    def forget_others(self) -> None:
        """Says of targets that this producer once polled, and that left the fleet file since, that they are none."""
        own = self._publication.producer
        self.forget(record for record in self._known.values() if record["producer"] == own and not record["removed"])
        self._known.clear()

    def forget(self, statuses: Iterable[Mapping[str, Any]]) -> None:
        """Says of targets that nobody polls that they are none any more."""
        for record in statuses:
            self._farewell(record["host"], record["address"], record["labels"])
            end = {"status": "stopped", "detail": REMOVED, "observed_at": datetime.now(UTC), "removed": True}
            self._publication.state("state-targets", {**record, **end, "stopped_by": None})

    def began(self, member: Member) -> None:
        """A poll of it begins."""
        member.running += 1

    def ended(self, member: Member, result: Outcome, *, missed: int, down: bool) -> None:
        """A poll of it has ended; `missed`: how many were left out for it."""
        member.running -= 1
        if not member.polled:
            self._settle(member)
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
        for name, count in counts(self._members.values()).items():
            metrics.TARGETS.labels(self._source, name).set(count)

    def unheard(self) -> dict[str, Any]:
        """What a heartbeat says of the targets that cannot be read, and of those that are stopped, for presence."""
        return unheard(self._members.values()) | {"released": list(self._released)[:LISTED]}

    def end(self) -> None:
        """Closes all readers, within CLOSE_S seconds, and writes that their targets are stopped."""
        for member in [*self._members.values(), *(each for each in self._leaving if each.running)]:
            self._closers.do(closing(member.reader))
        self._closers.wait(CLOSE_S)
        for member in self._members.values():
            if not member.stopped:
                member.standing.end(datetime.now(UTC), STOPPED)
            self._write(member)
        for member in self._leaving:
            self._write_removed(member)
        self._closers.close()

    def _leave(self, member: Member) -> None:
        member.leaving, member.polled = True, False
        self._leaving[member] = None
        self._settle(member)

    def _settle(self, member: Member) -> None:
        """What comes after the last poll of one that is not polled: its reader is closed, or it is polled again."""
        if member.running or member.closing:
            return
        if not (member.leaving or member.stopped):  # it was started again before that poll or the closing had ended
            member.polled = True
            self._again(member)
            return
        let_go, member.closing = closing(member.reader), True

        def close() -> None:
            let_go()
            self._later(lambda: self._closed(member))

        self._closers.do(close)

    def _closed(self, member: Member) -> None:
        member.closing = False
        if self._leaving.pop(member, member) is None:
            self._write_removed(member)
        elif member.stopped:
            self._write(member)  # that its session is gone
        elif not member.leaving:
            self._settle(member)

    def _write_removed(self, member: Member) -> None:
        if member.released:
            return self._handed_over(member)
        reader = member.reader
        if reader.host not in self._members:
            self._farewell(reader.host, reader.address, reader.labels)
            self._write(member, removed=True)
        return None

    def _farewell(self, host: str, address: str, labels: Mapping[str, str]) -> None:
        self._publication.farewell(self._alias, Left(host, address, dict(labels)))

    def _author(self, member: Member) -> Author:
        epoch = self._publication.epoch_of(member.reader.host)
        return Author(self._publication.producer, epoch, self._orders.offset)

    def _write_if_due(self, member: Member) -> None:
        if member.standing.due(time.monotonic()):
            self._write(member)

    def _write(self, member: Member, *, removed: bool = False) -> None:
        if member.standing.status == "stopped" or member.released:
            member.standing.facts = member.reader.facts()
        self._publication.state(
            "state-targets",
            status.record(
                member.reader,
                member.standing,
                datetime.now(UTC),
                author=self._author(member),
                removed=removed,
            ),
        )
