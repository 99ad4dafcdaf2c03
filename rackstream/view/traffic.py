"""Record counts and append rates of the topics, from offsets measured at intervals. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, NamedTuple

from rackstream.view.answers import ConsumerGroupRow, TopicRow
from schemas.catalog import Catalog

RATE_WINDOW_S: Final = 15.0
"""Time over which rates are averaged."""
MAX_SNAPSHOTS: Final = 16


class TopicOffsets(NamedTuple):
    """Offsets of one topic, summed over its partitions."""

    partitions: int
    records: int
    """End offsets minus start offsets."""
    end: int
    """Sum of the end offsets."""


@dataclass(frozen=True)
class OffsetSnapshot:
    """Offsets of all topics at one moment."""

    at_s: float
    """Monotonic time."""
    topics: Mapping[str, TopicOffsets]
    """By topic alias."""


@dataclass
class TopicTraffic:
    """Latest measurements of topics and consumer groups."""

    measured_at: datetime | None = None
    groups: list[ConsumerGroupRow] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    """Topics of the catalogue that do not exist."""
    snapshots: deque[OffsetSnapshot] = field(default_factory=lambda: deque(maxlen=MAX_SNAPSHOTS))

    def record(self, snapshot: OffsetSnapshot, at: datetime) -> None:
        """Adds a measurement, and drops those older than the rate window."""
        self.snapshots.append(snapshot)
        while len(self.snapshots) > 2 and self.snapshots[1].at_s <= snapshot.at_s - RATE_WINDOW_S:
            self.snapshots.popleft()
        self.measured_at = at

    def rate(self, alias: str) -> float | None:
        """Records appended per second to a topic; None until two measurements exist."""
        snapshots = [snapshot for snapshot in self.snapshots if alias in snapshot.topics]
        if len(snapshots) < 2:
            return None
        first, last = snapshots[0], snapshots[-1]
        elapsed_s = last.at_s - first.at_s
        return max(0, last.topics[alias].end - first.topics[alias].end) / elapsed_s if elapsed_s > 0 else None

    def rows(self, catalog: Catalog) -> list[TopicRow]:
        """Builds a row for every topic of the catalogue."""
        newest: Mapping[str, TopicOffsets] = self.snapshots[-1].topics if self.snapshots else {}
        rows = []
        for alias, topic in catalog.topics.items():
            offsets = newest.get(alias)
            partitions, records = (offsets.partitions, offsets.records) if offsets else (0, None)
            rows.append(TopicRow(alias, topic.name, partitions, records, self.rate(alias)))
        return rows
