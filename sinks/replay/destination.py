"""Where a replay's records go: what each destination does, what they count, and InfluxDB as one. Files: `refill`."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from runtime.errors import Reject, Retry
from sinks import datasets
from sinks.sink import Batch

if TYPE_CHECKING:
    from runtime.kafka import Span
    from sinks.influx.sink import InfluxSink
    from sinks.sink import Item

Topics = Mapping[str, tuple[str, str]]
"""Alias → name and id of a topic on Kafka."""
HELD_RECORDS: Final = 2000
PATIENCE_S: Final = 60.0
"""How long a busy server is tried again. After that a person may: a replay can be run again as a whole."""


@dataclass
class Tally:
    """What a destination was given."""

    new: Counter[str] = field(default_factory=Counter)
    """Rows stored, by dataset."""
    there: Counter[str] = field(default_factory=Counter)
    """Rows that were stored before."""
    refused: int = 0
    """Records that it cannot take."""
    examples: list[str] = field(default_factory=list)

    def add(self, dataset: str, *, new: int, there: int = 0) -> None:
        """Counts rows."""
        self.new[dataset] += new
        self.there[dataset] += there

    def refuse(self, reasons: Iterable[str]) -> None:
        """Counts records refused, and keeps the first few reasons."""
        for reason in reasons:
            self.refused += 1
            if len(self.examples) < 5:
                self.examples.append(reason)


class Destination(Protocol):
    """Takes a replay's records, one partition number after the other."""

    tally: Tally

    def open(self, number: int, aliases: Mapping[str, Span]) -> None:
        """Begins a partition number of these topics: their records at these offsets come."""
        ...

    def put(self, item: Item) -> None:
        """Takes one record."""
        ...

    def leave(self, item: Item) -> None:
        """Is told of a record that the live sink will store."""
        ...

    def commit(self, number: int, covered: Mapping[str, Span]) -> None:
        """Ends a partition number; returns when its records, at these offsets, are stored."""
        ...

    def close(self) -> None:
        """Lets files and connections go."""
        ...


Difference = dict[str, Any]
"""`what` (one of `KINDS`), `dataset`, `row` (its time and tags), and of different `fields`: stored, then replayed."""
Tell = Callable[[Difference], None]
KINDS: Final = ("missing", "additional", "different", "twice")


class Comparison(Destination, Protocol):
    """Stores nothing, and tells of every difference."""

    counts: dict[str, int]
    """By kind."""

    def look(self) -> None:
        """Is told when to look at what is stored: before the ends are noted that the replay reads to."""
        ...

    def finish(self, left_out: Iterable[str]) -> None:
        """Ends it; `left_out`: topics of which the replay knows nothing."""
        ...


class Points:
    """InfluxDB. A point has a fixed time and tags, so writing it again changes nothing. `sink=None`: only counts."""

    def __init__(self, sink: InfluxSink | None) -> None:
        self._sink = sink
        self._items: list[Item] = []
        self.tally = Tally()

    def open(self, number: int, aliases: Iterable[str]) -> None:
        """Nothing to prepare."""

    def leave(self, item: Item) -> None:
        """Nothing to do."""

    def put(self, item: Item) -> None:
        """Takes one record."""
        self._items.append(item)
        if len(self._items) >= HELD_RECORDS:
            self._write()

    def commit(self, number: int, covered: Mapping[str, Span]) -> None:  # noqa: ARG002  the signature of a destination
        """Writes what is held."""
        self._write()

    def close(self) -> None:
        """Lets connections go."""
        if self._sink is not None:
            self._sink.close()

    def _write(self) -> None:
        refused = self._store() if self._sink is not None and self._items else {}
        self.tally.refuse(refused.values())
        for item in (each for index, each in enumerate(self._items) if index not in refused):
            for dataset in datasets.of(item.alias):
                self.tally.add(dataset.name, new=sum(1 for _ in dataset.rows(item.record)))
        self._items = []

    def _store(self) -> Mapping[int, str]:
        """Writes, again while the server is away or busy; what it refuses, and why."""
        assert self._sink is not None
        deadline, delay = time.monotonic() + PATIENCE_S, 0.25
        while True:
            try:
                self._sink.write(Batch(tuple(self._items), {}))
            except Reject as reject:
                return reject.reasons
            except Retry as retry:
                if time.monotonic() > deadline:
                    raise
                time.sleep(max(delay, retry.after_s or 0))
                delay = min(delay * 2, 5.0)
            else:
                return {}
