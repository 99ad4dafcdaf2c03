"""Open dead letters on Kafka: reading, filtering, and deleting by tombstone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, cast

from confluent_kafka import KafkaException

from rackstream.text.json import jsonable
from runtime import kafka
from runtime.errors import Misconfigured, Retry
from runtime.settings import KafkaSettings
from runtime.skipped_records import skip_record
from runtime.topics import decoder
from schemas import codec
from schemas.records import DeadLetter

CONFIRM_TIMEOUT_S: Final = 30.0
"""Time to wait for the broker to confirm a write."""


@dataclass(frozen=True)
class StoredDeadLetter:
    """Dead letter with its key and partition on the dead-letter topic."""

    key: bytes
    partition: int
    record: DeadLetter

    @property
    def id(self) -> str:
        """Identifies it in commands: topic, partition, offset and stage of the failed record."""
        return "{topic}/{partition}/{offset}/{stage}".format_map(self.record)

    def as_plain(self) -> dict[str, object]:
        """Returns id and record for JSON; bytes are base64."""
        return {"id": self.id} | {name: jsonable(value) for name, value in self.record.items()}


@dataclass(frozen=True)
class DeadLetterFilter:
    """Criteria that select dead letters; an empty one or None matches all."""

    ids: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    since: datetime | None = None
    """Failed at or after this time."""
    until: datetime | None = None
    """Failed before this time."""

    def matches(self, dead_letter: StoredDeadLetter) -> bool:
        """True if a dead letter meets all criteria."""
        at = dead_letter.record["failed_at"]
        return (
            (not self.ids or dead_letter.id in self.ids)
            and (not self.reasons or dead_letter.record["reason"] in self.reasons)
            and (not self.stages or dead_letter.record["stage"] in self.stages)
            and (self.since is None or at >= self.since)
            and (self.until is None or at < self.until)
        )

    def select(self, dead_letters: Sequence[StoredDeadLetter]) -> list[StoredDeadLetter]:
        """Returns the dead letters that match.

        Raises:
            Misconfigured: No dead letter has one of the ids.
        """
        if missing := set(self.ids) - {dead_letter.id for dead_letter in dead_letters}:
            raise Misconfigured(f"no dead letter {', '.join(sorted(missing))}: see `rackstream dead-letters list`")
        return [dead_letter for dead_letter in dead_letters if self.matches(dead_letter)]


def read_open(settings: KafkaSettings) -> list[StoredDeadLetter]:
    """Reads the open dead letters, in the order in which they failed.

    Raises:
        Retry: Kafka did not answer.
    """
    decode = decoder(settings, "dead-letter").decode
    dead_letters: dict[bytes, StoredDeadLetter] = {}
    try:
        for message in kafka.read_all(settings, settings.catalog["dead-letter"].name):
            dead_letters.pop(message.key(), None)
            if message.value():
                try:
                    record = decode(message.value())
                except codec.DecodeError as error:
                    skip_record("dead-letter", message, error)
                    continue
                dead_letters[message.key()] = StoredDeadLetter(
                    message.key(), message.partition(), cast("DeadLetter", record)
                )
    except KafkaException as error:
        raise Retry(f"no answer from Kafka at {settings.bootstrap}: {error.args[0].str()}") from error
    return sorted(dead_letters.values(), key=lambda dead_letter: (dead_letter.record["failed_at"], dead_letter.id))


def resolve(settings: KafkaSettings, dead_letters: Iterable[StoredDeadLetter]) -> None:
    """Deletes dead letters by writing tombstones, and waits for confirmation.

    Raises:
        Retry: The broker did not confirm.
    """
    publisher = kafka.KafkaPublisher(settings, "rackstream-dead-letters")
    for dead_letter in dead_letters:
        name = settings.catalog["dead-letter"].name
        publisher.send(name, dead_letter.key, None, wait_s=CONFIRM_TIMEOUT_S, partition=dead_letter.partition)
    if publisher.flush(CONFIRM_TIMEOUT_S) or publisher.delivery_failures:
        raise Retry(f"not confirmed by {settings.bootstrap}: {next(iter(publisher.delivery_failures), 'no answer')}")
