"""Keys of the control topic, and selection of the command that applies to a target. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple

from schemas.records import Control

ALL_TARGETS: Final = "*"


class Scope(NamedTuple):
    """Targets that a command names: those of a source, of a host, of both, or (neither) all."""

    source: str | None = None
    host: str | None = None

    @property
    def key(self) -> str:
        """Key of the scope on the control topic."""
        if self.source is None:
            return ALL_TARGETS if self.host is None else f"host:{self.host}"
        return f"source:{self.source}" if self.host is None else f"target:{self.source}:{self.host}"

    def includes(self, source: str, host: str) -> bool:
        """True if the target is within the scope."""
        return self.source in {None, source} and self.host in {None, host}

    def __str__(self) -> str:
        if self.host is None:
            return "all targets" if self.source is None else f"all targets of {self.source}"
        return self.host if self.source is None else f"{self.source} of {self.host}"


def parse_key(key: str) -> Scope | None:
    """Returns the scope of a control key, or None if the key has no known form."""
    kind, colon, name = key.partition(":")
    source, separator, host = name.partition(":")
    if key == ALL_TARGETS:
        return Scope()
    if kind == "target" and source and separator and host:
        return Scope(source, host)
    if kind in {"source", "host"} and colon and name:
        return Scope(**{kind: name})
    return None


def matching_keys(source: str, host: str) -> tuple[str, ...]:
    """Returns the keys that include a target, the most specific first."""
    return tuple(scope.key for scope in (Scope(source, host), Scope(None, host), Scope(source), Scope()))


@dataclass(frozen=True)
class DesiredState:
    """The control topic as far as it has been read."""

    commands: Mapping[str, Control] = field(default_factory=lambda: MappingProxyType({}))
    """Key → newest command."""
    offset: int | None = None
    """Offset of the last record. None: the topic is empty."""

    @classmethod
    def from_records(cls, records: Iterable[Control], offset: int | None = None) -> DesiredState:
        """Builds the state from the newest record of each key."""
        return cls({record["key"]: record for record in records}, offset)

    def command_for(self, source: str, host: str) -> Control | None:
        """Returns the most specific command for a target; None if it has none and is polled."""
        return next((self.commands[key] for key in matching_keys(source, host) if key in self.commands), None)

    def stop_command_for(self, source: str, host: str) -> Control | None:
        """Returns the command that stops a target, or None if the target is to be polled."""
        command = self.command_for(source, host)
        return command if command is not None and is_stop(command) else None


def is_stop(command: Control) -> bool:
    """True if the command stops the targets it names."""
    return command["desired"] == "stopped"


def describe_stop(command: Control) -> str:
    """Returns the detail of the status of a target that this command stops."""
    return f"stopped by {command['by']}" + (f": {command['reason']}" if command["reason"] else "")
