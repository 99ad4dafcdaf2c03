"""What is remembered of one host: its newest records as bytes, and of these what lists and sums are made of. Pure."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from rackstream.text.alert_text import STATES
from rackstream.view.answers import HostRow, Hottest, VmRow

Record = dict[str, Any]
Slot = tuple[str, str]
"""(alias of the topic, category)."""
SOURCES: Final = {
    "raw-redfish": "redfish",
    "power": "redfish",
    "state-health": "redfish",
    "raw-libvirt": "libvirt",
    "vm-features": "libvirt",
    "device-rates": "libvirt",
    "vm-power": "libvirt",
    "raw-host": "host",
    "host-rates": "host",
}
"""Topics with one record per host and category that are kept, and the source each is of."""
UNLIMITED_CELSIUS: Final = 100.0
"""Stands for a limit that a sensor does not tell."""


class Told(NamedTuple):
    """What a target's producer said last."""

    producer: str
    status: str
    observed_us: int
    stopped_by: str | None = None
    detail: str = ""
    """Only of a target that a command has stopped: who did, and why."""


class Domain(NamedTuple):
    """A VM, as its newest sample tells."""

    name: str
    state: int
    cpus: int | None
    memory_kib: int | None


class Rates(NamedTuple):
    """Rates of a VM since the sample before."""

    cpu_percent: float | None
    net_bytes_s: float | None
    disk_bytes_s: float | None


NO_RATES: Final = Rates(None, None, None)


class Entry:
    """One host."""

    __slots__ = (
        "cpu_percent",
        "domains",
        "health",
        "hot",
        "kept",
        "labels",
        "name",
        "rates",
        "seen_us",
        "text",
        "told",
        "watts",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.kept: dict[Slot, bytes] = {}
        """The newest record of each kind, packed."""
        self.told: dict[str, Told] = {}
        """By source."""
        self.labels: dict[str, dict[str, str]] = {}
        """By source."""
        self.text = name.lower()
        """What a search looks at."""
        self.health = "unknown"
        self.watts: float | None = None
        self.hot: dict[str, Hottest] = {}
        """By topic."""
        self.cpu_percent: float | None = None
        self.domains: dict[str, Domain] | None = None
        """By UUID; None: no hypervisor."""
        self.rates: dict[str, Rates] = {}
        """By UUID."""
        self.seen_us = 0

    def set_labels(self, source: str, labels: Mapping[str, str]) -> None:
        """Takes the labels that a source's target has."""
        if self.labels.get(source) == labels:
            return
        self.labels[source] = {sys.intern(name): sys.intern(value) for name, value in labels.items()}
        all_labels = (f"{name}={value}" for name, value in self.merged_labels().items())
        self.text = " ".join((self.name, *all_labels)).lower()

    def merged_labels(self) -> dict[str, str]:
        """Of all sources."""
        return {name: value for _, labels in sorted(self.labels.items()) for name, value in labels.items()}

    def status(self, source: str, silent: Iterable[str]) -> str:
        """How a source's target stands: nothing is known of it while its producer is silent."""
        told = self.told[source]
        return "unknown" if told.producer in silent else told.status

    @property
    def hottest(self) -> Hottest | None:
        """The reading nearest its limit."""
        if len(self.hot) > 1:
            return max(self.hot.values(), key=lambda each: each.nearness)
        return next(iter(self.hot.values()), None)

    @property
    def seen_at(self) -> datetime | None:
        """When the newest reading was taken."""
        return datetime.fromtimestamp(self.seen_us / 1e6, UTC) if self.seen_us else None

    def row(self, silent: Iterable[str], alerts: int) -> HostRow:
        """As a line of a list."""
        return HostRow(
            name=self.name,
            health=self.health,
            statuses={source: self.status(source, silent) for source in sorted(self.told)},
            watts=self.watts,
            hottest=self.hottest,
            vms=None if self.domains is None else len(self.domains),
            cpu_percent=self.cpu_percent,
            alerts=alerts,
            seen_at=self.seen_at,
            labels=self.merged_labels(),
        )

    def vms(self) -> list[VmRow]:
        """Its VMs, by name."""
        found = []
        for uuid, domain in (self.domains or {}).items():
            state = STATES.get(domain.state, "unknown")
            rates = self.rates.get(uuid, NO_RATES)
            found.append(VmRow(self.name, uuid, domain.name, state, domain.cpus, domain.memory_kib, *rates))
        return sorted(found, key=lambda vm: (vm.name, vm.uuid))

    def forget(self, source: str) -> None:
        """Drops what a source told: it is read no more."""
        for slot in [slot for slot in self.kept if SOURCES[slot[0]] == source]:
            del self.kept[slot]
        self.told.pop(source, None)
        self.labels.pop(source, None)
        if source == "redfish":
            self.health, self.watts = "unknown", None
            self.hot.pop("raw-redfish", None)
        elif source == "libvirt":
            self.domains, self.rates = None, {}
        else:
            self.cpu_percent = None
            self.hot.pop("raw-host", None)

    @property
    def empty(self) -> bool:
        """Nobody reads it any more."""
        return not self.told and not self.kept


def _hottest(readings: Iterable[Record], name: str) -> Hottest | None:
    """Of the temperatures that have a value; `name`: the field that says which sensor it is."""
    found = None
    for reading in readings:
        celsius, limit = reading["reading_celsius"], reading["upper_threshold_critical"]
        if celsius is None:
            continue
        limit = limit if limit and limit > 0 else None
        nearness = celsius / (limit or UNLIMITED_CELSIUS)
        if found is None or nearness > found.nearness:
            found = Hottest(reading.get(name) or reading["sensor_id"], celsius, limit, nearness)
    return found


def _temperatures(entry: Entry, alias: str, record: Record, name: str) -> None:
    found = _hottest(record["temperatures"], name)
    if found is None:
        entry.hot.pop(alias, None)
    else:
        entry.hot[alias] = found


def _redfish(entry: Entry, record: Record) -> None:
    _temperatures(entry, "raw-redfish", record, "sensor_name")


def _host(entry: Entry, record: Record) -> None:
    entry.cpu_percent = record["cpu_percent"]
    _temperatures(entry, "raw-host", record, "sensor")


def _libvirt(entry: Entry, record: Record) -> None:
    entry.domains = {
        domain["uuid"]: Domain(domain["name"], domain["state"], domain["cpus"], domain["memory_used_kb"])
        for domain in record["domains"]
    }
    if any(uuid not in entry.domains for uuid in entry.rates):
        entry.rates = {uuid: rates for uuid, rates in entry.rates.items() if uuid in entry.domains}


def _features(entry: Entry, record: Record) -> None:
    entry.rates = {each["uuid"]: rates_of(each) for each in record["vms"]}


def rates_of(feature: Record) -> Rates:
    """Of one VmFeature."""
    cpu = feature["cputime_rate"]
    return Rates(
        None if cpu is None else cpu / 1e7,  # nanoseconds per second → percent
        known_sum(feature, "net_rxbytes_rate", "net_txbytes_rate"),
        known_sum(feature, "disk_rd_bytes_rate", "disk_wr_bytes_rate"),
    )


def known_sum(record: Record, *names: str) -> float | None:
    """The sum of those of these fields that have a value; None: none has."""
    known = [record[name] for name in names if record[name] is not None]
    return sum(known) if known else None


def _power(entry: Entry, record: Record) -> None:
    entry.watts = record["consumed_watts"]


def _health(entry: Entry, record: Record) -> None:
    entry.health = record["overall"]


FOLDS: Final[Mapping[str, Callable[[Entry, Record], None]]] = {
    "raw-redfish": _redfish,
    "raw-libvirt": _libvirt,
    "raw-host": _host,
    "vm-features": _features,
    "power": _power,
    "state-health": _health,
}
"""By topic: what lists show of a record. Records of other topics are decoded only when somebody asks for the host."""
THERMAL: Final = "thermal"
"""The one category of `raw-redfish` that lists show something of."""


def is_listed(slot: Slot) -> bool:
    """Whether lists show something of a record."""
    alias, category = slot
    return alias in FOLDS and (alias != "raw-redfish" or category == THERMAL)
