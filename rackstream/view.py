"""The view model: what the fleet looks like now, folded from the topics. Pure; terminal, page and API all show this."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final

from processors.presence import SILENT
from schemas.catalog import REMOVED

Record = dict[str, Any]
RATE_WINDOW_S: Final = 10.0


@dataclass
class HostView:
    """One host."""

    name: str
    status: dict[str, str] = field(default_factory=dict)
    """Status by source; unknown while the producer is silent."""
    told: dict[str, tuple[str, str]] = field(default_factory=dict)
    """By source: the producer, and the status that it last told."""
    watts: float | None = None
    hottest: tuple[str, float, float | None] | None = None
    """(sensor, °C, critical limit) of the reading nearest its limit."""
    vms: int | None = None
    cpu_percent: float | None = None
    seen_at: datetime | None = None


@dataclass
class VmView:
    """One VM, with its rates since the sample before."""

    host: str
    name: str
    state: int
    cpus: int | None
    memory_kib: int | None
    cpu_percent: float | None = None
    net_bytes_s: float | None = None
    disk_bytes_s: float | None = None


@dataclass
class TopicView:
    """Records of one topic."""

    records: int = 0
    recent: deque[float] = field(default_factory=lambda: deque(maxlen=20_000))

    def rate(self, now_s: float) -> float:
        """Records per second over the last window."""
        while self.recent and self.recent[0] < now_s - RATE_WINDOW_S:
            self.recent.popleft()
        return len(self.recent) / RATE_WINDOW_S


class View:
    """Folds records; not thread-safe."""

    def __init__(self) -> None:
        self.hosts: dict[str, HostView] = {}
        self.vms: dict[tuple[str, str], VmView] = {}
        self.domains: dict[str, list[Record]] = {}
        """The newest raw domains of each host."""
        self.beats: dict[str, Record] = {}
        """The newest heartbeat of each producer."""
        self.topics: dict[str, TopicView] = {}
        self.active: dict[str, Record] = {}
        self.silent: set[str] = set()
        """Producers that are not heard: what they told of their targets is not known any more."""
        self.transitions: deque[Record] = deque(maxlen=100)
        self.raised = 0
        self.cleared = 0

    def see(self, alias: str, record: Record | None, now_s: float) -> None:
        """Takes one record in; `record` is None for what could not be decoded or is only counted."""
        topic = self.topics.setdefault(alias, TopicView())
        topic.records += 1
        topic.recent.append(now_s)
        fold = FOLDS.get(alias)
        if fold is not None and record is not None:
            fold(self, record)

    def host(self, name: str) -> HostView:
        """The host, new if it was not seen yet."""
        return self.hosts.setdefault(name, HostView(name))

    @property
    def watts(self) -> float | None:
        """Watts of all hosts that report them."""
        known = [host.watts for host in self.hosts.values() if host.watts is not None]
        return sum(known) if known else None


def sentence(alert: Record) -> str:
    """What an alert transition says to a person; a cleared one tells the value now."""
    now = alert["value"]
    return f"{alert['text']}; now {now:.1f}" if alert["transition"] == "cleared" and now is not None else alert["text"]


def _nearness(reading: Record) -> float:
    """How near a temperature is to its limit; without one, to 100 °C."""
    limit = reading["upper_threshold_critical"]
    return float(reading["reading_celsius"] / (limit if limit and limit > 0 else 100.0))


def _redfish(view: View, record: Record) -> None:
    if record["category"] == REMOVED:
        return
    host = view.host(record["host"])
    host.seen_at = record["observed_at"]
    readings = [each for each in record["temperatures"] if each["reading_celsius"] is not None]
    if readings:
        top = max(readings, key=_nearness)
        name = top["sensor_name"] or top["sensor_id"]
        host.hottest = (name, top["reading_celsius"], top["upper_threshold_critical"])


def _libvirt(view: View, record: Record) -> None:
    if record["category"] == REMOVED:
        return
    host = view.host(record["host"])
    host.seen_at, host.vms = record["observed_at"], len(record["domains"])
    view.domains[record["host"]] = record["domains"]
    alive = {(record["host"], domain["uuid"]) for domain in record["domains"]}
    for key in [key for key in view.vms if key[0] == record["host"] and key not in alive]:
        del view.vms[key]
    for domain in record["domains"]:
        key = (record["host"], domain["uuid"])
        known = view.vms.get(key) or VmView(record["host"], domain["name"], domain["state"], None, None)
        known.name, known.state, known.cpus = domain["name"], domain["state"], domain["cpus"]
        known.memory_kib = domain["memory_used_kb"]
        view.vms[key] = known


def _features(view: View, record: Record) -> None:
    for each in record["vms"]:
        known = view.vms.get((record["host"], each["uuid"]))
        if known is None:
            continue
        cpu = each["cputime_rate"]
        known.cpu_percent = None if cpu is None else cpu / 1e7
        known.net_bytes_s = _sum(each, "net_rxbytes_rate", "net_txbytes_rate")
        known.disk_bytes_s = _sum(each, "disk_rd_bytes_rate", "disk_wr_bytes_rate")


def _sum(record: Record, *names: str) -> float | None:
    known = [record[name] for name in names if record[name] is not None]
    return sum(known) if known else None


def _host(view: View, record: Record) -> None:
    host = view.host(record["host"])
    host.seen_at, host.cpu_percent = record["observed_at"], record["cpu_percent"]


def _power(view: View, record: Record) -> None:
    view.host(record["host"]).watts = record["consumed_watts"]


def _target(view: View, record: Record) -> None:
    if record["removed"]:
        known = view.hosts.get(record["host"])
        if known is None:
            return
        known.told.pop(record["source"], None)
        if known.status.pop(record["source"], "") and not known.status:
            del view.hosts[record["host"]]  # nobody reads it any more
        return
    host = view.host(record["host"])
    host.told[record["source"]] = (record["producer"], record["status"])
    host.status[record["source"]] = "unknown" if record["producer"] in view.silent else record["status"]


def _beat(view: View, record: Record) -> None:
    view.beats[record["producer"]] = record


def _alert(view: View, record: Record) -> None:
    view.transitions.append(record)
    if record["rule"] == SILENT:
        (view.silent.discard if record["transition"] == "cleared" else view.silent.add)(record["component"])
        for host in view.hosts.values():
            for source, (producer, status) in host.told.items():
                if producer == record["component"]:
                    host.status[source] = "unknown" if producer in view.silent else status
    if record["transition"] == "cleared":
        view.cleared += 1
        view.active.pop(record["id"], None)
    else:
        view.raised += record["transition"] == "raised"
        view.active[record["id"]] = record


FOLDS: Final = {
    "raw-redfish": _redfish,
    "raw-libvirt": _libvirt,
    "raw-host": _host,
    "vm-features": _features,
    "power": _power,
    "state-targets": _target,
    "alerts": _alert,
    "heartbeats": _beat,
}
