"""Search, order and paging of the lists. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, TypeVar

from rackstream.view.answers import VmRow
from rackstream.view.host_state import HostState
from schemas.records import Alert

RowT = TypeVar("RowT")
SortKey = Any
"""Anything that can be compared; None sorts last."""
HostOrder = Literal["name", "health", "status", "watts", "temperature", "vms", "cpu", "alerts", "seen"]
AlertStateFilter = Literal["active", "history"]
VmOrder = Literal["name", "host", "state", "cpu", "memory", "network", "disk"]
HEALTH_RANKS: Final = ("critical", "warning", "unknown", "ok")
"""Worst first."""
STATUS_RANKS: Final = ("unreachable", "auth_failed", "unknown", "partial", "late", "slow", "stopped", "up")
"""Worst first."""


def page_of(rows: Sequence[RowT], offset: int, limit: int) -> Sequence[RowT]:
    """Cuts one page out of the rows."""
    return rows[max(0, offset) : max(0, offset) + max(0, limit)]


def matches(text: str, search: str) -> bool:
    """True if a lower-case text contains every word of a search."""
    return all(word in text for word in search.lower().split())


def rank(ranks: Sequence[str], word: str) -> int:
    """Position of a word; unknown words come last."""
    return ranks.index(word) if word in ranks else len(ranks)


def sort_rows(rows: Iterable[RowT], key: Callable[[RowT], SortKey], *, descending: bool) -> list[RowT]:
    """Sorts rows by a key. Rows without a value come last in either direction."""
    keyed = [(key(row), row) for row in rows]
    with_value = [pair for pair in keyed if pair[0] is not None]
    with_value.sort(key=lambda pair: pair[0], reverse=descending)
    return [row for _, row in with_value] + [row for value, row in keyed if value is None]


def host_sort_key(
    order: HostOrder, silent_producers: Collection[str], alerts: Mapping[str, int]
) -> Callable[[HostState], SortKey]:
    """Sort key of hosts. Equal hosts keep the order they are given in."""

    def worst_status(host: HostState) -> int | None:
        ranks = (rank(STATUS_RANKS, host.status(source, silent_producers)) for source in host.targets)
        return min(ranks, default=None)

    def nearness(host: HostState) -> float | None:
        return max((reading.nearness for reading in host.hottest_by_topic.values()), default=None)

    keys: Mapping[str, Callable[[HostState], SortKey]] = {
        "name": lambda host: host.name,
        "health": lambda host: rank(HEALTH_RANKS, host.health),
        "status": worst_status,
        "watts": lambda host: host.watts,
        "temperature": nearness,
        "vms": lambda host: None if host.domains is None else len(host.domains),
        "cpu": lambda host: host.cpu_percent,
        "alerts": lambda host: alerts.get(host.name, 0),
        "seen": lambda host: host.last_seen_us or None,
    }
    return keys[order]


def vm_sort_key(order: VmOrder) -> Callable[[VmRow], SortKey]:
    """Sort key of VMs."""
    keys: Mapping[str, Callable[[VmRow], SortKey]] = {
        "name": lambda vm: vm.name,
        "host": lambda vm: vm.host,
        "state": lambda vm: vm.state,
        "cpu": lambda vm: vm.cpu_percent,
        "memory": lambda vm: vm.memory_kib,
        "network": lambda vm: vm.net_bytes_s,
        "disk": lambda vm: vm.disk_bytes_s,
    }
    return keys[order]


def sort_by_urgency(alerts: Iterable[Alert]) -> list[Alert]:
    """Sorts alerts: critical ones first, then the newest."""
    newest = sorted(alerts, key=lambda alert: alert["started_at"], reverse=True)
    return sorted(newest, key=lambda alert: alert["severity"] != "critical")


def alert_search_text(alert: Alert) -> str:
    """Lower-case text of an alert that a search matches."""
    labels = (f"{name}={value}" for name, value in alert["labels"].items())
    return " ".join((alert["id"], alert["host"], alert["rule"], alert["component"], alert["text"], *labels)).lower()
