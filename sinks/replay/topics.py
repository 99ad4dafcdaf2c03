"""Topics as destination of a replay: `<prefix>replay.<id>.<topic>`, which no part of the live pipeline reads.

A record goes to the same partition number as live, once: records that are there from an earlier run with the same id
are left out. So a replay that was killed is completed by running it again with its id.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import TYPE_CHECKING, Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import NewTopic

from runtime import kafka
from runtime.errors import Retry
from runtime.topics import decoder, publish_schemas
from schemas import catalog, codec
from sinks.replay.destination import ReplayCounts

if TYPE_CHECKING:
    from runtime.kafka import OffsetRange
    from runtime.settings import KafkaSettings
    from sinks.sink import AnyRecord, Item

TIMEOUT_S: Final = 30.0
"""Timeout for the broker's confirmation."""


class ReplayTopics:
    """The topics of one replay.

    Raises:
        Retry: Kafka did not create the topics.
    """

    def __init__(self, settings: KafkaSettings, name: str, aliases: Iterable[str], *, write: bool) -> None:
        """Creates missing topics.

        Args:
            settings: Where Kafka is.
            name: Id of the replay, a part of the topics' names.
            aliases: Topics to be replayed.
            write: False to only count what would be stored; then no topic is created.
        """
        prefix = settings.topic_prefix
        self._settings, self._write = settings, write
        self.names: Final = {
            alias: f"{prefix}replay.{name}.{settings.catalog[alias].name.removeprefix(prefix)}" for alias in aliases
        }
        """Alias → name of the replay's topic."""
        self.counts = ReplayCounts()
        self._stored: dict[str, set[Hashable]] = {}
        """Alias → identities of the records that are on the replay's topic."""
        self._publisher = kafka.KafkaPublisher(settings, "rackstream-replay")
        self._existing_topics = self._list_topics()
        if write:
            publish_schemas(settings)
            self._create_topics()

    def open(self, number: int, aliases: Iterable[str]) -> None:
        """Reads which records of a partition number are on the replay's topics."""
        self._stored = {alias: set() for alias in aliases}
        for alias in self._stored:
            name = self.names[alias]
            watermarks = kafka.watermarks(self._settings, name) if name in self._existing_topics else {}
            spans = {number: watermarks[number]} if number in watermarks else {}
            decode = decoder(self._settings, alias).decode
            for message in kafka.read_ranges(self._settings, name, spans):
                self._stored[alias].add(self._identity(alias, decode(message.value())))

    def put(self, item: Item) -> None:
        """Publishes one record, with its original bytes unless it was recomputed."""
        name, identity = self.names[item.alias], self._identity(item.alias, item.record)
        if identity in self._stored[item.alias]:
            self.counts.add(name, new=0, already_stored=1)
            return
        self._stored[item.alias].add(identity)
        self.counts.add(name, new=1)
        if not self._write:
            return
        topic = self._settings.catalog[item.alias]
        if item.original is not None and item.original.value is not None:
            key, value = item.original.key or b"", item.original.value
        else:
            record = dict(item.record)
            key, value = topic.key_of(record), codec.encode(catalog.schema(topic.schema), record)
        try:
            self._publisher.send(name, key, value, wait_s=TIMEOUT_S, partition=item.partition[1])
        except BufferError as error:
            raise Retry(f"{name} accepts no more records: no answer from {self._settings.bootstrap}") from error

    def skip(self, item: Item) -> None:
        """Does nothing."""

    def commit(self, number: int, covered: Mapping[str, OffsetRange]) -> None:  # noqa: ARG002  the signature of a destination
        """Returns when the broker has confirmed all records."""
        if self._publisher.flush(TIMEOUT_S) or self._publisher.delivery_failures:
            raise Retry(f"not confirmed by Kafka: {next(iter(self._publisher.delivery_failures), 'no answer')}")

    def close(self) -> None:
        """Discards undelivered records."""
        self._publisher.purge()

    def _identity(self, alias: str, record: AnyRecord) -> Hashable:
        # The identity on a compacted topic names the subject of a state, but not the state: that is added by the time.
        return (*self._settings.catalog[alias].identity_of(record), record["observed_at"])

    def _list_topics(self) -> set[str]:
        try:
            return set(kafka.create_admin_client(self._settings).list_topics(timeout=15).topics)
        except KafkaException as error:
            raise Retry(f"no answer from Kafka at {self._settings.bootstrap}: {error.args[0].str()}") from error

    def _create_topics(self) -> None:
        admin = kafka.create_admin_client(self._settings)
        missing = [
            NewTopic(
                name,
                len(kafka.watermarks(self._settings, self._settings.catalog[alias].name)),
                # A history: nothing is compacted, and it stays until it is deleted.
                config=self._settings.catalog[alias].config | {"cleanup.policy": "delete", "retention.ms": "-1"},
            )
            for alias, name in self.names.items()
            if name not in self._existing_topics
        ]
        for name, future in (admin.create_topics(missing) if missing else {}).items():
            try:
                future.result(TIMEOUT_S)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise Retry(f"{name} could not be created: {error.args[0].str()}") from error
