"""What goes wrong on the way from Kafka: said once, and given up where time changes nothing."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import structlog
from confluent_kafka import KafkaError

from runtime import kafka_auth
from runtime.errors import Misconfigured

if TYPE_CHECKING:
    from runtime.settings import KafkaSettings
    from sinks.sink import Partition

log = structlog.get_logger()


class Trouble:
    """The trouble a sink is in."""

    def __init__(self, settings: KafkaSettings, group: str, topics: Collection[str]) -> None:
        self._settings, self._group, self._topics = settings, group, topics
        self._said = ""

    def say(self, event: str, why: str) -> None:
        """Logs it, unless it is what was logged last."""
        if why != self._said:
            self._said = why
            log.warning(event, why=why)

    def passed(self) -> None:
        """It is over: the next one is logged, whatever it is."""
        self._said = ""

    def give_up_on(self, error: KafkaError, key: Partition = ("", 0)) -> None:
        """Returns where a later try may do. `key`: the partition it is about; default: none in particular.

        Raises:
            Misconfigured: time changes nothing: a right that lacks, a client that has ended.
        """
        of_group = error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED
        meant = self._group if of_group else key[0] or ", ".join(self._topics)
        if denied := kafka_auth.denied(self._settings, error, "Read", meant):
            raise denied
        if error.fatal():
            raise Misconfigured(f"Kafka refuses this consumer: {error.str()}")
