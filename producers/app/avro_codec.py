"""Converts items to the body of an AppSample and back.

Pure and total: any metadata becomes what the schema allows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, TypedDict, cast

from producers.app import json_codec
from producers.app.model import EventType, Item, Metadata, TelemetryData, TelemetryEvent, TelemetryMetric

if TYPE_CHECKING:
    from producers.reader import Sample
    from schemas.records import AppEvent, AppExecutions, AppMetric, AppSample

AvroValue = bool | int | float | str | None
"""A value of metadata or tags that the schema allows."""
TELEMETRY: Final = "telemetry"
EXECUTIONS: Final = "executions"
CATEGORIES: Final = (TELEMETRY, EXECUTIONS)
"""Events and metrics are one category, because a flush is one record."""
MAX_BODY_BYTES: Final = 7 * 1024 * 1024
"""Bytes of text in one record: Kafka accepts 8 MiB."""
INT64_LIMIT: Final = 2**63


class AppBody(TypedDict):
    """Fields of an AppSample beyond its header."""

    source: str
    events: list[AppEvent]
    metrics: list[AppMetric]
    executions: list[AppExecutions]


class ExecutionStats(TypedDict):
    """Statistics of executed commands since `start_time`, in seconds since 1970."""

    commands_executed: int
    successful_commands: int
    failed_commands: int
    total_execution_time: float
    start_time: float


class ExecutionSnapshot(ExecutionStats):
    """The statistics at one moment."""

    uptime_seconds: float


def sample(body: AppBody) -> Sample:
    """Wraps a body for the publisher."""
    from producers.reader import Problems, Sample

    return Sample(body, Problems())


def record_bodies(source: str, data: TelemetryData) -> list[AppBody]:
    """Converts items to one body, or to several if one would be too large for Kafka."""
    bodies: list[AppBody] = []
    body_size = MAX_BODY_BYTES
    for item in data.items:
        fields = _event(item) if isinstance(item, TelemetryEvent) else _metric(item)
        item_size = 100 + sum(_max_size(value) for value in fields.values())
        if body_size + item_size > MAX_BODY_BYTES:
            bodies.append(_empty_body(source))
            body_size = 0
        body_size += item_size
        if isinstance(item, TelemetryEvent):
            bodies[-1]["events"].append(cast("AppEvent", fields))
        else:
            bodies[-1]["metrics"].append(cast("AppMetric", fields))
    return bodies


def execution_body(source: str, stats: ExecutionSnapshot) -> AppBody:
    """Converts execution statistics to a body."""
    body = _empty_body(source)
    body["executions"].append(
        {
            "commands_executed": int(stats["commands_executed"]),
            "successful_commands": int(stats["successful_commands"]),
            "failed_commands": int(stats["failed_commands"]),
            "total_execution_time": stats["total_execution_time"],
            "start_time": datetime.fromtimestamp(stats["start_time"], UTC),
            "uptime_seconds": stats["uptime_seconds"],
        }
    )
    return body


def record_items(record: AppSample) -> Iterator[Item]:
    """Yields the events and metrics of a decoded record; nested metadata stays JSON text."""
    for event in record["events"]:
        yield TelemetryEvent(
            event["event_id"],
            event["timestamp"],
            EventType.__members__.get(event["event_type"], EventType.INFO),
            event["source"],
            event["message"],
            event["metadata"] or None,
        )
    for metric in record["metrics"]:
        yield TelemetryMetric(
            metric["metric_id"],
            metric["timestamp"],
            metric["name"],
            metric["value"],
            metric["unit"],
            metric["tags"] or None,
        )


def _empty_body(source: str) -> AppBody:
    return {"source": _text(source), "events": [], "metrics": [], "executions": []}


def _event(event: TelemetryEvent) -> AppEvent:
    return {
        "event_id": _text(event.event_id),
        "timestamp": event.timestamp,
        "event_type": event.event_type.value,
        "source": _text(event.source),
        "message": _text(event.message),
        "metadata": _map(event.metadata),
    }


def _metric(metric: TelemetryMetric) -> AppMetric:
    return {
        "metric_id": _text(metric.metric_id),
        "timestamp": metric.timestamp,
        "name": _text(metric.name),
        "value": metric.value,
        "unit": None if metric.unit is None else _text(metric.unit),
        "tags": _map(metric.tags),
    }


def _text(value: object) -> str:
    """Converts a value to text that UTF-8 can encode: a lone surrogate becomes a question mark."""
    return json_codec.safe_str(value).encode("utf-8", "replace").decode()


def _map(values: Metadata | None) -> dict[str, AvroValue]:
    return {_text(key): _value(value) for key, value in (values or {}).items()}


def _value(value: object) -> AvroValue:
    """Converts a value to a type of the schema; nested values and long integers become text."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int):
        return int(value) if -INT64_LIMIT <= value < INT64_LIMIT else json_codec.to_json(value)
    if isinstance(value, Mapping | list | tuple):
        return json_codec.to_json(value)
    return _text(value)


def _max_size(value: object) -> int:
    """Returns the bytes of a value, at most."""
    if isinstance(value, str):
        return 4 * len(value) + 8
    if isinstance(value, dict):
        return sum(_max_size(key) + _max_size(value) for key, value in value.items())
    return 16
