"""Items as JSON text and back. Total: whatever metadata an application gives becomes some JSON, never an error."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Any, Final

from producers.app.model import EventType, Item, TelemetryEvent, TelemetryMetric

MAX_BITS: Final = 8192
"""Python refuses to print longer integers in decimal."""
MAX_DEPTH: Final = 20
"""A value that holds itself has no end."""


def stamp(moment: datetime) -> str:
    """UTC, in one length: sorts as text."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def printed(value: object) -> str:
    """`str(value)`, even of an object that cannot print itself."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001  an application's own __str__
        return f"<{type(value).__name__}>"


def as_json(value: object) -> str:
    """JSON text in ASCII, so that lone surrogates pass too. What JSON does not have is text, or null for NaN."""
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"), default=printed)
    except (ValueError, TypeError, RecursionError):
        return json.dumps(_plain(value, 0), separators=(",", ":"))


def _plain(value: object, depth: int) -> Any:
    if isinstance(value, int):
        return value if value.bit_length() <= MAX_BITS else hex(value)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Mapping) and depth < MAX_DEPTH:
        return {printed(key): _plain(each, depth + 1) for key, each in value.items()}
    if isinstance(value, list | tuple) and depth < MAX_DEPTH:
        return [_plain(each, depth + 1) for each in value]
    return f"<{type(value).__name__}>" if depth >= MAX_DEPTH else printed(value)


def write(item: Item) -> str:
    """One item as one line, without its end."""
    if isinstance(item, TelemetryEvent):
        return as_json(
            {
                "kind": "event",
                "event_id": item.event_id,
                "timestamp": stamp(item.timestamp),
                "event_type": item.event_type.value,
                "source": item.source,
                "message": item.message,
                "metadata": item.metadata,
            }
        )
    return as_json(
        {
            "kind": "metric",
            "metric_id": item.metric_id,
            "timestamp": stamp(item.timestamp),
            "name": item.name,
            # JSON has no NaN and no infinity; their names as text are read back.
            "value": item.value if isfinite(item.value) else str(item.value),
            "unit": item.unit,
            "tags": item.tags,
        }
    )


def read(line: str | bytes) -> Item:
    """The item of one line.

    Raises:
        ValueError: it is not a whole item.
    """
    try:
        fields = json.loads(line)
        kind = fields.pop("kind")
        fields["timestamp"] = datetime.fromisoformat(fields["timestamp"])
        if kind == "metric":
            return TelemetryMetric(**fields)
        fields["event_type"] = EventType(fields["event_type"])
        return TelemetryEvent(**fields)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"not an event or metric: {error!r}") from error
