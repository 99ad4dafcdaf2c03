"""Items as the body of an AppSample, and back. Total, as `wire` is: metadata becomes what Avro's map has. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from producers.app import json_codec
from producers.app.model import EventType, Item, TelemetryData, TelemetryEvent, TelemetryMetric

if TYPE_CHECKING:
    from producers.reader import Sample

TELEMETRY: Final = "telemetry"
EXECUTIONS: Final = "executions"
CATEGORIES: Final = (TELEMETRY, EXECUTIONS)
"""Both events and metrics are one category, for a flush is one record."""
MAX_WEIGHT: Final = 7 * 1024 * 1024
"""Bytes of text that one record may hold: Kafka takes 8 MiB."""
LONG: Final = 2**63


def sample(body: dict[str, Any]) -> Sample:
    """The body as the publication takes it."""
    from producers.reader import Problems, Sample

    return Sample(body, Problems())


def bodies(source: str, data: TelemetryData) -> list[dict[str, Any]]:
    """One body, or more where one would be too large for Kafka; none without items."""
    found: list[dict[str, Any]] = []
    weight = MAX_WEIGHT
    for item in data.items:
        place, fields = ("events", _event(item)) if isinstance(item, TelemetryEvent) else ("metrics", _metric(item))
        size = 100 + sum(_size(value) for value in fields.values())
        if weight + size > MAX_WEIGHT:
            found.append(_body(source))
            weight = 0
        weight += size
        found[-1][place].append(fields)
    return found


def execution(source: str, stats: Mapping[str, float]) -> dict[str, Any]:
    """The body for one state of the execution statistics of seed 001."""
    counts = {name: int(stats[name]) for name in ("commands_executed", "successful_commands", "failed_commands")}
    start = datetime.fromtimestamp(stats["start_time"], UTC)
    uptime_s = stats["uptime_seconds"]
    times = {"total_execution_time": stats["total_execution_time"], "start_time": start, "uptime_seconds": uptime_s}
    return _body(source) | {"executions": [counts | times]}


def items(record: Mapping[str, Any]) -> Iterator[Item]:
    """The events and metrics of a decoded record; nested metadata stays JSON text."""
    for event in record["events"]:
        kind = event["event_type"]
        known = EventType(kind) if kind in EventType.__members__ else EventType.INFO
        yield TelemetryEvent(**event | {"event_type": known, "metadata": event["metadata"] or None})
    for metric in record["metrics"]:
        yield TelemetryMetric(**metric | {"tags": metric["tags"] or None})


def _body(source: str) -> dict[str, Any]:
    return {"source": _text(source), "events": [], "metrics": [], "executions": []}


def _event(event: TelemetryEvent) -> dict[str, Any]:
    return {
        "event_id": _text(event.event_id),
        "timestamp": event.timestamp,
        "event_type": event.event_type.value,
        "source": _text(event.source),
        "message": _text(event.message),
        "metadata": _map(event.metadata),
    }


def _metric(metric: TelemetryMetric) -> dict[str, Any]:
    return {
        "metric_id": _text(metric.metric_id),
        "timestamp": metric.timestamp,
        "name": _text(metric.name),
        "value": metric.value,
        "unit": None if metric.unit is None else _text(metric.unit),
        "tags": _map(metric.tags),
    }


def _text(value: object) -> str:
    """Text that UTF-8 has: a lone surrogate becomes a question mark."""
    return json_codec.printed(value).encode("utf-8", "replace").decode()


def _map(values: Mapping[str, Any] | None) -> dict[str, Any]:
    return {_text(key): _value(value) for key, value in (values or {}).items()}


def _value(value: object) -> Any:
    """Null, boolean, long, double or string: what is nested as JSON text, and longer integers as text."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return int(value) if -LONG <= value < LONG else json_codec.as_json(value)
    if isinstance(value, Mapping | list | tuple):
        return json_codec.as_json(value)
    return _text(value)


def _size(value: object) -> int:
    """Bytes of a value, at most."""
    if isinstance(value, str):
        return 4 * len(value) + 8
    if isinstance(value, dict):
        return sum(_size(key) + _size(each) for key, each in value.items())
    return 16
