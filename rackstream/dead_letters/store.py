"""The dead letters that are open: read, chosen, shown, and ended by a tombstone. How they are retried: `retry`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from confluent_kafka import KafkaException

from rackstream.topics.tail import plain
from runtime import kafka
from runtime.errors import Misconfigured, Retry
from runtime.settings import KafkaSettings
from runtime.topics import decoder
from schemas import codec

CONFIRM_S: Final = 30.0
"""For the broker's word."""


@dataclass(frozen=True)
class Letter:
    """One dead letter."""

    key: bytes
    """Its key on the dead-letter topic."""
    number: int
    """The partition of that topic that it is on."""
    record: dict[str, Any]

    @property
    def id(self) -> str:
        """What people call it."""
        return "/".join(str(self.record[name]) for name in ("topic", "partition", "offset", "stage"))

    def as_plain(self) -> dict[str, Any]:
        """For JSON; bytes are base64."""
        return {"id": self.id} | {name: plain(value) for name, value in self.record.items()}


@dataclass(frozen=True)
class Wanted:
    """Which letters are meant; what is empty or None does not restrict."""

    ids: tuple[str, ...] = ()
    reasons: tuple[str, ...] = ()
    stages: tuple[str, ...] = ()
    since: datetime | None = None
    """Refused at or after."""
    until: datetime | None = None
    """Refused before."""

    def means(self, letter: Letter) -> bool:
        """Whether a letter is meant."""
        at = letter.record["failed_at"]
        return (
            (not self.ids or letter.id in self.ids)
            and (not self.reasons or letter.record["reason"] in self.reasons)
            and (not self.stages or letter.record["stage"] in self.stages)
            and (self.since is None or at >= self.since)
            and (self.until is None or at < self.until)
        )

    def of(self, letters: Sequence[Letter]) -> list[Letter]:
        """Those that are meant.

        Raises:
            Misconfigured: there is no letter with an id that is asked for.
        """
        if unknown := set(self.ids) - {each.id for each in letters}:
            raise Misconfigured(
                f"no dead letter {', '.join(sorted(unknown))}: `rackstream dead-letters list` names them"
            )
        return [each for each in letters if self.means(each)]


def read(settings: KafkaSettings) -> list[Letter]:
    """The open letters, by the time when they were written.

    Raises:
        Retry: Kafka is away.
    """
    decode = decoder(settings, "dead-letter").decode
    found: dict[bytes, Letter] = {}
    try:
        for message in kafka.read_all(settings, settings.catalog["dead-letter"].name):
            found.pop(message.key(), None)
            if message.value():
                try:
                    record = decode(message.value())
                except codec.Undecodable:
                    continue  # of a newer version of this code
                found[message.key()] = Letter(message.key(), message.partition(), record)
    except KafkaException as error:
        raise Retry(f"no answer from Kafka at {settings.bootstrap}: {error.args[0].str()}") from error
    return sorted(found.values(), key=lambda each: (each.record["failed_at"], each.id))


def end(settings: KafkaSettings, letters: Iterable[Letter]) -> None:
    """Writes their tombstones, and waits for the broker's word.

    Raises:
        Retry: the broker did not confirm.
    """
    publisher = kafka.Publisher(settings, "rackstream-dead-letters")
    for letter in letters:
        name = settings.catalog["dead-letter"].name
        publisher.send(name, letter.key, None, wait_s=CONFIRM_S, partition=letter.number)
    if publisher.flush(CONFIRM_S) or publisher.failures:
        raise Retry(f"not confirmed by {settings.bootstrap}: {next(iter(publisher.failures), 'no answer')}")
