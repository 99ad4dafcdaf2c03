"""Coverage of a directory of files: which records are stored, according to its manifests. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from sinks.files.manifest import ManifestEntry
from sinks.sink import AnyRecord, Partition


class Coverage:
    """The records that manifest entries cover.

    The sink stores each partition without gaps, so of its entries only the end counts; a replay stores some records of
    some offsets, so each of its entries counts for itself.
    """

    def __init__(self, entries: Iterable[ManifestEntry]) -> None:
        self._ends: dict[Partition, int] = {}
        self._replays: dict[Partition, list[ManifestEntry]] = {}
        for entry in entries:
            partition = (entry.topic, entry.partition)
            if entry.replayed is None:
                self._ends[partition] = max(self._ends.get(partition, 0), entry.last + 1)
            else:
                self._replays.setdefault(partition, []).append(entry)

    def covers(self, partition: Partition, offset: int, record: AnyRecord) -> bool:
        """True if the rows of a record are stored."""
        return offset < self._ends.get(partition, 0) or any(
            replay.first <= offset <= replay.last and replay.replayed is not None and replay.replayed.contains(record)
            for replay in self._replays.get(partition, ())
        )

    def covers_entry(self, entry: ManifestEntry) -> bool:
        """True if a replay's entry would add nothing to what is covered."""
        partition = (entry.topic, entry.partition)
        return entry.last < self._ends.get(partition, 0) or any(
            replay.first <= entry.first and entry.last <= replay.last and _is_within(entry, replay)
            for replay in self._replays.get(partition, ())
        )


def _is_within(entry: ManifestEntry, other: ManifestEntry) -> bool:
    return entry.replayed is not None and other.replayed is not None and entry.replayed.is_within(other.replayed)
