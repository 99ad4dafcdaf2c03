"""The contract of a sink: its specification, the batches it receives and the errors it raises. No Kafka, no I/O."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from pathlib import Path

    from runtime.kafka import OffsetRange
    from runtime.settings import KafkaSettings
    from sinks.replay.destination import ReplaySupport
    from sinks.settings import BatchLimits

Partition = tuple[str, int]
"""Topic (its name on Kafka) and partition."""
AnyRecord = Mapping[str, Any]
"""A decoded record of any topic; code that handles one topic takes its type from `schemas.records`."""
Json = Any
"""A value from `json.loads`, whose shape the reading code checks."""


@dataclass(frozen=True)
class KafkaRecord:
    """A record as it is stored on Kafka, not decoded."""

    key: bytes | None
    value: bytes | None
    appended_at: datetime
    """UTC, by the broker's clock."""
    headers: tuple[tuple[str, bytes | None], ...] = ()


@dataclass(frozen=True)
class Item:
    """A decoded record with its position on Kafka."""

    alias: str
    partition: Partition
    offset: int
    record: AnyRecord
    """Empty if the value could not be decoded; only sinks that store original bytes receive such items."""
    original: KafkaRecord | None = None
    """The original bytes; set only for sinks that store them."""

    @property
    def event_time(self) -> datetime:
        """When the record was observed; without `observed_at`, when the broker appended it."""
        assert self.record or self.original
        event_time = self.record.get("observed_at") or (self.original and self.original.appended_at)
        assert isinstance(event_time, datetime)
        return event_time


@dataclass(frozen=True)
class Batch:
    """Records in the order of their partitions, and the offsets that the batch covers."""

    items: tuple[Item, ...]
    spans: Mapping[Partition, OffsetRange]
    """Offsets [first, end) of each partition, records that became dead letters included."""


class Sink(Protocol):
    """A destination of records."""

    name: str
    topics: tuple[str, ...]
    """Aliases of the topics that it consumes."""

    def assign(self, partition: Partition, span: OffsetRange) -> int | None:
        """Takes over a partition that holds the offsets `span` on Kafka.

        Returns:
            The offset to resume from if the sink keeps track of it; None if the group's committed offset counts.

        Raises:
            Retry: The partition cannot be taken over yet.
        """
        ...

    def revoke(self, partition: Partition) -> None:
        """Releases a partition that the group assigns to another member."""
        ...

    def write(self, batch: Batch) -> None:
        """Stores a batch and returns when it is durable. May be called again with any part of the same records.

        Raises:
            Retry: The destination is unreachable or busy.
            Reject: It will never accept some records (index in `items` → reason); the others are stored.
            Misconfigured: An operator must act.
        """
        ...

    def close(self) -> None:
        """Closes files and connections."""
        ...


@runtime_checkable
class PeriodicSink(Protocol):
    """A sink with work that is due regardless of traffic, such as posting active alerts again."""

    def run_periodic(self) -> None:
        """Does what is due. Called several times a second, but never during `write`.

        Raises:
            Retry: The destination is unreachable or busy; called again later.
            Misconfigured: An operator must act.
        """
        ...


def stores_original_bytes(sink: Sink) -> bool:
    """True if a sink has `stores_original_bytes = True`: it receives the original bytes, undecodable ones included."""
    return bool(getattr(sink, "stores_original_bytes", False))


@dataclass(frozen=True, kw_only=True)
class SinkSpec:
    """Specification of one kind of sink: all that commands, ACLs, pipeline, doctor and replay need of it.

    Importing a module with a specification must be cheap; its functions import what they need when called.
    """

    kind: str
    """`rackstream sink KIND`."""
    help: str
    """One line for the help of `rackstream sink`."""
    topics: Callable[[], tuple[str, ...]]
    """Returns the aliases of the topics that it consumes in its group."""
    create: Callable[[KafkaSettings, str | None], tuple[Sink, BatchLimits]]
    """Creates the sink from the settings in the environment and the `--name`, if any.

    Raises:
        Misconfigured: Settings are missing or wrong.
    """
    also_reads: tuple[str, ...] = ()
    """Aliases of topics that it reads outside its group, such as silences."""
    is_named: bool = False
    """True if several may run, each under its own `--name` and in its own group."""
    is_static_member: bool = False
    """True if its group has a single, static member: a second process takes over from the first."""
    directory: Callable[[KafkaSettings], Path] | None = None
    """Returns the directory in which it stores files. Free disk space there is exported as a metric."""
    is_configured: Callable[[], bool] = lambda: False
    """True if the environment configures it, so that `rackstream up` runs it.

    Raises:
        Misconfigured: Only a part of its settings is there.
    """
    prepare_group: Callable[[KafkaSettings, str], None] | None = None
    """Called before the consumer group given by its id is joined, to commit initial offsets."""
    set_up: Callable[[bool, Callable[[str], None]], None] | None = None
    """Checks the destination (`--check`) and, if the first argument is true, creates what is missing (`--set-up`).

    The second argument receives the findings, one line each.
    """
    replay: ReplaySupport | None = None
    """Backfill and comparison, if `rackstream replay` supports the destination."""
    redeliver: Callable[[KafkaSettings, str | None, Item], str | None] | None = None
    """Delivers the record of one dead letter outside any group; returns the reason if it was not delivered.

    Sinks without it, and without `replay`, get the record by `write`.
    """

    @property
    def role(self) -> str:
        """Its role in Kafka's ACLs; also its component in logs and metrics."""
        return f"sink-{self.kind}"

    def group(self, name: str | None = None) -> str:
        """Id of its consumer group."""
        return f"rackstream-{self.kind}" + (f"-{name}" if name else "")
