"""State of the fleet, built from records. Independent of the Kafka client; not thread-safe, `model.View` is.

Incoming records are kept as packed bytes. `update_lists` decodes the newest of each kind and host once, however many
have arrived since, and updates the list columns. Everything else is decoded only when a host's details are queried.
"""

from __future__ import annotations

import time
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

import structlog

from rackstream.view.alert_log import AlertLog, AlertMuting
from rackstream.view.answers import ViewEvent
from rackstream.view.detail import HostRecords
from rackstream.view.host_state import (
    UPDATES,
    HostState,
    RecordKind,
    TargetSummary,
    has_list_columns,
)
from rackstream.view.packed_records import DeadLetterHead, pack, read_dead_letter_head, read_head, unpack
from runtime import metrics
from schemas import catalog, codec
from schemas.avro.primitives import EPOCH
from schemas.catalog import REMOVED_CATEGORY
from schemas.records import (
    Alert,
    AlertState,
    Control,
    DeviceRates,
    Health,
    Heartbeat,
    HostRates,
    HostSample,
    LibvirtSample,
    Power,
    PresenceState,
    RedfishSample,
    Silence,
    TargetStatus,
    VmFeatures,
    VmPower,
)
from schemas.sources import SOURCE_BY_TOPIC
from sinks.webhook.active_alerts import alerts_from_state

log = structlog.get_logger()
DecodedRecord = Any
"""A record as decoded: the caller casts it to the generated type of its topic."""
Decode = Callable[[str, bytes], DecodedRecord]
"""(topic alias, bytes) → record; raises `codec.DecodeError`."""
MIN_TIME_US: Final = 0
MAX_TIME_US: Final = (datetime(9999, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(microseconds=1)
MAX_LOGGED: Final = 100
"""Refused records that are logged; all are counted."""
MAX_REASON_LENGTH: Final = 300
MAX_EVENTS: Final = 1000
"""Events kept for readers that were disconnected for a moment."""
MAX_REMOVED: Final = 20_000
"""Removed targets remembered, so that a late record does not bring their host back."""
MAX_DEAD_LETTERS: Final = 50_000
"""Dead letters held by key, so that one that is closed is subtracted."""


def make_decoder(topics: catalog.Catalog, resolve: codec.SchemaResolver | None = None) -> Decode:
    """Returns a function that decodes records of these topics."""
    decoders = {
        alias: codec.Decoder(catalog.schema(topic.schema), resolve)
        for alias, topic in topics.topics.items()
        if topic.schema != "json"
    }
    return lambda alias, value: decoders[alias].decode(value)


class FleetState:
    """Hosts, targets, producers, alerts and dead letters as of the records applied so far."""

    def __init__(self, decode: Decode) -> None:
        self._decode = decode
        self.hosts: dict[str, HostState] = {}
        self.target_statuses: dict[tuple[str, str], bytes] = {}
        """(host, source) → the newest status, packed."""
        self.heartbeats: dict[str, Heartbeat] = {}
        """Producer → its newest heartbeat."""
        self.dead_letters: OrderedDict[bytes, DeadLetterHead] = OrderedDict()
        """Key → open dead letter."""
        self.alert_log, self.muting = AlertLog(), AlertMuting()
        self.silent_producers: frozenset[str] = frozenset()
        """Producers whose heartbeats are missing. Statuses that they reported count as unknown."""
        self.events: deque[ViewEvent] = deque(maxlen=MAX_EVENTS)
        self.record_counts: Counter[str] = Counter()
        """Topic alias → records applied."""
        self.undecodable = 0
        self.emits_events = False
        """True if changes become events: set when everything that was on Kafka at the start has been applied."""
        self._outdated: dict[tuple[str, RecordKind], None] = {}
        """(host, kind) whose newest record is not in the list columns yet, oldest first."""
        self._removed: OrderedDict[tuple[str, str], int] = OrderedDict()
        """(host, source) that was removed → when, in microseconds since 1970."""
        self._last_event = 0

    def apply(self, alias: str, key: bytes, value: bytes | None) -> None:
        """Applies one record. Records that cannot be decoded are counted."""
        self.record_counts[alias] += 1
        try:
            if alias in SOURCE_BY_TOPIC:
                self._store_reading(alias, value)
            elif alias == "dead-letter":
                self._apply_dead_letter(key, value)
            elif alias in HANDLERS:
                HANDLERS[alias](self, key, value)
        except Exception as error:  # noqa: BLE001  whatever is on the topic, the view goes on
            self._skip(alias, key, error)

    def _skip(self, alias: str, key: bytes, error: Exception) -> None:
        """Counts and names a record that was refused."""
        self.undecodable += 1
        metrics.RECORDS_SKIPPED.labels(alias).inc()
        if self.undecodable <= MAX_LOGGED:
            reason = (str(error) or repr(error))[:MAX_REASON_LENGTH]
            log.warning("record skipped", topic=alias, key=key.decode(errors="replace")[:100], reason=reason)

    def restore_alerts(self, values: Iterable[bytes]) -> None:
        """Adds the active alerts of the alert engine's state: the newest AlertState of each host and source."""
        decoded = (cast("AlertState | None", self.decode("state-alerts", value)) for value in values)
        states = [state for state in decoded if state is not None]
        statuses = [status for key in self.target_statuses if (status := self.target_status(key)) is not None]
        self.alert_log.restore(alerts_from_state(states, self.muting.presence.values(), statuses))

    def update_lists(self, budget_s: float = float("inf")) -> bool:
        """Decodes new records and updates the list columns. Returns False if the time budget ran out."""
        deadline = time.perf_counter() + budget_s
        while self._outdated:
            name, kind = next(iter(self._outdated))
            del self._outdated[name, kind]
            host = self.hosts.get(name)
            before = host.health if host is not None else None
            try:
                record = self._newest(host, kind) if host is not None else None
                if host is not None and record is not None:
                    UPDATES[kind[0]](host, record)
            except Exception as error:  # noqa: BLE001  as in `apply`
                self._skip(kind[0], name.encode(errors="replace"), error)
            if host is not None and host.health != before:
                self.emit("health", host=name, health=host.health, before=before)
            if time.perf_counter() > deadline:
                return not self._outdated
        return True

    def decode(self, alias: str, value: bytes) -> DecodedRecord | None:
        """Decodes a record. Returns None, and counts it, if that fails."""
        try:
            return self._decode(alias, value)
        except codec.DecodeError as error:
            self._skip(alias, b"", error)
            return None

    def _newest(self, host: HostState, kind: RecordKind) -> DecodedRecord | None:
        packed = host.records.get(kind)
        return None if packed is None else self.decode(kind[0], unpack(packed))

    def host_records(self, host: HostState, *topics: str) -> HostRecords:
        """Decodes the newest records of a host, of the given topics or of all."""
        decoded: dict[RecordKind, DecodedRecord] = {
            kind: record
            for kind in host.records
            if (not topics or kind[0] in topics) and (record := self._newest(host, kind)) is not None
        }
        redfish = {category: record for (topic, category), record in decoded.items() if topic == "raw-redfish"}
        times = sorted((kind, record["observed_at"]) for kind, record in decoded.items())
        return HostRecords(
            redfish=cast("dict[str, RedfishSample]", redfish),
            libvirt=cast("LibvirtSample | None", decoded.get(("raw-libvirt", ""))),
            host=cast("HostSample | None", decoded.get(("raw-host", ""))),
            host_rates=cast("HostRates | None", decoded.get(("host-rates", ""))),
            health=cast("Health | None", decoded.get(("state-health", ""))),
            power=cast("Power | None", decoded.get(("power", ""))),
            vm_features=cast("VmFeatures | None", decoded.get(("vm-features", ""))),
            device_rates=cast("DeviceRates | None", decoded.get(("device-rates", ""))),
            vm_power=cast("VmPower | None", decoded.get(("vm-power", ""))),
            observed_at={category or topic: observed_at for (topic, category), observed_at in times},
        )

    def target_status(self, key: tuple[str, str]) -> TargetStatus | None:
        """The newest status of a target, by host and source."""
        packed = self.target_statuses.get(key)
        return None if packed is None else cast("TargetStatus | None", self.decode("state-targets", unpack(packed)))

    def emit(self, kind: str, **data: object) -> None:
        """Appends an event, once the initial read is complete."""
        if self.emits_events:
            self._last_event += 1
            self.events.append(ViewEvent(self._last_event, kind, data))

    def events_after(self, number: int | None) -> tuple[list[ViewEvent], int, bool]:
        """Returns the events after a number.

        Args:
            number: The last event that the caller has; None asks for the newest number only.

        Returns:
            The events, the newest number, and True if some events in between are not held any longer.
        """
        if number is None or number >= self._last_event:
            return [], self._last_event, number is not None and number > self._last_event
        events = [event for event in self.events if event.number > number]
        return events, self._last_event, not events or events[0].number > number + 1

    def _store_reading(self, alias: str, value: bytes | None) -> None:
        if not value:
            return
        head = read_head(value)
        if not head.host or not MIN_TIME_US <= head.observed_us <= MAX_TIME_US:
            raise ValueError("no host, or a time that no clock has")
        source = SOURCE_BY_TOPIC[alias]
        if head.observed_us <= self._removed.get((head.host, source), -1):
            return
        if head.category == REMOVED_CATEGORY:
            self._remove(head.host, source, head.observed_us)
            return
        if head.host not in self.hosts:
            self._decode(alias, value)  # raises: bytes that are no record make no host
        host = self._host(head.host)
        kind = alias, head.category if alias == "raw-redfish" else ""
        host.records[kind] = pack(value)
        if alias.startswith("raw-"):
            host.last_seen_us = head.observed_us
        if has_list_columns(kind):
            self._outdated[head.host, kind] = None

    def _host(self, name: str) -> HostState:
        host = self.hosts.get(name)
        if host is None:
            host = self.hosts[name] = HostState(name)
            self.emit("host", host=name, known=True)
        return host

    def _remove(self, name: str, source: str, at_us: int) -> None:
        host = self.hosts.get(name)
        target = host.targets.get(source) if host else None
        if target is not None and target.observed_us > at_us:
            return  # polled again since: topics are not read in the order of time
        self._removed[name, source] = at_us
        if len(self._removed) > MAX_REMOVED:
            self._removed.popitem(last=False)
        if host is None:
            return
        host.remove_source(source)
        self.target_statuses.pop((name, source), None)
        self.muting.invalidate()
        if host.is_empty:
            del self.hosts[name]
            self.emit("host", host=name, known=False)

    def _apply_dead_letter(self, key: bytes, value: bytes | None) -> None:
        self.dead_letters.pop(key, None)
        if value:
            self.dead_letters[key] = read_dead_letter_head(value)
            if len(self.dead_letters) > MAX_DEAD_LETTERS:
                self.dead_letters.popitem(last=False)

    def apply_target_status(self, _key: bytes, value: bytes | None) -> None:
        """Applies a record of state-targets."""
        if not value:
            return
        record = cast("TargetStatus", self._decode("state-targets", value))
        name, source, observed_us = record["host"], record["source"], _microseconds(record["observed_at"])
        if record["removed"]:
            self._remove(name, source, observed_us)
            return
        self._removed.pop((name, source), None)
        host = self._host(name)
        before = host.targets.get(source)
        stopped_by = record["stopped_by"]
        target = TargetSummary(record["producer"], record["status"], observed_us, stopped_by)
        host.targets[source] = target
        host.set_labels(source, record["labels"])
        self.target_statuses[name, source] = pack(value)
        if before is None or (before.producer, before.stopped_by) != (target.producer, stopped_by):
            self.muting.invalidate()
        if before is None or before.status != target.status:
            self.emit("status", host=name, source=source, status=target.status, before=before and before.status)

    def apply_heartbeat(self, _key: bytes, value: bytes | None) -> None:
        """Applies a record of heartbeats."""
        if value:
            heartbeat = cast("Heartbeat", self._decode("heartbeats", value))
            self.heartbeats[heartbeat["producer"]] = heartbeat

    def apply_presence(self, key: bytes, value: bytes | None) -> None:
        """Applies a record of state-presence."""
        presence = self.muting.presence
        if value:
            state = cast("PresenceState", self._decode("state-presence", value))
            presence[state["producer"]] = state
        else:
            presence.pop(key.decode(), None)
        self.muting.invalidate()
        silent = frozenset(producer for producer, state in presence.items() if state["status"] == "silent")
        for producer in sorted(silent ^ self.silent_producers):
            self.emit("producer", producer=producer, silent=producer in silent)
        self.silent_producers = silent

    def apply_silence(self, key: bytes, value: bytes | None) -> None:
        """Applies a record of silences."""
        if value:
            silence = cast("Silence", self._decode("silences", value))
            self.muting.silences[silence["id"]] = silence
        else:
            self.muting.silences.pop(key.decode(), None)

    def apply_command(self, key: bytes, value: bytes | None) -> None:
        """Applies a record of control."""
        if value:
            command = cast("Control", self._decode("control", value))
            self.muting.commands[command["key"]] = command
        else:
            self.muting.commands.pop(key.decode(), None)
        self.muting.invalidate()

    def apply_transition(self, _key: bytes, value: bytes | None) -> None:
        """Applies a record of alerts."""
        if value:
            transition = cast("Alert", self._decode("alerts", value))
            self.alert_log.append(transition)
            self.emit("alert", record=transition)


def _microseconds(at: datetime) -> int:
    return (at - EPOCH) // timedelta(microseconds=1)


HANDLERS: Final[Mapping[str, Callable[[FleetState, bytes, bytes | None], None]]] = {
    "state-targets": FleetState.apply_target_status,
    "heartbeats": FleetState.apply_heartbeat,
    "state-presence": FleetState.apply_presence,
    "silences": FleetState.apply_silence,
    "control": FleetState.apply_command,
    "alerts": FleetState.apply_transition,
}
"""Topics whose records are decoded on arrival."""
