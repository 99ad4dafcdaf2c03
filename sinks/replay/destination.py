"""Destinations of a replay: their contract, what they count, and InfluxDB as destination."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NotRequired, Protocol, TypedDict

from runtime.errors import Reject, Retry
from sinks import datasets
from sinks.sink import Batch

if TYPE_CHECKING:
    from datetime import datetime

    from runtime.kafka import OffsetRange
    from runtime.settings import KafkaSettings
    from sinks.files.manifest import ReplayRange
    from sinks.influx.sink import InfluxSink
    from sinks.sink import Item

TopicIds = Mapping[str, tuple[str, str]]
"""Alias → name and id of a topic on Kafka."""
MAX_BUFFERED: Final = 2000
"""Records that `InfluxBackfill` buffers."""
RETRY_TIMEOUT_S: Final = 60.0
"""A write to a busy server is retried for this long. Then the replay fails; it can be run again as a whole."""
MAX_EXAMPLES: Final = 5


@dataclass
class ReplayCounts:
    """Counts of what a destination received."""

    new: Counter[str] = field(default_factory=Counter)
    """Rows stored by the replay, by dataset."""
    already_stored: Counter[str] = field(default_factory=Counter)
    """Rows that were stored before, by dataset."""
    refused: int = 0
    """Records that it cannot store."""
    examples: list[str] = field(default_factory=list)
    """The first reasons of refusals."""

    def add(self, dataset: str, *, new: int, already_stored: int = 0) -> None:
        """Counts rows."""
        self.new[dataset] += new
        self.already_stored[dataset] += already_stored

    def refuse(self, reasons: Iterable[str]) -> None:
        """Counts refused records by their reasons."""
        for reason in reasons:
            self.refused += 1
            if len(self.examples) < MAX_EXAMPLES:
                self.examples.append(reason)


class ReplayDestination(Protocol):
    """Stores the records of a replay, one partition number after the other."""

    counts: ReplayCounts

    def open(self, number: int, aliases: Mapping[str, OffsetRange]) -> None:
        """Begins a partition number of some topics, with the offsets of the records that follow."""
        ...

    def put(self, item: Item) -> None:
        """Stores one record."""
        ...

    def skip(self, item: Item) -> None:
        """Receives a record that the live sink will store."""
        ...

    def commit(self, number: int, covered: Mapping[str, OffsetRange]) -> None:
        """Ends a partition number; returns when its records at these offsets are stored."""
        ...

    def close(self) -> None:
        """Closes files and connections."""
        ...


DifferenceKind = Literal["missing", "additional", "different", "twice"]
DIFFERENCE_KINDS: Final[tuple[DifferenceKind, ...]] = ("missing", "additional", "different", "twice")


class Difference(TypedDict):
    """A difference between what is stored and what the replay yields."""

    what: DifferenceKind
    dataset: str
    row: dict[str, object]
    """Time and tags."""
    fields: NotRequired[dict[str, list[object]]]
    """If `what` is `different`: name of each differing field → [stored, replayed]."""


OnDifference = Callable[[Difference], None]


class ReplayComparison(ReplayDestination, Protocol):
    """Stores nothing, and reports every difference."""

    difference_counts: dict[DifferenceKind, int]

    def read_stored(self) -> None:
        """Reads what is stored. Called before the replay determines the ends that it reads to."""
        ...

    def finish(self, left_out: Iterable[str]) -> None:
        """Ends the comparison. `left_out`: aliases of topics that the replay does not cover."""
        ...


class ReplaySupport(Protocol):
    """Replay support of a sink: backfill of what it stores, and comparison with it."""

    def backfill(
        self, settings: KafkaSettings, period: ReplayRange, topics: TopicIds, *, started: datetime, write: bool
    ) -> ReplayDestination:
        """Returns a destination that stores what is missing.

        Args:
            settings: Settings with the data directory.
            period: The records of the replay.
            topics: Topics that are stored.
            started: When the replay started; distinguishes its files.
            write: False to only count what would be stored.

        Raises:
            Retry: Another replay is storing there.
            Misconfigured: Settings are missing, or it is not known what is stored.
        """
        ...

    def compare(
        self,
        settings: KafkaSettings,
        period: ReplayRange,
        topics: Mapping[str, str],
        *,
        incomplete: set[str],
        on_difference: OnDifference,
    ) -> ReplayComparison:
        """Returns a destination that compares the replay with what is stored.

        Args:
            settings: Settings with the data directory.
            period: The records of the replay.
            topics: Name → alias of the topics that are compared.
            incomplete: Aliases of topics of which the replay lacks records: additional stored rows are no difference.
            on_difference: Called with each difference.

        Raises:
            Retry: The destination is unreachable.
            Misconfigured: Settings are missing or wrong.
        """
        ...


class InfluxBackfill:
    """InfluxDB as destination. Points have a fixed time and tags, so writing them again changes nothing."""

    def __init__(self, sink: InfluxSink | None) -> None:
        """`sink`: Writes the records; None to only count."""
        self._sink = sink
        self._items: list[Item] = []
        self.counts = ReplayCounts()

    def open(self, number: int, aliases: Iterable[str]) -> None:
        """Does nothing."""

    def skip(self, item: Item) -> None:
        """Does nothing."""

    def put(self, item: Item) -> None:
        """Buffers one record."""
        self._items.append(item)
        if len(self._items) >= MAX_BUFFERED:
            self._write()

    def commit(self, number: int, covered: Mapping[str, OffsetRange]) -> None:  # noqa: ARG002  the signature of a destination
        """Writes the buffered records."""
        self._write()

    def close(self) -> None:
        """Closes connections."""
        if self._sink is not None:
            self._sink.close()

    def _write(self) -> None:
        refused = self._store(self._sink) if self._sink is not None and self._items else {}
        self.counts.refuse(refused.values())
        for index, item in enumerate(self._items):
            if index not in refused:
                for dataset in datasets.for_topic(item.alias):
                    self.counts.add(dataset.name, new=sum(1 for _ in dataset.rows(item.record)))
        self._items = []

    def _store(self, sink: InfluxSink) -> Mapping[int, str]:
        """Writes the buffered records, retrying while the server is busy; returns index → reason of refused ones."""
        deadline_s, delay_s = time.monotonic() + RETRY_TIMEOUT_S, 0.25
        while True:
            try:
                sink.write(Batch(tuple(self._items), {}))
            except Reject as reject:
                return reject.reasons
            except Retry as retry:
                if time.monotonic() > deadline_s:
                    raise
                time.sleep(max(delay_s, retry.after_s or 0))
                delay_s = min(delay_s * 2, 5.0)
            else:
                return {}
