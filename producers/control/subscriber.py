"""The control topic while a producer runs: read to its end before the first poll, then followed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

import structlog
from confluent_kafka import KafkaException

from producers.control.commands import Orders
from runtime.compacted_topic import Followed
from runtime.errors import Retry
from runtime.settings import KafkaSettings

log = structlog.get_logger()
ALIAS: Final = "control"
LOOK_S: Final = 0.2
"""The topic is looked at this often."""
AGAIN_S: Final = 2.0
"""So long after a look that failed."""


def orders(followed: Followed) -> Orders:
    """What a followed control topic says."""
    offset = max(followed.offsets[ALIAS].values())
    return Orders.of(followed.tables[ALIAS].values(), None if offset < 0 else offset)


class Obeying:
    """Follows the topic. While Kafka is away, what was last known holds."""

    def __init__(self, settings: KafkaSettings) -> None:
        """Reads it to the end it has now.

        Raises:
            Retry: the broker did not answer.
        """
        self._settings = settings
        try:
            self._followed: Followed | None = Followed(settings, ALIAS)
        except KafkaException as error:
            raise Retry(f"no answer from Kafka at {settings.bootstrap}: {error.args[0].str()}") from error
        self.orders = orders(self._followed)
        """What is commanded, as far as is known."""

    def run(self, stop: threading.Event, obey: Callable[[Orders], None]) -> None:
        """Hands over what is commanded each time that this changes, until `stop` is set."""
        while not stop.wait(LOOK_S if self._followed else AGAIN_S):
            try:
                if not self._look():
                    continue
            except KafkaException as error:  # such as the schema of a record that cannot be looked up now
                log.warning("commands not read, the last known hold", why=error.args[0].str())
                self._close()
                continue
            obey(self.orders)
        self._close()

    def _look(self) -> bool:
        """Whether anything is new."""
        if self._followed is not None and not self._followed.refresh():
            return False
        self._followed = self._followed or Followed(self._settings, ALIAS)
        self.orders = orders(self._followed)
        return True

    def _close(self) -> None:
        if self._followed is not None:
            self._followed.close()
        self._followed = None
