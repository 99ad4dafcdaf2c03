"""Client of the control and status topics: reads both, publishes commands."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Self, cast

from confluent_kafka import KafkaException

from producers.control import subscriber
from runtime import kafka
from runtime.compacted_topic import CompactedTopics
from runtime.errors import Retry
from runtime.settings import KafkaSettings
from runtime.topics import publish_schemas
from schemas import catalog, codec
from schemas.commands import DesiredState
from schemas.records import Control, TargetStatus

STATUS_ALIAS: Final = "state-targets"
CONNECT_TIMEOUT_S: Final = 5.0
DELIVERY_TIMEOUT_S: Final = 15.0


class ControlClient:
    """Context manager that reads both topics when it is entered. Not thread-safe."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings

    def __enter__(self) -> Self:
        """Reads both topics to their current end.

        Raises:
            Retry: Kafka does not answer.
        """
        try:
            kafka.create_admin_client(self._settings).list_topics(timeout=CONNECT_TIMEOUT_S)
            self._topics = CompactedTopics(self._settings, subscriber.ALIAS, STATUS_ALIAS)
        except KafkaException as error:
            raise self._unavailable(error.args[0].str()) from error
        return self

    def __exit__(self, *_: object) -> None:
        self._topics.close()

    @property
    def desired(self) -> DesiredState:
        """Desired state as of the last refresh."""
        return subscriber.desired_state(self._topics)

    @property
    def statuses(self) -> list[TargetStatus]:
        """Statuses of all current targets as of the last refresh."""
        statuses = cast("list[TargetStatus]", list(self._topics.tables[STATUS_ALIAS].values()))
        return [status for status in statuses if not status["removed"]]

    def refresh(self) -> None:
        """Reads records that arrived since the last refresh."""
        self._topics.refresh()

    def publish(self, changes: Mapping[str, Control | None]) -> None:
        """Publishes commands by key; None deletes the command of that key.

        Raises:
            Retry: Kafka did not confirm them.
        """
        publish_schemas(self._settings, ("Control",))
        topic = self._settings.catalog[subscriber.ALIAS]
        publisher = kafka.KafkaPublisher(self._settings, "rackstream-control")
        for key, command in changes.items():
            value = None if command is None else codec.encode(catalog.schema(topic.schema), command)
            publisher.send(topic.name, key.encode(), value)
        if publisher.flush(DELIVERY_TIMEOUT_S) or publisher.delivery_failures:
            publisher.purge()  # otherwise it might be applied long after it has been reported as failed
            raise self._unavailable("; ".join(publisher.delivery_failures) or "not confirmed")

    def _unavailable(self, reason: str) -> Retry:
        return Retry(f"no answer from Kafka at {self._settings.bootstrap}: {reason}")
