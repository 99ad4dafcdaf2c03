"""Feeds a dry run of rules with records from Kafka, past or live.

Joins no group, writes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition

from processors.engine.restore import appended_at
from rackstream.alerts.rule_tryout import Origin, RuleTryout, alert_steps
from runtime import kafka
from runtime.errors import Retry
from runtime.settings import KafkaSettings
from runtime.topics import decoder
from schemas import codec
from schemas.records import Alert
from sinks.sink import AnyRecord

WARM_UP: Final = timedelta(minutes=15)
"""History read before the period, to rebuild which alerts were active or pending at its start."""
TransitionCallback = Callable[[Origin, Alert], None]
"""Receives each transition as it arrives: which packs raised it, and the transition."""


class RuleTryoutSource:
    """Reads the topics that alert rules evaluate."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._aliases = tuple(dict.fromkeys(step.input for step in alert_steps()))
        self._decoders = {alias: decoder(settings, alias) for alias in self._aliases}
        self._end_offsets: dict[str, dict[int, int]] = {}

    def process_history(self, tryout: RuleTryout, since: datetime, until: datetime) -> None:
        """Processes the records observed between two times, after a warm-up, topic by topic.

        No rule reads two topics, so their order does not matter.

        Raises:
            Retry: Kafka did not answer.
        """
        start_ms = int((since - WARM_UP).timestamp() * 1000)
        try:
            for alias in self._aliases:
                name = self._settings.catalog[alias].name
                spans = kafka.watermarks(self._settings, name)
                self._end_offsets[alias] = {number: end for number, (_, end) in spans.items()}
                for number, (low, end) in spans.items():
                    first = max(low, min(end, kafka.offset_at_time(self._settings, name, number, max(0, start_ms))))
                    for message in kafka.read_ranges(self._settings, name, {number: (first, end)}):
                        record = self._decode(alias, message)
                        if record is not None and record["observed_at"] < until:
                            tryout.process(alias, number, record, appended_at(message))
        except KafkaException as error:
            raise Retry(f"no answer from Kafka at {self._settings.bootstrap}: {error.args[0].str()}") from error

    def follow(self, tryout: RuleTryout, on_transition: TransitionCallback, stopping: Callable[[], bool]) -> None:
        """Processes records that arrive after `process_history`, until `stopping`."""
        for alias, message in self._messages(stopping):
            if (record := self._decode(alias, message)) is not None:
                for origin, transition in tryout.process(alias, message.partition(), record, appended_at(message)):
                    on_transition(origin, transition)

    def _messages(self, stopping: Callable[[], bool]) -> Iterator[tuple[str, Message]]:
        names = {self._settings.catalog[alias].name: alias for alias in self._aliases}
        reader = kafka.create_consumer(self._settings, "rackstream-tryout", **{"fetch.wait.max.ms": 100})
        try:
            reader.assign(
                [
                    TopicPartition(self._settings.catalog[alias].name, number, end)
                    for alias, ends in self._end_offsets.items()
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

    def _decode(self, alias: str, message: Message) -> AnyRecord | None:
        try:
            return self._decoders[alias].decode(message.value()) if message.value() else None
        except codec.DecodeError:
            return None
