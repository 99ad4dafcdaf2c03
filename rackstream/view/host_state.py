"""State of one host: its newest records, packed, and the columns that lists and totals need. Pure."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from rackstream.text.alert_text import DOMAIN_STATES
from rackstream.view.answers import HostRow, HottestReading, VmRow
from schemas.records import Health, HostSample, LibvirtSample, Power, RedfishSample, VmFeature, VmFeatures
from schemas.sources import SOURCE_BY_TOPIC

RecordKind = tuple[str, str]
"""(alias of the topic, category); the category is empty except for Redfish."""
DEFAULT_LIMIT_CELSIUS: Final = 100.0
"""Limit assumed for sensors that report none."""


class TargetSummary(NamedTuple):
    """Fields of a target's last status that lists and inhibition need."""

    producer: str
    status: str
    observed_us: int
    stopped_by: str | None = None
    """Who paused polling, as its producer says."""


class VmSummary(NamedTuple):
    """Fields of a VM's newest sample that lists need."""

    name: str
    state: int
    cpus: int | None
    memory_kib: int | None


class VmRates(NamedTuple):
    """Rates of a VM between its last two samples."""

    cpu_percent: float | None
    net_bytes_s: float | None
    disk_bytes_s: float | None


NO_RATES: Final = VmRates(None, None, None)


class HostState:
    """Newest packed records and list columns of one host."""

    __slots__ = (
        "cpu_percent",
        "domains",
        "health",
        "hottest_by_topic",
        "labels",
        "last_seen_us",
        "name",
        "records",
        "search_text",
        "targets",
        "vm_rates",
        "watts",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.records: dict[RecordKind, bytes] = {}
        """The newest record of each kind, packed."""
        self.targets: dict[str, TargetSummary] = {}
        """By source."""
        self.labels: dict[str, dict[str, str]] = {}
        """By source."""
        self.search_text = name.lower()
        """Lower-case text that a search matches: name and labels."""
        self.health = "unknown"
        self.watts: float | None = None
        self.hottest_by_topic: dict[str, HottestReading] = {}
        self.cpu_percent: float | None = None
        self.domains: dict[str, VmSummary] | None = None
        """By UUID; None: not a hypervisor."""
        self.vm_rates: dict[str, VmRates] = {}
        """By UUID."""
        self.last_seen_us = 0
        """Time of the newest raw record, in microseconds since 1970; 0: none yet."""

    def set_labels(self, source: str, labels: Mapping[str, str]) -> None:
        """Replaces the labels of one source's target."""
        if self.labels.get(source) == labels:
            return
        self.labels[source] = {sys.intern(name): sys.intern(value) for name, value in labels.items()}
        self._update_search_text()

    def _update_search_text(self) -> None:
        all_labels = (f"{name}={value}" for name, value in self.merged_labels().items())
        self.search_text = " ".join((self.name, *all_labels)).lower()

    def merged_labels(self) -> dict[str, str]:
        """Labels of all sources; where names clash, the source later in the alphabet wins."""
        return {name: value for _, labels in sorted(self.labels.items()) for name, value in labels.items()}

    def status(self, source: str, silent_producers: Collection[str]) -> str:
        """Status of one source's target; unknown while its producer is silent."""
        target = self.targets[source]
        return "unknown" if target.producer in silent_producers else target.status

    @property
    def hottest(self) -> HottestReading | None:
        """The reading closest to its limit."""
        if len(self.hottest_by_topic) > 1:
            return max(self.hottest_by_topic.values(), key=lambda reading: reading.nearness)
        return next(iter(self.hottest_by_topic.values()), None)

    @property
    def seen_at(self) -> datetime | None:
        """Time of the newest raw record."""
        return datetime.fromtimestamp(self.last_seen_us / 1e6, UTC) if self.last_seen_us else None

    def row(self, silent_producers: Collection[str], alerts: int) -> HostRow:
        """Builds the host's row of a list."""
        return HostRow(
            name=self.name,
            health=self.health,
            statuses={source: self.status(source, silent_producers) for source in sorted(self.targets)},
            watts=self.watts,
            hottest=self.hottest,
            vms=None if self.domains is None else len(self.domains),
            cpu_percent=self.cpu_percent,
            alerts=alerts,
            seen_at=self.seen_at,
            labels=self.merged_labels(),
        )

    def vm_rows(self) -> list[VmRow]:
        """Builds the rows of its VMs, sorted by name."""
        rows = []
        for uuid, domain in (self.domains or {}).items():
            state = DOMAIN_STATES.get(domain.state, "unknown")
            rates = self.vm_rates.get(uuid, NO_RATES)
            rows.append(VmRow(self.name, uuid, domain.name, state, domain.cpus, domain.memory_kib, *rates))
        return sorted(rows, key=lambda row: (row.name, row.uuid))

    def set_hottest(self, topic: str, readings: Iterable[tuple[str, float | None, float | None]]) -> None:
        """Keeps the reading closest to its limit; `readings`: sensor, °C, upper critical threshold."""
        hottest = None
        for sensor, celsius, threshold in readings:
            if celsius is None:
                continue
            limit = threshold if threshold and threshold > 0 else None
            nearness = celsius / (limit or DEFAULT_LIMIT_CELSIUS)
            if hottest is None or nearness > hottest.nearness:
                hottest = HottestReading(sensor, celsius, limit, nearness)
        if hottest is None:
            self.hottest_by_topic.pop(topic, None)
        else:
            self.hottest_by_topic[topic] = hottest

    def remove_source(self, source: str) -> None:
        """Drops everything that came from one source, because it is not polled any longer."""
        for kind in [kind for kind in self.records if SOURCE_BY_TOPIC[kind[0]] == source]:
            del self.records[kind]
        self.targets.pop(source, None)
        if self.labels.pop(source, None) is not None:
            self._update_search_text()
        if source == "redfish":
            self.health, self.watts = "unknown", None
            self.hottest_by_topic.pop("raw-redfish", None)
        elif source == "libvirt":
            self.domains, self.vm_rates = None, {}
        else:
            self.cpu_percent = None
            self.hottest_by_topic.pop("raw-host", None)

    @property
    def is_empty(self) -> bool:
        """True if no source polls the host any longer."""
        return not self.targets and not self.records


def _apply_redfish(host: HostState, sample: RedfishSample) -> None:
    readings = (
        (
            temperature["sensor_name"] or temperature["sensor_id"],
            temperature["reading_celsius"],
            temperature["upper_threshold_critical"],
        )
        for temperature in sample["temperatures"]
    )
    host.set_hottest("raw-redfish", readings)


def _apply_host(host: HostState, sample: HostSample) -> None:
    host.cpu_percent = sample["cpu_percent"]
    readings = (
        (temperature["sensor"], temperature["reading_celsius"], temperature["upper_threshold_critical"])
        for temperature in sample["temperatures"]
    )
    host.set_hottest("raw-host", readings)


def _apply_libvirt(host: HostState, sample: LibvirtSample) -> None:
    host.domains = {
        domain["uuid"]: VmSummary(domain["name"], domain["state"], domain["cpus"], domain["memory_used_kb"])
        for domain in sample["domains"]
    }
    if any(uuid not in host.domains for uuid in host.vm_rates):
        host.vm_rates = {uuid: rates for uuid, rates in host.vm_rates.items() if uuid in host.domains}


def _apply_vm_features(host: HostState, features: VmFeatures) -> None:
    host.vm_rates = {feature["uuid"]: vm_rates(feature) for feature in features["vms"]}


def vm_rates(feature: VmFeature) -> VmRates:
    """Rates of one VM that lists show."""
    cpu = feature["cputime_rate"]
    return VmRates(
        None if cpu is None else cpu / 1e7,  # nanoseconds per second → percent
        _sum(feature["net_rxbytes_rate"], feature["net_txbytes_rate"]),
        _sum(feature["disk_rd_bytes_rate"], feature["disk_wr_bytes_rate"]),
    )


def _sum(*values: float | None) -> float | None:
    """Sum of the values that are present; None if none is."""
    present = [value for value in values if value is not None]
    return sum(present) if present else None


def _apply_power(host: HostState, power: Power) -> None:
    host.watts = power["consumed_watts"]


def _apply_health(host: HostState, health: Health) -> None:
    host.health = health["overall"]


UPDATES: Final[Mapping[str, Callable[[HostState, Any], None]]] = {
    "raw-redfish": _apply_redfish,
    "raw-libvirt": _apply_libvirt,
    "raw-host": _apply_host,
    "vm-features": _apply_vm_features,
    "power": _apply_power,
    "state-health": _apply_health,
}
"""Topic → update of the list columns. Records of other topics are decoded only when the host's details are queried."""
THERMAL: Final = "thermal"
"""The only category of `raw-redfish` with a list column."""


def has_list_columns(kind: RecordKind) -> bool:
    """True if lists show values of this kind of record."""
    topic, category = kind
    return topic in UPDATES and (topic != "raw-redfish" or category == THERMAL)
