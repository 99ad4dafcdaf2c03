"""Takes records in: what comes is kept as bytes, and what lists show of it is read when the view settles. No Kafka.

Settling decodes once for all records of one kind of one host that came since. The rest is decoded when somebody asks
for one host. Not thread-safe: `model.View` is.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from rackstream.view.alert_log import Book, Mutes
from rackstream.view.answers import Event
from rackstream.view.host_state import FOLDS, SOURCES, Entry, Slot, Told, is_listed
from rackstream.view.packed_records import Letter, pack, peek, peek_letter, unpack
from schemas import catalog, codec
from schemas.avro.primitives import EPOCH
from schemas.catalog import REMOVED
from sinks.webhook.active_alerts import remembered

Record = dict[str, Any]
Decode = Callable[[str, bytes], Record]
"""Alias and bytes → record; raises codec.Undecodable."""
EVENTS: Final = 1000
"""Events that are remembered for whoever was away for a moment."""
GONE: Final = 20_000
"""Hosts that are read no more and still known, so that a late record does not bring them back."""
LETTERS: Final = 50_000
"""Dead letters that are known one by one, so that an ended one no longer counts."""


def decoding(topics: catalog.Catalog, resolve: codec.Resolve | None = None) -> Decode:
    """Decodes records of these topics."""
    decoders = {
        alias: codec.Decoder(catalog.schema(topic.schema), resolve)
        for alias, topic in topics.topics.items()
        if topic.schema != "json"
    }
    return lambda alias, value: decoders[alias].decode(value)


class Fold:
    """What is known of the fleet."""

    def __init__(self, decode: Decode) -> None:
        self._decode = decode
        self.hosts: dict[str, Entry] = {}
        self.targets: dict[tuple[str, str], bytes] = {}
        """(host, source) → its newest status, packed."""
        self.beats: dict[str, Record] = {}
        """The newest heartbeat of each producer."""
        self.letters: OrderedDict[bytes, Letter] = OrderedDict()
        """The open dead letters, by their keys."""
        self.book, self.mutes = Book(), Mutes()
        self.silent: frozenset[str] = frozenset()
        """Producers that are not heard: what they told of their targets is not known any more."""
        self.events: deque[Event] = deque(maxlen=EVENTS)
        self.seen: Counter[str] = Counter()
        """Records taken in, by topic."""
        self.undecodable = 0
        self.telling = False
        """Whether what happens becomes an event."""
        self._dirty: dict[tuple[str, Slot], None] = {}
        self._gone: OrderedDict[tuple[str, str], int] = OrderedDict()
        """(host, source) that is read no more → when it was told, in microseconds."""
        self._number = 0

    def take(self, alias: str, key: bytes, value: bytes | None) -> None:
        """Takes one record in; what cannot be read is counted."""
        self.seen[alias] += 1
        try:
            if alias in SOURCES:
                self._keep(alias, value)
            elif alias == "dead-letter":
                self._letter(key, value)
            elif alias in HANDLERS:
                HANDLERS[alias](self, key, value)
        except (codec.Undecodable, ValueError, LookupError):
            self.undecodable += 1

    def remember(self, memories: Iterable[bytes]) -> None:
        """Takes what the alert engine remembers: the newest AlertState of each host and source."""
        known = [each for value in memories if (each := self.decoded("state-alerts", value)) is not None]
        statuses = [each for key in self.targets if (each := self.target(key)) is not None]
        self.book.remember(remembered(known, self.mutes.presence.values(), statuses))

    def settle(self, budget_s: float = float("inf")) -> bool:
        """Reads of the records that came what lists show of them; false: the budget ended first."""
        deadline = time.perf_counter() + budget_s
        while self._dirty:
            name, slot = next(iter(self._dirty))
            del self._dirty[name, slot]
            entry = self.hosts.get(name)
            record = self.kept(entry, slot) if entry is not None else None
            if entry is not None and record is not None:
                before = entry.health
                FOLDS[slot[0]](entry, record)
                if entry.health != before:
                    self.tell("health", host=name, health=entry.health, before=before)
            if time.perf_counter() > deadline:
                return not self._dirty
        return True

    def decoded(self, alias: str, value: bytes) -> Record | None:
        """A record; None: it cannot be read, which is counted."""
        try:
            return self._decode(alias, value)
        except codec.Undecodable:
            self.undecodable += 1
            return None

    def kept(self, entry: Entry, slot: Slot) -> Record | None:
        """The newest record of a kind of a host."""
        value = entry.kept.get(slot)
        return None if value is None else self.decoded(slot[0], unpack(value))

    def target(self, key: tuple[str, str]) -> Record | None:
        """The status of a target, by its host and source."""
        value = self.targets.get(key)
        return None if value is None else self.decoded("state-targets", unpack(value))

    def tell(self, kind: str, **data: Any) -> None:
        """Notes an event."""
        if self.telling:
            self._number += 1
            self.events.append(Event(self._number, kind, data))

    def events_after(self, number: int | None) -> tuple[list[Event], int, bool]:
        """Events after a number (None: none), the newest number, and whether some between are not known any more."""
        if number is None or number >= self._number:
            return [], self._number, number is not None and number > self._number
        found = [event for event in self.events if event.number > number]
        return found, self._number, not found or found[0].number > number + 1

    def _keep(self, alias: str, value: bytes | None) -> None:
        if not value:
            return
        found = peek(value)
        source = SOURCES[alias]
        if found.observed_us <= self._gone.get((found.host, source), -1):
            return
        if found.category == REMOVED:
            self._remove(found.host, source, found.observed_us)
            return
        entry = self._entry(found.host)
        slot = alias, found.category if alias == "raw-redfish" else ""
        entry.kept[slot] = pack(value)
        if alias.startswith("raw-"):
            entry.seen_us = found.observed_us
        if is_listed(slot):
            self._dirty[found.host, slot] = None

    def _entry(self, name: str) -> Entry:
        entry = self.hosts.get(name)
        if entry is None:
            entry = self.hosts[name] = Entry(name)
            self.tell("host", host=name, known=True)
        return entry

    def _remove(self, host: str, source: str, at_us: int) -> None:
        entry = self.hosts.get(host)
        told = entry.told.get(source) if entry else None
        if told is not None and told.observed_us > at_us:
            return  # it is read again; topics are not read in the order of time
        self._gone[host, source] = at_us
        if len(self._gone) > GONE:
            self._gone.popitem(last=False)
        if entry is None:
            return
        entry.forget(source)
        self.targets.pop((host, source), None)
        self.mutes.changed()
        if entry.empty:
            del self.hosts[host]
            self.tell("host", host=host, known=False)

    def _letter(self, key: bytes, value: bytes | None) -> None:
        self.letters.pop(key, None)
        if value:
            self.letters[key] = peek_letter(value)
            if len(self.letters) > LETTERS:
                self.letters.popitem(last=False)

    def status(self, _key: bytes, value: bytes | None) -> None:
        """A target's status."""
        if not value:
            return
        record = self._decode("state-targets", value)
        host, source = record["host"], record["source"]
        if record["removed"]:
            self._remove(host, source, _micros(record["observed_at"]))
            return
        self._gone.pop((host, source), None)
        entry = self._entry(host)
        before = entry.told.get(source)
        by = record["stopped_by"]
        stop = (by, record["detail"] if by is not None else "")
        entry.told[source] = told = Told(record["producer"], record["status"], _micros(record["observed_at"]), *stop)
        entry.set_labels(source, record["labels"])
        self.targets[host, source] = pack(value)
        if before is None or (before.producer, before.stopped_by, before.detail) != (told.producer, *stop):
            self.mutes.changed()
        if before is None or before.status != told.status:
            self.tell("status", host=host, source=source, status=told.status, before=before and before.status)

    def beat(self, _key: bytes, value: bytes | None) -> None:
        """A heartbeat."""
        if value:
            record = self._decode("heartbeats", value)
            self.beats[record["producer"]] = record

    def presence(self, key: bytes, value: bytes | None) -> None:
        """What presence says of a producer."""
        if value:
            record = self._decode("state-presence", value)
            self.mutes.presence[record["producer"]] = record
        else:
            self.mutes.presence.pop(key.decode(), None)
        self.mutes.changed()
        silent = frozenset(name for name, each in self.mutes.presence.items() if each["status"] == "silent")
        for name in sorted(silent ^ self.silent):
            self.tell("producer", producer=name, silent=name in silent)
        self.silent = silent

    def silence(self, key: bytes, value: bytes | None) -> None:
        """A silence."""
        if value:
            record = self._decode("silences", value)
            self.mutes.silences[record["id"]] = record
        else:
            self.mutes.silences.pop(key.decode(), None)

    def transition(self, _key: bytes, value: bytes | None) -> None:
        """A transition of an alert."""
        if value:
            record = self._decode("alerts", value)
            self.book.log(record)
            self.tell("alert", record=record)


def _micros(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)


HANDLERS: Final[Mapping[str, Callable[[Fold, bytes, bytes | None], None]]] = {
    "state-targets": Fold.status,
    "heartbeats": Fold.beat,
    "state-presence": Fold.presence,
    "silences": Fold.silence,
    "alerts": Fold.transition,
}
"""Topics whose records are read at once."""
