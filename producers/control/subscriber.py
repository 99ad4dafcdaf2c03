"""Subscriber to the control topic: reads it to its end first, then follows it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final, cast

import structlog
from confluent_kafka import KafkaException

from runtime.compacted_topic import CompactedTopics
from runtime.errors import Retry
from runtime.settings import KafkaSettings
from schemas.commands import DesiredState
from schemas.records import Control

log = structlog.get_logger()
ALIAS: Final = "control"
POLL_INTERVAL_S: Final = 0.2
RETRY_S: Final = 2.0


def desired_state(topics: CompactedTopics) -> DesiredState:
    """Returns the state that the control topic describes; `topics` follow it."""
    offset = max(topics.offsets[ALIAS].values())
    commands = cast("list[Control]", list(topics.tables[ALIAS].values()))
    return DesiredState.from_records(commands, None if offset < 0 else offset)


class CommandSubscriber:
    """Follows the control topic.

    While Kafka is unavailable, the last known commands remain in force.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        """Reads the topic to its current end.

        Raises:
            Retry: The broker did not answer.
        """
        self._settings = settings
        try:
            self._topics: CompactedTopics | None = CompactedTopics(settings, ALIAS)
        except KafkaException as error:
            raise Retry(f"no answer from Kafka at {settings.bootstrap}: {error.args[0].str()}") from error
        self.desired = desired_state(self._topics)
        """The latest known state."""

    def run(self, stop: threading.Event, on_change: Callable[[DesiredState], None]) -> None:
        """Calls `on_change` whenever commands arrive, until `stop` is set."""
        while not stop.wait(POLL_INTERVAL_S if self._topics else RETRY_S):
            try:
                if not self._refresh():
                    continue
            except KafkaException as error:  # such as a failed lookup of a record's schema
                log.warning("control topic not read, the last known commands apply", reason=error.args[0].str())
                self._close()
                continue
            except Exception as error:  # noqa: BLE001  a thread that ends would leave a producer that takes no commands
                log.warning("control topic not read, the last known commands apply", reason=repr(error))
                self._close()
                continue
            on_change(self.desired)
        self._close()

    def _refresh(self) -> bool:
        """Reads new records. Returns True if there were any."""
        if self._topics is not None and not self._topics.refresh():
            return False
        self._topics = self._topics or CompactedTopics(self._settings, ALIAS)
        self.desired = desired_state(self._topics)
        return True

    def _close(self) -> None:
        if self._topics is not None:
            self._topics.close()
        self._topics = None
