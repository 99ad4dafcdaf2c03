"""A compacted topic as a table: the newest record of each key."""

from __future__ import annotations

from typing import Any

from runtime import kafka
from runtime.settings import KafkaSettings
from runtime.topics import decoder
from schemas import codec

Key = bytes | str
"""As Kafka hands it out."""


def newest(settings: KafkaSettings, alias: str, *, partition: int | None = None) -> dict[Key, dict[str, Any]]:
    """Key → its newest record, read to the ends the topic (or one partition of it) has now.

    A key whose newest record is a tombstone is not there; one whose newest bytes are no record keeps the one before,
    for whoever steps that topic puts such bytes on the dead letter.

    Raises:
        KafkaException: the broker did not answer.
    """
    name = settings.catalog[alias].name
    spans = kafka.watermarks(settings, name)
    decode = decoder(settings, alias).decode
    values: dict[Key, dict[str, Any]] = {}
    for message in kafka.read(settings, name, spans if partition is None else {partition: spans[partition]}):
        key = message.key()
        if not message.value():
            values.pop(key, None)
            continue
        try:
            values[key] = decode(message.value())
        except codec.Undecodable:
            continue
    return values
