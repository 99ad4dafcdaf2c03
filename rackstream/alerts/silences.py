"""Silences on Kafka, for command line, terminal and web: matchers, listing, adding, ending."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import cast

from runtime.compacted_topic import read_latest
from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings
from runtime.topics import publish_schemas
from schemas.records import Silence
from sinks.webhook import silences


def parse_matchers(words: Iterable[str]) -> list[tuple[str, str]]:
    """Parses matchers of the form NAME=PATTERN.

    Raises:
        Misconfigured: A matcher has another form, or there is none.
    """
    split = [word.partition("=") for word in words]
    if wrong := [name + equals + pattern for name, equals, pattern in split if not (name and pattern)]:
        raise Misconfigured(f"{', '.join(wrong)}: give NAME=PATTERN, such as host=kvm-* or rule=temperature-high")
    if not split:
        raise Misconfigured("no matcher given: use NAME=PATTERN, such as host=kvm-* or rule=temperature-high")
    return [(name, pattern) for name, _, pattern in split]


def split_words(line: str) -> list[str]:
    """Splits a line into words; quotation marks keep words together."""
    try:
        return shlex.split(line)
    except ValueError:  # an unmatched quotation mark
        return line.split()


def format_matchers(matchers: Mapping[str, str]) -> str:
    """Formats matchers as a line that `split_words` and `parse_matchers` read."""
    return shlex.join(f"{name}={pattern}" for name, pattern in matchers.items())


def read_silences(settings: KafkaSettings) -> list[Silence]:
    """Returns all silences, including ended ones, by start time.

    Raises:
        KafkaException: The broker did not answer.
    """
    latest = cast("Mapping[str, Silence]", read_latest(settings, "silences"))
    return sorted(latest.values(), key=lambda silence: (silence["starts_at"], silence["id"]))


def add_silence(settings: KafkaSettings, silence: Silence) -> None:
    """Publishes a new silence, and deletes those that ended long ago.

    Raises:
        Retry: The broker did not confirm.
    """
    publish_schemas(settings, ("Silence",))
    keep_from = datetime.now(UTC) - silences.RETENTION
    outdated = [old["id"] for old in read_silences(settings) if old["ends_at"] < keep_from]
    silences.publish(settings, silence, outdated)


def end_silences(settings: KafkaSettings, ids: Iterable[str]) -> list[Silence]:
    """Ends silences now and returns them.

    Raises:
        Misconfigured: There is no such silence, or it has ended.
        Retry: The broker did not confirm.
    """
    now = datetime.now(UTC)
    requested = list(dict.fromkeys(ids))
    open_silences = {silence["id"]: silence for silence in read_silences(settings) if silence["ends_at"] > now}
    if unknown := [silence_id for silence_id in requested if silence_id not in open_silences]:
        raise Misconfigured(f"no pending or active silence {', '.join(unknown)}; see `rackstream silence list`")
    publish_schemas(settings, ("Silence",))
    ended: list[Silence] = [{**open_silences[silence_id], "ends_at": now} for silence_id in requested]
    for silence in ended:
        silences.publish(settings, silence)
    return ended
