"""What a sink reads: which partitions are ours and from where, and records from bytes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import structlog
from confluent_kafka import Consumer, KafkaException, Message, TopicPartition
from confluent_kafka.admin import OffsetSpec

from runtime import kafka, topics
from runtime.errors import Retry
from runtime.kafka import Span
from schemas import catalog, codec
from sinks.sink import Item, Partition, Wire

if TYPE_CHECKING:
    from runtime.settings import KafkaSettings
    from sinks.consuming.dead_letters import Letters
    from sinks.sink import Sink

log = structlog.get_logger()
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
TIMEOUT_S: Final = 10.0
"""For one question to the broker."""


def begin(position: int | None, resume: int | None, span: Span) -> tuple[int, Span | None]:
    """Where reading begins, and the hole before it that retention made, if any.

    Args:
        position: where Kafka says we were; None: nowhere yet. Beyond the end it means another topic of this name.
        resume: where the sink's own memory says we were.
        span: first offset and end of the partition.
    """
    low, end = span
    wanted = max((each for each in (position, resume) if each is not None and each <= end), default=low)
    return max(wanted, low), (wanted, low) if wanted < low else None


@dataclass
class Held:
    """A message that waits to be written. `item` is None until it is decoded, and for good where it is no record."""

    message: Message
    partition: Partition
    offset: int
    item: Item | None = None
    decoded: bool = False


def spans(held: list[Held]) -> dict[Partition, Span]:
    """The offsets that some messages cover, those that are no records among them."""
    found: dict[Partition, Span] = {}
    for each in held:
        first, _ = found.get(each.partition, (each.offset, 0))
        found[each.partition] = (first, each.offset + 1)
    return found


def wire_of(message: Message) -> Wire:
    """A message's own bytes."""
    appended_at = EPOCH + timedelta(milliseconds=max(0, message.timestamp()[1]))
    return Wire(message.key(), message.value(), appended_at, tuple(message.headers() or ()))


class Decoders:
    """A decoder per topic. Unknown schema ids are looked up at most once per batch: garbage has a new one each time."""

    def __init__(self, settings: KafkaSettings, aliases: Mapping[str, str], *, original: bool = False) -> None:
        """`original`: items carry their own bytes, and bytes that are no record make one too, instead of a letter."""
        self._settings, self._aliases, self._original = settings, aliases, original
        self._schemas: dict[int, dict[str, Any]] | None = None
        self._decoders: dict[str, codec.Decoder] = {}

    def forget(self) -> None:
        """Called with each new batch: its schemas may have been published since."""
        self._schemas = None

    def decode_all(self, held: list[Held], letters: Letters) -> None:
        """Decodes what is not yet; what is no record gets a letter.

        Raises:
            KafkaException: a schema could not be looked up.
        """
        for each in held:
            if each.decoded:
                continue
            alias = self._aliases[each.partition[0]]
            wire = wire_of(each.message) if self._original else None
            try:
                record = self._decode(alias, each.message.value())
                each.item = Item(alias, each.partition, each.offset, record, wire)
            except codec.Undecodable as error:
                if wire is None:
                    letters.record(each.message, error.reason, str(error))
                else:
                    each.item = Item(alias, each.partition, each.offset, {}, wire)
            each.decoded = True

    def _decode(self, alias: str, value: bytes | None) -> codec.Record:
        if alias not in self._decoders:
            schema = catalog.schema(self._settings.catalog[alias].schema)
            self._decoders[alias] = codec.Decoder(schema, self._resolve)
        return self._decoders[alias].decode(value)

    def _resolve(self, schema_id: int) -> dict[str, Any] | None:
        if self._schemas is None:
            self._schemas = topics.published_schemas(self._settings)
        return self._schemas.get(schema_id)


class Assignment:
    """Which partitions are ours, and up to where each is read.

    Kafka's word that a partition is ours only makes it wait here: taking it may need the disk, a lock or an answer of
    the broker, none of which a callback of the consumer can wait for.
    """

    def __init__(
        self, settings: KafkaSettings, consumer: Consumer, sink: Sink, letters: Letters, dropped: Callable[[], None]
    ) -> None:
        self._consumer, self._sink, self._letters, self._dropped = consumer, sink, letters, dropped
        self._settings, self._admin = settings, kafka.admin(settings)
        self.owned: dict[Partition, int] = {}
        """Next offset to read of each partition we hold."""
        self._waiting: dict[Partition, int | None] = {}
        self._names: set[str] = set()
        self._joined = False
        self._retry_at = 0.0
        self._said = ""

    @property
    def settled(self) -> bool:
        """Kafka has told us our partitions, and all of them are taken."""
        return self._joined and not self._waiting

    def subscribe(self, names: list[str]) -> None:
        """Joins the group."""
        self._names = set(names)
        self._consumer.subscribe(names, on_assign=self._assign, on_revoke=self._revoke, on_lost=self._revoke)

    def _assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._joined = True
        consumer.incremental_assign([])  # an answer is due here, else the library takes them itself
        # A group in the middle of an upgrade may still be assigned topics that this version does not read.
        self._waiting |= {
            (partition.topic, partition.partition): None for partition in partitions if partition.topic in self._names
        }

    def _revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        keys = [(partition.topic, partition.partition) for partition in partitions]
        consumer.incremental_unassign([TopicPartition(*key) for key in keys if key in self.owned])
        for key in keys:
            self._waiting.pop(key, None)
            if self.owned.pop(key, None) is not None:
                self._sink.released(key)
        self._dropped()

    def take(self) -> None:
        """Takes the partitions that wait, as far as it goes; the others a second later."""
        if not self._waiting or time.monotonic() < self._retry_at:
            return
        starts: dict[Partition, int] = {}
        try:
            positions, spans = self._positions(), self._spans(list(self._waiting))
            for key in sorted(self._waiting):
                try:
                    starts[key] = self._start(key, positions[key], spans[key])
                except Retry as error:
                    self._later(error)
            taken = [TopicPartition(*key, start) for key, start in starts.items()]
            self._consumer.incremental_assign(taken)
            # One that was taken from us while it was paused is still paused when it comes back.
            self._consumer.resume(taken)
        except KafkaException as error:
            # The broker is away: no use in asking for the others.
            self._later(error)
            for key in starts:
                self._sink.released(key)
            return
        self.owned |= starts
        for key in starts:
            del self._waiting[key]

    def _positions(self) -> dict[Partition, int | None]:
        """Where each partition that waits was left: by us, or as committed."""
        unknown = [TopicPartition(*key) for key, position in self._waiting.items() if position is None]
        positions = dict(self._waiting)
        for each in self._consumer.committed(unknown, timeout=TIMEOUT_S) if unknown else ():
            if each.error is not None:
                raise KafkaException(each.error)
            positions[each.topic, each.partition] = each.offset if each.offset >= 0 else None
        return positions

    def ends(self, within_s: float) -> dict[Partition, Span]:
        """First offset and end, now, of each partition we hold.

        Raises:
            KafkaException: the broker did not answer.
        """
        return self._spans(list(self.owned), within_s)

    def _spans(self, keys: list[Partition], within_s: float = 2 * TIMEOUT_S) -> dict[Partition, Span]:
        """First offset and end of some partitions.

        Not asked for over the consumer's connection: there, answers queue behind the long poll, half a second each.
        """
        try:
            return self._ask(keys, within_s / 2)
        except KafkaException:
            # Its idea of the partitions' leaders may be of before a restart, and is not mended by the refusal.
            self._admin = kafka.admin(self._settings)
            return self._ask(keys, within_s / 2)

    def _ask(self, keys: list[Partition], timeout_s: float) -> dict[Partition, Span]:
        asked = [
            self._admin.list_offsets({TopicPartition(*key): spec for key in keys}, request_timeout=timeout_s)
            for spec in (OffsetSpec.earliest(), OffsetSpec.latest())
        ]
        first, end = (
            {(each.topic, each.partition): int(future.result().offset) for each, future in answers.items()}
            for answers in asked
        )
        return {key: (first[key], end[key]) for key in keys}

    def _start(self, key: Partition, position: int | None, span: Span) -> int:
        start, hole = begin(position, self._sink.assigned(key, span), span)
        if position is not None and position > span[1]:
            log.warning(
                "committed offset is beyond the end",
                topic=key[0],
                partition=key[1],
                committed=position,
                end=span[1],
                start=start,
                why="the topic was created anew, or lost its end",
            )
        if hole is not None:
            self._letters.hole(key, hole)
        return start

    def _later(self, error: Exception) -> None:
        self._retry_at = time.monotonic() + 1
        if str(error) != self._said:
            self._said = str(error)
            log.warning("partition not taken yet", why=str(error))

    def again(self, key: Partition) -> None:
        """Takes a partition anew from where we are: the broker says that offset is not there."""
        if key in self.owned:
            self._consumer.incremental_unassign([TopicPartition(*key)])
            self._waiting[key] = self.owned.pop(key)
            self._sink.released(key)
