"""Logs problems between Kafka and a sink once each, and raises those that no retry can solve."""

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


class ProblemLog:
    """Logs a problem when it begins, not at each of its retries."""

    def __init__(self, settings: KafkaSettings, group: str, topics: Collection[str]) -> None:
        self._settings, self._group, self._topics = settings, group, topics
        self._last_reason = ""

    def warn(self, event: str, reason: str) -> None:
        """Logs a warning, unless its reason is the same as that of the last one."""
        if reason != self._last_reason:
            self._last_reason = reason
            log.warning(event, reason=reason)

    def clear(self) -> None:
        """Marks the problem as solved: the next one is logged whatever its reason."""
        self._last_reason = ""

    def raise_if_permanent(self, error: KafkaError, partition: Partition = ("", 0)) -> None:
        """Returns if a retry may succeed. `partition` is the one that the error is about, if it is about a single one.

        Raises:
            Misconfigured: An ACL is missing, or the consumer has failed for good.
        """
        is_about_group = error.code() == KafkaError.GROUP_AUTHORIZATION_FAILED
        name = self._group if is_about_group else partition[0] or ", ".join(self._topics)
        if missing_acl := kafka_auth.authorization_failed(self._settings, error, "Read", name):
            raise missing_acl
        if error.fatal():
            raise Misconfigured(f"Kafka refuses this consumer: {error.str()}")
