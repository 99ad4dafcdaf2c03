"""Encodes items as JSON text and decodes them.

Total: any metadata becomes some JSON, never an error.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from math import isfinite
from typing import Final

from producers.app.model import EventType, Item, TelemetryEvent, TelemetryMetric

MAX_BITS: Final = 8192
"""Python refuses to print longer integers in decimal."""
MAX_DEPTH: Final = 20
"""A value that contains itself would never end."""


def timestamp_text(moment: datetime) -> str:
    """Formats a time in UTC, with a fixed length, so that texts sort by time."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds")


def safe_str(value: object) -> str:
    """Returns `str(value)`, or the type's name if that raises."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001  an application's own __str__
        return f"<{type(value).__name__}>"


def to_json(value: object) -> str:
    """Encodes a value as ASCII, so that lone surrogates pass too.

    Other types become text, NaN becomes null.
    """
    try:
        return json.dumps(value, allow_nan=False, separators=(",", ":"), default=safe_str)
    except (ValueError, TypeError, RecursionError):
        return json.dumps(_json_value(value, 0), separators=(",", ":"))


def _json_value(value: object, depth: int) -> object:
    if isinstance(value, int):
        return value if value.bit_length() <= MAX_BITS else hex(value)
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Mapping) and depth < MAX_DEPTH:
        return {safe_str(key): _json_value(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple) and depth < MAX_DEPTH:
        return [_json_value(item, depth + 1) for item in value]
    return f"<{type(value).__name__}>" if depth >= MAX_DEPTH else safe_str(value)


def encode(item: Item) -> str:
    """Encodes an item as one line, without the line break."""
    if isinstance(item, TelemetryEvent):
        return to_json(
            {
                "kind": "event",
                "event_id": item.event_id,
                "timestamp": timestamp_text(item.timestamp),
                "event_type": item.event_type.value,
                "source": item.source,
                "message": item.message,
                "metadata": item.metadata,
            }
        )
    return to_json(
        {
            "kind": "metric",
            "metric_id": item.metric_id,
            "timestamp": timestamp_text(item.timestamp),
            "name": item.name,
            # JSON has no NaN and no infinity; `decode` converts their names back.
            "value": item.value if isfinite(item.value) else str(item.value),
            "unit": item.unit,
            "tags": item.tags,
        }
    )


def decode(line: str | bytes) -> Item:
    """Decodes the item of one line.

    Raises:
        ValueError: It is not a complete item.
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
