"""Which of some items an answer has: by time and number. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from datetime import datetime

from producers.app.model import Item, TelemetryData, TelemetryEvent, utc


def split(items: Iterable[Item]) -> TelemetryData:
    """Items as events and metrics, each in their order."""
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
    """Items of [start_time, end_time], naive times being UTC; of more than `limit` the newest, in their order.

    Raises:
        ValueError: `limit` is negative.
    """
    if limit is not None and limit < 0:
        raise ValueError(f"limit must be 0 or more, not {limit}")
    start, end = start_time and utc(start_time), end_time and utc(end_time)
    wanted = (item for item in items if (not start or start <= item.timestamp) and (not end or item.timestamp <= end))
    if limit is None:
        return split(wanted)
    # Memory for `limit` items, however long the file is. Of one moment the item stored last is the newest.
    newest = heapq.nlargest(limit, ((item.timestamp, at, item) for at, item in enumerate(wanted)), key=lambda x: x[:2])
    return split(item for _, _, item in sorted(newest, key=lambda each: each[1]))
