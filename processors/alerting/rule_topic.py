"""The packs of rules on Kafka: reads the topic whole, then follows it; and puts a pack there.

A worker follows before it steps, so that it knows a pack before any record that the pack may judge (`packs.LEAD`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import structlog
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from processors.alerting import rule_pack
from processors.alerting.rule_pack import Applied, Pack, Packs
from processors.engine.restore import appended_at
from runtime import kafka, kafka_auth, metrics
from runtime.errors import Misconfigured, Retry
from runtime.settings import KafkaSettings
from runtime.topics import decoder, publish_schemas
from schemas import catalog, codec

log = structlog.get_logger()
EVERY_S: Final = 1.0
"""How often the topic is looked at; well below the time that a pack waits before it judges."""
PATIENCE_S: Final = 15.0
"""How long one look may be in vain: Kafka may be away for a while."""
TEXT_BYTES: Final = 1024 * 1024
PARTITION: Final = 0


class Rulebook:
    """The packs, as far as read."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._name = settings.catalog["rules"].name
        self._decoder = decoder(settings, "rules")
        self._next = 0
        self._due_s = 0.0
        self._lock = threading.Lock()
        self._reader = kafka.consumer(settings, "rackstream-rules")
        self.packs: Packs = rule_pack.builtin()

    @property
    def is_due(self) -> bool:
        """Whether it is time to look."""
        return time.monotonic() >= self._due_s

    def close(self) -> None:
        """Lets go of Kafka."""
        self._reader.close()

    def follow(self) -> Packs:
        """Reads what was added, if it is time to look.

        Raises:
            KafkaException: the broker did not answer for long.
        """
        with self._lock:
            began_s = time.monotonic()
            while self.is_due:
                try:
                    self._read()
                except KafkaException:
                    if time.monotonic() - began_s > PATIENCE_S and not kafka_auth.is_refused():
                        raise
                    time.sleep(0.2)
                else:
                    # From the beginning of the look: what was added during it is seen by the next.
                    self._due_s = began_s + EVERY_S
                    break
            return self.packs

    def _read(self) -> None:
        span = self._reader.get_watermark_offsets(TopicPartition(self._name, PARTITION), timeout=5, cached=False)
        if span is None:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001  librdkafka's name of it
        low, end = span
        first = max(low, self._next)
        for message in kafka.read(self._settings, self._name, {PARTITION: (first, end)}):
            self._next = message.offset() + 1
            if not message.value():
                continue
            self.packs = added(self.packs, self._decoder.decode, message.value(), appended_at(message))
        self._next = max(self._next, end)


def added(known: Packs, decode: Callable[[bytes], dict[str, Any]], value: bytes, appended_at: datetime) -> Packs:
    """The packs with one more record of the topic, if it can be understood."""
    try:
        record = decode(value)
        pack = rule_pack.parse(record["text"], record["name"])
    except (codec.Undecodable, Misconfigured) as error:
        # A pack for a newer version of this code. Those before it go on judging.
        log.warning("rule pack not understood", appended_at=appended_at.isoformat(), why=str(error))
        metrics.RECORDS_REJECTED.labels("rule-pack").inc()
        return known
    log.info("rule pack read", pack=pack.fingerprint, effective_from=record["effective_from"].isoformat())
    return known.with_pack(Applied(pack, record["effective_from"], appended_at))


def read(settings: KafkaSettings) -> Packs:
    """The packs on Kafka now.

    Raises:
        KafkaException: the broker did not answer.
    """
    book = Rulebook(settings)
    try:
        return book.follow()
    finally:
        book.close()


def publish(settings: KafkaSettings, pack: Pack, text: str, effective_from: datetime) -> None:
    """Puts a pack on the topic.

    Raises:
        Misconfigured: the text is too large.
        Retry: the broker did not confirm.
    """
    if len(text.encode()) > TEXT_BYTES:
        raise Misconfigured(f"{pack.name} is larger than {TEXT_BYTES} bytes; take comments or rules out")
    record = {
        "id": f"{effective_from.isoformat()} {pack.fingerprint}",
        "fingerprint": pack.fingerprint,
        "name": pack.name,
        "effective_from": effective_from,
        "text": text,
    }
    topic = settings.catalog["rules"]
    publish_schemas(settings, (topic.schema,))
    publisher = kafka.Publisher(settings, "rackstream-rules")
    publisher.send(topic.name, topic.key_of(record), codec.encode(catalog.schema(topic.schema), record))
    if publisher.flush(30) or publisher.failures:
        raise Retry(f"not confirmed by {settings.bootstrap}: {publisher.failures or 'no answer'}")
