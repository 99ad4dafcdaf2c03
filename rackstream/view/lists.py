"""Lists: which rows are asked for, in which order, and a page of them. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, Literal, TypeVar

from rackstream.view.answers import VmRow
from rackstream.view.host_state import Entry

Row = TypeVar("Row")
HostOrder = Literal["name", "health", "status", "watts", "temperature", "vms", "cpu", "alerts", "seen"]
AlertState = Literal["active", "history"]
VmOrder = Literal["name", "host", "state", "cpu", "memory", "network", "disk"]
BAD: Final = ("critical", "warning", "unknown", "ok")
"""Worst first."""
WORST: Final = ("unreachable", "auth_failed", "unknown", "partial", "late", "slow", "stopped", "up")
"""Worst first."""


def page(rows: Sequence[Row], offset: int, limit: int) -> Sequence[Row]:
    """Some of the rows."""
    return rows[max(0, offset) : max(0, offset) + max(0, limit)]


def matching(text: str, search: str) -> bool:
    """Whether every word of a search is in a text of small letters."""
    return all(word in text for word in search.lower().split())


def rank(ranks: Sequence[str], word: str) -> int:
    """The place of a word; what is not among them is last."""
    return ranks.index(word) if word in ranks else len(ranks)


def ordered(rows: Iterable[Row], key: Callable[[Row], Any], *, descending: bool) -> list[Row]:
    """Rows by a key; those without a value come last, whichever way."""
    keyed = [(key(row), row) for row in rows]
    known = [each for each in keyed if each[0] is not None]
    known.sort(key=lambda each: each[0], reverse=descending)
    return [row for _, row in known] + [row for value, row in keyed if value is None]


def host_key(order: HostOrder, silent: frozenset[str], alerts: Mapping[str, int]) -> Callable[[Entry], Any]:
    """What hosts are ordered by; those that are alike come by name, as they are given."""
    keys: Mapping[str, Callable[[Entry], Any]] = {
        "name": lambda each: each.name,
        "health": lambda each: rank(BAD, each.health),
        "status": lambda each: min((rank(WORST, each.status(source, silent)) for source in each.told), default=None),
        "watts": lambda each: each.watts,
        "temperature": lambda each: max((hot.nearness for hot in each.hot.values()), default=None),
        "vms": lambda each: None if each.domains is None else len(each.domains),
        "cpu": lambda each: each.cpu_percent,
        "alerts": lambda each: alerts.get(each.name, 0),
        "seen": lambda each: each.seen_us or None,
    }
    return keys[order]


def vm_key(order: VmOrder) -> Callable[[VmRow], Any]:
    """What VMs are ordered by."""
    keys: Mapping[str, Callable[[VmRow], Any]] = {
        "name": lambda each: each.name,
        "host": lambda each: each.host,
        "state": lambda each: each.state,
        "cpu": lambda each: each.cpu_percent,
        "memory": lambda each: each.memory_kib,
        "network": lambda each: each.net_bytes_s,
        "disk": lambda each: each.disk_bytes_s,
    }
    return keys[order]


def by_urgency(alerts: Iterable[Mapping[str, Any]]) -> list[Any]:
    """Critical ones first, then the newest."""
    newest = sorted(alerts, key=lambda each: each["started_at"], reverse=True)
    return sorted(newest, key=lambda each: bool(each["severity"] != "critical"))


def alert_text(alert: Mapping[str, Any]) -> str:
    """What a search looks at."""
    labels = (f"{name}={value}" for name, value in alert["labels"].items())
    return " ".join((alert["id"], alert["host"], alert["rule"], alert["component"], alert["text"], *labels)).lower()
