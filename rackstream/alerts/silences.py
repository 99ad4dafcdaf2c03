"""Silences on Kafka: which there are, making one, ending some. For the command and for REST."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from runtime.compacted_topic import newest
from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings
from runtime.topics import publish_schemas
from sinks.webhook import silences

Record = dict[str, Any]


def pairs(words: Iterable[str]) -> list[tuple[str, str]]:
    """Matchers as people write them, NAME=PATTERN each.

    Raises:
        Misconfigured: one is not, or there is none.
    """
    split = [word.partition("=") for word in words]
    if wrong := [name + equals + pattern for name, equals, pattern in split if not (name and pattern)]:
        raise Misconfigured(f"{', '.join(wrong)}: give NAME=PATTERN, such as host=kvm-* or rule=temperature-high")
    if not split:
        raise Misconfigured("say what is to be silenced, such as host=kvm-* or rule=temperature-high")
    return [(name, pattern) for name, _, pattern in split]


def split(line: str) -> list[str]:
    """The words of a line; quotation marks keep what has spaces together."""
    try:
        return shlex.split(line)
    except ValueError:  # a quotation mark without its other half
        return line.split()


def line(matchers: Mapping[str, str]) -> str:
    """Matchers as a line that `split` and `pairs` read."""
    return shlex.join(f"{name}={pattern}" for name, pattern in matchers.items())


def known(settings: KafkaSettings) -> list[Record]:
    """All there are, those that have ended among them, by their beginning.

    Raises:
        KafkaException: the broker did not answer.
    """
    return sorted(newest(settings, "silences").values(), key=lambda each: (each["starts_at"], each["id"]))


def add(settings: KafkaSettings, made: Record) -> None:
    """Publishes a new one, and forgets those that nobody asks for any more.

    Raises:
        Retry: the broker did not confirm.
    """
    publish_schemas(settings, ("Silence",))
    outdated = [each["id"] for each in known(settings) if each["ends_at"] < datetime.now(UTC) - silences.KEPT]
    silences.publish(settings, made, outdated)


def end(settings: KafkaSettings, ids: Iterable[str]) -> list[Record]:
    """Ends silences now; returns them.

    Raises:
        Misconfigured: one is not there, or has ended.
        Retry: the broker did not confirm.
    """
    now = datetime.now(UTC)
    wanted = list(dict.fromkeys(ids))
    open_ = {each["id"]: each for each in known(settings) if each["ends_at"] > now}
    if unknown := [each for each in wanted if each not in open_]:
        raise Misconfigured(f"no such silence that has not ended: {', '.join(unknown)}; see `rackstream silence list`")
    publish_schemas(settings, ("Silence",))
    ended = [open_[each] | {"ends_at": now} for each in wanted]
    for each in ended:
        silences.publish(settings, each)
    return ended
