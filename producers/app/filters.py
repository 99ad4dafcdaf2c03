"""Selects items by time and number. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from datetime import datetime

from producers.app.model import Item, TelemetryData, TelemetryEvent, utc


def split(items: Iterable[Item]) -> TelemetryData:
    """Divides items into events and metrics, each in their order."""
    data = TelemetryData()
    for item in items:
        if isinstance(item, TelemetryEvent):
            data.events.append(item)
        else:
            data.metrics.append(item)
    return data


def select(
    items: Iterable[Item], start_time: datetime | None, end_time: datetime | None, limit: int | None
) -> TelemetryData:
    """Selects the items of [start_time, end_time]; of more than `limit` the newest, in order.

    Naive times are UTC.

    Raises:
        ValueError: `limit` is negative.
    """
    if limit is not None and limit < 0:
        raise ValueError(f"limit must be 0 or more, not {limit}")
    start, end = start_time and utc(start_time), end_time and utc(end_time)
    selected = (item for item in items if (not start or start <= item.timestamp) and (not end or item.timestamp <= end))
    if limit is None:
        return split(selected)
    # Memory for `limit` items, however long the file is. Of equal times the item stored last is the newest.
    numbered = ((item.timestamp, position, item) for position, item in enumerate(selected))
    newest = heapq.nlargest(limit, numbered, key=lambda entry: entry[:2])
    return split(item for _, _, item in sorted(newest, key=lambda entry: entry[1]))
