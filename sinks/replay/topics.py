"""Topics as the destination of a replay: `<prefix>replay.<id>.<topic>`, which no part of the live pipeline reads.

A record goes to the partition number that it has live, once: what is there by an earlier run of the same id is left
out. So a replay that was killed is completed by running it again with its id.
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
from sinks.replay.destination import Tally

if TYPE_CHECKING:
    from runtime.kafka import Span
    from runtime.settings import KafkaSettings
    from sinks.sink import Item

CONFIRM_S: Final = 30.0
"""For the broker's word on what was sent."""


class Copies:
    """Topics of one replay. `write=False`: none is made, and nothing sent.

    Raises:
        Retry: Kafka did not make the topics.
    """

    def __init__(self, settings: KafkaSettings, name: str, aliases: Iterable[str], *, write: bool) -> None:
        prefix = settings.topic_prefix
        self._settings, self._write = settings, write
        self.names: Final = {
            alias: f"{prefix}replay.{name}.{settings.catalog[alias].name.removeprefix(prefix)}" for alias in aliases
        }
        """Alias → name of its copy."""
        self.tally = Tally()
        self._seen: dict[str, set[Hashable]] = {}
        self._publisher = kafka.Publisher(settings, "rackstream-replay")
        self._there = self._existing()
        if write:
            publish_schemas(settings)
            self._create()

    def open(self, number: int, aliases: Iterable[str]) -> None:
        """Learns what is there of a partition number."""
        self._seen = {alias: set() for alias in aliases}
        for alias in self._seen:
            name = self.names[alias]
            span = kafka.watermarks(self._settings, name).get(number) if name in self._there else None
            decode = decoder(self._settings, alias).decode
            for message in kafka.read(self._settings, name, {number: span} if span else {}):
                self._seen[alias].add(self._identity(alias, decode(message.value())))

    def put(self, item: Item) -> None:
        """Takes one record; its own bytes go, if it was not recomputed."""
        name, identity = self.names[item.alias], self._identity(item.alias, item.record)
        if identity in self._seen[item.alias]:
            self.tally.add(name, new=0, there=1)
            return
        self._seen[item.alias].add(identity)
        self.tally.add(name, new=1)
        if not self._write:
            return
        topic = self._settings.catalog[item.alias]
        if item.wire is not None and item.wire.value is not None:
            key, value = item.wire.key or b"", item.wire.value
        else:
            key, value = topic.key_of(item.record), codec.encode(catalog.schema(topic.schema), item.record)
        try:
            self._publisher.send(name, key, value, wait_s=CONFIRM_S, partition=item.partition[1])
        except BufferError as error:
            raise Retry(f"{name} takes nothing more: no answer from {self._settings.bootstrap}") from error

    def leave(self, item: Item) -> None:
        """Nothing to do."""

    def commit(self, number: int, covered: Mapping[str, Span]) -> None:  # noqa: ARG002  the signature of a destination
        """Returns when the broker has confirmed everything."""
        if self._publisher.flush(CONFIRM_S) or self._publisher.failures:
            raise Retry(f"not confirmed by Kafka: {next(iter(self._publisher.failures), 'no answer')}")

    def close(self) -> None:
        """Gives up what is not delivered."""
        self._publisher.purge()

    def _identity(self, alias: str, record: dict[str, object]) -> Hashable:
        # A compacted topic's identity says whose state it is, not which.
        return (*self._settings.catalog[alias].identity_of(record), record["observed_at"])

    def _existing(self) -> set[str]:
        try:
            return set(kafka.admin(self._settings).list_topics(timeout=15).topics)
        except KafkaException as error:
            raise Retry(f"no answer from Kafka at {self._settings.bootstrap}: {error.args[0].str()}") from error

    def _create(self) -> None:
        admin = kafka.admin(self._settings)
        wanted = [
            NewTopic(
                name,
                len(kafka.watermarks(self._settings, self._settings.catalog[alias].name)),
                # A history: nothing of it is compacted away, and it stays until it is deleted.
                config=self._settings.catalog[alias].config | {"cleanup.policy": "delete", "retention.ms": "-1"},
            )
            for alias, name in self.names.items()
            if name not in self._there
        ]
        for name, future in (admin.create_topics(wanted) if wanted else {}).items():
            try:
                future.result(CONFIRM_S)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise Retry(f"{name} could not be made: {error.args[0].str()}") from error
