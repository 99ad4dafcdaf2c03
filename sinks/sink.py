"""The contract of a sink: what it is given and what it answers. No Kafka, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from runtime.kafka import Span

Partition = tuple[str, int]
"""Topic (its name on Kafka) and partition."""


@dataclass(frozen=True)
class Wire:
    """A record as Kafka has it."""

    key: bytes | None
    value: bytes | None
    appended_at: datetime
    """UTC, by the broker's clock."""
    headers: tuple[tuple[str, bytes | None], ...] = ()


@dataclass(frozen=True)
class Item:
    """One decoded record, with where it is from."""

    alias: str
    partition: Partition
    offset: int
    record: dict[str, Any]
    """Empty for bytes that are no record, which only a sink is given that takes bytes."""
    wire: Wire | None = None
    """Its own bytes; only for a sink that takes them."""

    @property
    def moment(self) -> datetime:
        """When it was observed; of what does not say so, when it arrived."""
        assert self.record or self.wire
        found = self.record.get("observed_at") or (self.wire and self.wire.appended_at)
        assert isinstance(found, datetime)
        return found


@dataclass(frozen=True)
class Batch:
    """Records in the order of their partitions, and the offsets [first, end) of each partition it covers."""

    items: tuple[Item, ...]
    spans: Mapping[Partition, Span]


def takes_bytes(sink: Sink) -> bool:
    """Whether a sink stores the records' own bytes (`takes_bytes = True`), those that are no records among them."""
    return bool(getattr(sink, "takes_bytes", False))


class Sink(Protocol):
    """A destination."""

    name: str
    topics: tuple[str, ...]
    """Aliases of the topics it stores."""

    def assigned(self, partition: Partition, span: Span) -> int | None:
        """Takes a partition over, which spans these offsets on Kafka.

        Returns:
            Where reading resumes by the sink's own memory; None: it has none, Kafka's committed offset counts.

        Raises:
            Retry: it cannot be taken yet.
        """
        ...

    def released(self, partition: Partition) -> None:
        """Lets a partition go."""
        ...

    def write(self, batch: Batch) -> None:
        """Returns when the batch is stored. May be called again with all or a part of the same records.

        Raises:
            Retry: not now.
            Reject: some records never (index in `items` → why); the others are stored.
            Misconfigured: not before a person acts.
        """
        ...

    def close(self) -> None:
        """Lets files and connections go."""
        ...


@runtime_checkable
class Tended(Protocol):
    """A sink that also has work of its own, when there is nothing to store."""

    def tend(self) -> None:
        """Called several times a second, but not while a batch is being written.

        Raises:
            Retry: not now; called again later.
            Misconfigured: not before a person acts.
        """
        ...
