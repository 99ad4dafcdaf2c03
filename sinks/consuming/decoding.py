"""Decodes buffered messages into the items of a batch."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from runtime import topics
from schemas import catalog, codec
from sinks.sink import AnyRecord, Item, KafkaRecord

if TYPE_CHECKING:
    from confluent_kafka import Message

    from runtime.settings import KafkaSettings
    from schemas.catalog import AvroType
    from sinks.consuming.buffer import BufferedMessage
    from sinks.consuming.dead_letters import DeadLetterPublisher

UNIX_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def kafka_record(message: Message) -> KafkaRecord:
    """Returns a message with its original bytes."""
    appended_at = UNIX_EPOCH + timedelta(milliseconds=max(0, message.timestamp()[1]))
    return KafkaRecord(message.key(), message.value(), appended_at, tuple(message.headers() or ()))


class TopicDecoders:
    """Decoders of all topics of a sink.

    Unknown schema ids are looked up at most once per batch: garbage has a different id in every message.
    """

    def __init__(self, settings: KafkaSettings, aliases: Mapping[str, str], *, keep_original: bool = False) -> None:
        """Creates the decoders.

        Args:
            settings: Where Kafka is.
            aliases: Topic name → alias.
            keep_original: Items include the original bytes, and undecodable messages become items too, instead of dead
                letters.
        """
        self._settings, self._aliases, self._keep_original = settings, aliases, keep_original
        self._schemas: Mapping[int, Mapping[str, AvroType]] | None = None
        self._decoders: dict[str, codec.Decoder] = {}

    def reset_schemas(self) -> None:
        """Discards the schemas that were looked up. Called for each batch, as schemas may have been published since."""
        self._schemas = None

    def decode_all(self, messages: list[BufferedMessage], dead_letters: DeadLetterPublisher) -> None:
        """Decodes the messages that are not decoded yet; those that cannot be decoded become dead letters.

        Raises:
            KafkaException: A schema could not be looked up.
        """
        for buffered in messages:
            if buffered.is_decoded:
                continue
            alias = self._aliases[buffered.partition[0]]
            original = kafka_record(buffered.message) if self._keep_original else None
            try:
                record = self._decode(alias, buffered.message.value())
                buffered.item = Item(alias, buffered.partition, buffered.offset, record, original)
            except codec.DecodeError as error:
                if original is None:
                    dead_letters.record(buffered.message, error.reason, str(error))
                else:
                    buffered.item = Item(alias, buffered.partition, buffered.offset, {}, original)
            buffered.is_decoded = True

    def _decode(self, alias: str, value: bytes | None) -> AnyRecord:
        if alias not in self._decoders:
            schema = catalog.schema(self._settings.catalog[alias].schema)
            self._decoders[alias] = codec.Decoder(schema, self._find_schema)
        return self._decoders[alias].decode(value)

    def _find_schema(self, schema_id: int) -> Mapping[str, AvroType] | None:
        if self._schemas is None:
            self._schemas = topics.published_schemas(self._settings)
        return self._schemas.get(schema_id)
