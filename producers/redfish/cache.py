"""What polls found out about one BMC and need not ask again while its firmware and its parts stay. Data only."""

from __future__ import annotations

from dataclasses import dataclass, field

from producers.redfish.expand import Expanding
from producers.redfish.mapping.table import Json


@dataclass(frozen=True, slots=True)
class Problem:
    """A resource that was not to be had."""

    where: str
    """Its URI."""
    cause: str
    whole: bool
    """Whether it may have readings all the same."""


@dataclass(frozen=True, slots=True)
class Choice:
    """Where one kind of reading of one chassis is read."""

    side: str
    """Name of the resource; empty: nowhere."""
    until_s: float
    """Good until then: where nothing gave a reading, one may come with the host's power."""
    problems: tuple[Problem, ...] = ()
    """What was not to be had when this was chosen."""


@dataclass(slots=True)
class Learnt:
    """Shared by the categories, which may be polled at the same time; each entry is written whole."""

    expanding: Expanding = field(default_factory=lambda: Expanding({}))
    choices: dict[tuple[str, str], Choice] = field(default_factory=dict)
    """(URI of the chassis, kind of reading) → where it is read."""
    kept: dict[str, Json] = field(default_factory=dict)
    """Resources that do not change while the BMC runs, by `key_of` their URI: subsystems, adapters, sensors' limits."""
    useless: set[str] = field(default_factory=set)
    """Metrics that hold nothing any table reads, collections of what is told elsewhere; by `key_of` their URI."""
    power: dict[str, str] = field(default_factory=dict)
    """PowerState of the Systems, by `key_of` their URI."""
