"""Which records are stored, by the entries of manifests. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sinks.files.manifest import Entry
from sinks.sink import Partition


class Coverage:
    """What the entries of one root cover.

    The sink stores each partition without a gap, so of its entries the end counts; a replay stores some records of some
    offsets, so each of its entries counts for itself.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._reached: dict[Partition, int] = {}
        self._replayed: dict[Partition, list[Entry]] = {}
        for entry in entries:
            key = (entry.topic, entry.partition)
            if entry.replayed is None:
                self._reached[key] = max(self._reached.get(key, 0), entry.last + 1)
            else:
                self._replayed.setdefault(key, []).append(entry)

    def holds(self, partition: Partition, offset: int, record: dict[str, Any]) -> bool:
        """Whether the rows of this record are stored."""
        return offset < self._reached.get(partition, 0) or any(
            each.first <= offset <= each.last and each.replayed is not None and each.replayed.holds(record)
            for each in self._replayed.get(partition, ())
        )

    def implies(self, entry: Entry) -> bool:
        """Whether a replay's entry says nothing new."""
        key = (entry.topic, entry.partition)
        return entry.last < self._reached.get(key, 0) or any(
            each.first <= entry.first and entry.last <= each.last and _within(entry, each)
            for each in self._replayed.get(key, ())
        )


def _within(entry: Entry, other: Entry) -> bool:
    return entry.replayed is not None and other.replayed is not None and entry.replayed.within(other.replayed)
