"""The rule topic: reads and follows the rule packs on Kafka, and publishes a pack.

A worker polls the topic before each batch, so that it has read a pack before any record that the pack may apply to
(`rule_pack.ACTIVATION_DELAY`).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime
from typing import Final, cast

import structlog
from confluent_kafka import KafkaError, KafkaException, TopicPartition

from processors.alerting import rule_pack
from processors.alerting.rule_pack import AppliedPack, RulePackHistory, RuleSet
from processors.engine.restore import appended_at
from processors.engine.step import AnyRecord
from runtime import kafka, kafka_auth, metrics
from runtime.errors import Retry
from runtime.settings import KafkaSettings
from runtime.topics import decoder, publish_schemas
from schemas import catalog, codec
from schemas.records import RulePack

log = structlog.get_logger()
POLL_INTERVAL_S: Final = 1.0
"""How often the topic is polled; well below `rule_pack.ACTIVATION_DELAY`."""
READ_TIMEOUT_S: Final = 15.0
"""If Kafka does not answer for this long, a poll fails."""
RETRY_S: Final = 0.2
MAX_REASON_LENGTH: Final = 1000
PARTITION: Final = 0


class RuleTopicReader:
    """Follows the rule topic. May be polled from several threads."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._topic = settings.catalog["rules"].name
        self._decoder = decoder(settings, "rules")
        self._next_offset = 0
        self._next_poll_s = 0.0
        self._lock = threading.Lock()
        self._consumer = kafka.create_consumer(settings, "rackstream-rules")
        self.packs: RulePackHistory = rule_pack.builtin()
        """The packs read so far."""

    @property
    def is_due(self) -> bool:
        """True if the poll interval has passed."""
        return time.monotonic() >= self._next_poll_s

    def close(self) -> None:
        """Closes the consumer."""
        self._consumer.close()

    def poll(self) -> RulePackHistory:
        """Reads packs that were added, if the poll interval has passed.

        Raises:
            KafkaException: The broker did not answer for `READ_TIMEOUT_S`.
        """
        with self._lock:
            started_s = time.monotonic()
            while self.is_due:
                try:
                    self._read()
                except KafkaException:
                    if time.monotonic() - started_s > READ_TIMEOUT_S and not kafka_auth.recently_refused():
                        raise
                    time.sleep(RETRY_S)
                else:
                    # The interval counts from the start: what was added during this poll is read by the next.
                    self._next_poll_s = started_s + POLL_INTERVAL_S
                    break
            return self.packs

    def _read(self) -> None:
        offsets = self._consumer.get_watermark_offsets(TopicPartition(self._topic, PARTITION), timeout=5, cached=False)
        if offsets is None:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))  # noqa: SLF001  librdkafka's name of it
        low, end = offsets
        first = max(low, self._next_offset)
        for message in kafka.read_ranges(self._settings, self._topic, {PARTITION: (first, end)}):
            self._next_offset = message.offset() + 1
            if not message.value():
                continue
            self.packs = add_record(self.packs, self._decoder.decode, message.value(), appended_at(message))
        self._next_offset = max(self._next_offset, end)


def add_record(
    packs: RulePackHistory, decode: Callable[[bytes], AnyRecord], value: bytes, appended_at: datetime
) -> RulePackHistory:
    """Returns the packs with that of one more record of the topic, if it can be parsed.

    Raises:
        KafkaException: A schema could not be looked up.
    """
    try:
        record = cast("RulePack", decode(value))
        pack = rule_pack.parse(record["text"], record["name"])
        applied = AppliedPack(pack, record["effective_from"], appended_at)
        fingerprint, effective_from = pack.fingerprint, applied.effective_from.isoformat()
    except (KafkaException, Retry):
        raise
    except Exception as error:  # noqa: BLE001  whatever is on the topic, its readers go on
        # For example a pack for a newer version of this code. Earlier packs stay in force.
        reason = (str(error) or repr(error))[:MAX_REASON_LENGTH]
        log.warning(
            "rule pack ignored, not readable by this release", appended_at=appended_at.isoformat(), reason=reason
        )
        metrics.RECORDS_REJECTED.labels("rule-pack").inc()
        return packs
    log.info("rule pack read", pack=fingerprint, effective_from=effective_from)
    return packs.with_pack(applied)


def read_packs(settings: KafkaSettings) -> RulePackHistory:
    """Reads the packs that are on Kafka now.

    Raises:
        KafkaException: The broker did not answer.
    """
    reader = RuleTopicReader(settings)
    try:
        return reader.poll()
    finally:
        reader.close()


def publish(settings: KafkaSettings, pack: RuleSet, text: str, effective_from: datetime) -> None:
    """Publishes a pack on the topic.

    Args:
        settings: The Kafka connection.
        pack: The parsed pack.
        text: The text of its file.
        effective_from: It applies to records observed at this time or later.

    Raises:
        Retry: The broker did not confirm.
    """
    record: RulePack = {
        "id": f"{effective_from.isoformat()} {pack.fingerprint}",
        "fingerprint": pack.fingerprint,
        "name": pack.name,
        "effective_from": effective_from,
        "text": text,
    }
    topic = settings.catalog["rules"]
    publish_schemas(settings, (topic.schema,))
    publisher = kafka.KafkaPublisher(settings, "rackstream-rules")
    publisher.send(topic.name, topic.key_of(record), codec.encode(catalog.schema(topic.schema), record))
    if publisher.flush(30) or publisher.delivery_failures:
        raise Retry(f"not confirmed by {settings.bootstrap}: {publisher.delivery_failures or 'no answer'}")
