"""The two topics of start and stop: what is commanded, which is written here, and how targets stand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, Self

from confluent_kafka import KafkaException

from producers.control import subscriber
from producers.control.commands import Command, Orders
from runtime import kafka
from runtime.compacted_topic import Followed
from runtime.errors import Retry
from runtime.settings import KafkaSettings
from runtime.topics import publish_schemas
from schemas import catalog, codec

STATUSES: Final = "state-targets"
REACHED_S: Final = 5.0
"""Kafka may take this long to answer at all."""
CONFIRMED_S: Final = 15.0
"""Kafka may take this long to confirm a command."""


class Steering:
    """Both topics, read when it is entered. Not thread-safe."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    def __enter__(self) -> Self:
        """Reads.

        Raises:
            Retry: Kafka does not answer.
        """
        try:
            kafka.admin(self._settings).list_topics(timeout=REACHED_S)
            self._followed = Followed(self._settings, subscriber.ALIAS, STATUSES)
        except KafkaException as error:
            raise self._away(error.args[0].str()) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._followed.close()

    @property
    def orders(self) -> Orders:
        """What is commanded, as far as read."""
        return subscriber.orders(self._followed)

    @property
    def statuses(self) -> list[dict[str, Any]]:
        """How each target stands, as far as read."""
        return [each for each in self._followed.tables[STATUSES].values() if not each["removed"]]

    def refresh(self) -> None:
        """Takes in what has come since."""
        self._followed.refresh()

    def write(self, changes: Mapping[str, Command | None]) -> None:
        """Puts commands on Kafka by their keys, and takes back those that are None.

        Raises:
            Retry: Kafka did not confirm.
        """
        publish_schemas(self._settings, ("Control",))
        topic = self._settings.catalog[subscriber.ALIAS]
        publisher = kafka.Publisher(self._settings, "rackstream-control")
        for key, command in changes.items():
            value = None if command is None else codec.encode(catalog.schema(topic.schema), dict(command))
            publisher.send(topic.name, key.encode(), value)
        if publisher.flush(CONFIRMED_S) or publisher.failures:
            publisher.purge()  # else it might be obeyed long after this was told to have failed
            raise self._away("; ".join(publisher.failures) or "not confirmed")

    def _away(self, why: str) -> Retry:
        return Retry(f"no answer from Kafka at {self._settings.bootstrap}: {why}")
