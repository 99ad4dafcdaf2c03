"""Events and metrics of an application, and the configuration of its collector. No I/O."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import UnionType
from typing import Any, Final

BACKENDS: Final = ("memory", "file", "database")
Metadata = Mapping[str, Any]
"""Metadata or tags: values of any type, which storages convert to JSON."""


def utc(moment: datetime) -> datetime:
    """Adds the offset to a naive time, which is UTC."""
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


class EventType(StrEnum):
    """Severity of an event."""

    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"
    DEBUG = "DEBUG"


@dataclass(slots=True)
class TelemetryEvent:
    """An event of an application. A naive `timestamp` is UTC."""

    event_id: str
    timestamp: datetime
    event_type: EventType
    source: str
    message: str
    metadata: Metadata | None = None

    def __post_init__(self) -> None:
        self.timestamp = utc(self.timestamp)
        self.event_type = EventType(self.event_type)


@dataclass(slots=True)
class TelemetryMetric:
    """A number measured by an application. A naive `timestamp` is UTC; `unit` is not checked."""

    metric_id: str
    timestamp: datetime
    name: str
    value: float
    unit: str | None = None
    tags: Metadata | None = None

    def __post_init__(self) -> None:
        self.timestamp = utc(self.timestamp)
        self.value = float(self.value)


Item = TelemetryEvent | TelemetryMetric


@dataclass(slots=True)
class TelemetryData:
    """Events and metrics, each in the order they were collected."""

    events: list[TelemetryEvent] = field(default_factory=list)
    metrics: list[TelemetryMetric] = field(default_factory=list)

    @property
    def items(self) -> list[Item]:
        """Events, then metrics."""
        return [*self.events, *self.metrics]

    def copy(self) -> TelemetryData:
        """Copies the lists, so that the receiver may change them."""
        return TelemetryData(list(self.events), list(self.metrics))


@dataclass(slots=True)
class TelemetryConfig:
    """Configuration of a collector. An enabled collector validates it."""

    enabled: bool = True
    """False: nothing is collected, and every call returns None."""
    buffer_size: int = 100
    """Number of items at which the buffer is flushed."""
    flush_interval: float = 5.0
    """Maximum time that an item is buffered, in seconds."""
    realtime_mode: bool = True
    """True: listeners get each item at once."""
    storage_backend: str = "memory"
    """memory, file (JSON lines) or database (SQLite)."""
    storage_path: str | os.PathLike[str] | None = None
    """File of the backends file and database."""

    def validate(self) -> None:
        """Raises ValueError with all problems at once, if there are any."""
        problems = [
            f"{name} must be True or False, not {value!r}"
            for name, value in (("enabled", self.enabled), ("realtime_mode", self.realtime_mode))
            if not _is_a(value, bool)
        ]
        if not _is_number(self.buffer_size, int) or self.buffer_size < 1:
            problems.append(f"buffer_size must be a whole number of items from 1, not {self.buffer_size!r}")
        if not _is_number(self.flush_interval, int | float) or not 0 < self.flush_interval < math.inf:
            problems.append(f"flush_interval must be seconds above 0, not {self.flush_interval!r}")
        if self.storage_backend not in BACKENDS:
            problems.append(f"storage_backend must be one of {', '.join(BACKENDS)}, not {self.storage_backend!r}")
        elif self.storage_backend != "memory" and not self.storage_path:
            problems.append(f"storage_backend {self.storage_backend!r} needs storage_path, the file to write")
        if not _is_a(self.storage_path, str | os.PathLike | None):
            problems.append(f"storage_path must be a path, not {self.storage_path!r}")
        if problems:
            raise ValueError("; ".join(problems))


def _is_a(value: object, kind: type | UnionType) -> bool:
    """Checks a type at run time, because applications may ignore annotations."""
    return isinstance(value, kind)


def _is_number(value: object, kind: type | UnionType) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)
