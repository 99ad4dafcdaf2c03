"""What is commanded of targets: the keys of the control topic, and which of its records holds for whom. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, NamedTuple

Command = Mapping[str, Any]
"""A Control record."""
ALL: Final = "*"


class Scope(NamedTuple):
    """Which targets: of a source, of a host, of both, or (neither) all."""

    source: str | None = None
    host: str | None = None

    @property
    def key(self) -> str:
        """Its key on the control topic."""
        if self.source is None:
            return ALL if self.host is None else f"host:{self.host}"
        return f"source:{self.source}" if self.host is None else f"target:{self.source}:{self.host}"

    def holds(self, source: str, host: str) -> bool:
        """Whether a target is among them."""
        return self.source in {None, source} and self.host in {None, host}

    def __str__(self) -> str:
        if self.host is None:
            return "all targets" if self.source is None else f"all targets of {self.source}"
        return self.host if self.source is None else f"{self.source} of {self.host}"


def scope(key: str) -> Scope | None:
    """The scope of a key; None: it is none that we know."""
    kind, colon, name = key.partition(":")
    source, more, host = name.partition(":")
    if key == ALL:
        return Scope()
    if kind == "target" and source and more and host:
        return Scope(source, host)
    if kind in {"source", "host"} and colon and name:
        return Scope(**{kind: name})
    return None


def above(source: str, host: str) -> tuple[str, ...]:
    """The keys that a target may be named by, the most specific first."""
    return tuple(each.key for each in (Scope(source, host), Scope(None, host), Scope(source), Scope()))


@dataclass(frozen=True)
class Orders:
    """The control topic as far as it was read."""

    commands: Mapping[str, Command] = field(default_factory=lambda: MappingProxyType({}))
    """By key."""
    offset: int | None = None
    """Of the last record; None: there is none."""

    @classmethod
    def of(cls, records: Iterable[Command], offset: int | None = None) -> Orders:
        """From the newest record of each key."""
        return cls({record["key"]: record for record in records}, offset)

    def about(self, source: str, host: str) -> Command | None:
        """The record that holds for a target: of those about it the most specific. None: there is none, it runs."""
        return next((self.commands[key] for key in above(source, host) if key in self.commands), None)

    def stop(self, source: str, host: str) -> Command | None:
        """The record by which a target is stopped; None: it is to run."""
        found = self.about(source, host)
        return found if found is not None and is_stop(found) else None


def is_stop(command: Command) -> bool:
    """Whether a record stops what it is about."""
    return bool(command["desired"] == "stopped")


def words(command: Command) -> str:
    """A stop, as a target's status tells it."""
    return f"stopped by {command['by']}" + (f": {command['reason']}" if command["reason"] else "")
