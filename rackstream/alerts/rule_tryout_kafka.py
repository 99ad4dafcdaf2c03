"""Feeds a tryout of rules from Kafka: recorded history, or what comes. Joins no group and writes nothing."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from processors.engine.restore import appended_at
from rackstream.alerts.rule_tryout import Record, Tryout, steps
from runtime import kafka
from runtime.errors import Retry
from runtime.settings import KafkaSettings
from runtime.topics import decoder
from schemas import codec

WARM: Final = timedelta(minutes=15)
"""History before the stretch, from which it is known what was active and on hold at its beginning."""
Tell = Callable[[str, Record], None]
"""Told of each transition as it comes: whose it is, and what."""


class Source:
    """The topics that rules judge."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._aliases = tuple(dict.fromkeys(step.input for step in steps()))
        self._decoders = {alias: decoder(settings, alias) for alias in self._aliases}
        self._ends: dict[str, dict[int, int]] = {}

    def recorded(self, tryout: Tryout, since: datetime, until: datetime) -> None:
        """Steps what was observed from before `since` to `until`, topic by topic: no rule looks at two.

        Raises:
            Retry: Kafka is away.
        """
        begin_ms = int((since - WARM).timestamp() * 1000)
        try:
            for alias in self._aliases:
                name = self._settings.catalog[alias].name
                spans = kafka.watermarks(self._settings, name)
                self._ends[alias] = {number: end for number, (_, end) in spans.items()}
                for number, (low, end) in spans.items():
                    first = max(low, min(end, kafka.offsets_at(self._settings, name, number, max(0, begin_ms))))
                    for message in kafka.read(self._settings, name, {number: (first, end)}):
                        record = self._decode(alias, message)
                        if record is not None and record["observed_at"] < until:
                            tryout.take(alias, number, record, appended_at(message))
        except KafkaException as error:
            raise Retry(f"no answer from Kafka at {self._settings.bootstrap}: {error.args[0].str()}") from error

    def live(self, tryout: Tryout, tell: Tell, stopping: Callable[[], bool]) -> None:
        """Steps what comes after `recorded`, until `stopping`."""
        for alias, message in self._following(stopping):
            if (record := self._decode(alias, message)) is not None:
                for whose, transition in tryout.take(alias, message.partition(), record, appended_at(message)):
                    tell(whose, transition)

    def _following(self, stopping: Callable[[], bool]) -> Iterator[tuple[str, Message]]:
        names = {self._settings.catalog[alias].name: alias for alias in self._aliases}
        reader = kafka.consumer(self._settings, "rackstream-tryout", **{"fetch.wait.max.ms": 100})
        try:
            reader.assign(
                [
                    TopicPartition(self._settings.catalog[alias].name, number, end)
                    for alias, ends in self._ends.items()
                    for number, end in ends.items()
                ]
            )
            while not stopping():
                message = reader.poll(0.3)
                if message is None:
                    continue
                error = message.error()
                if error is None:
                    yield names[message.topic()], message
                elif error.code() == KafkaError._ALL_BROKERS_DOWN:  # noqa: SLF001  librdkafka's name of it
                    time.sleep(0.3)
        finally:
            reader.close()

    def _decode(self, alias: str, message: Message) -> dict[str, Any] | None:
        try:
            return self._decoders[alias].decode(message.value()) if message.value() else None
        except codec.Undecodable:
            return None
