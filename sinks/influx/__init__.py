"""The InfluxDB sink: records as line protocol. The package's public names are imported on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sinks.influx.connector import InfluxConnector
    from sinks.influx.sink import InfluxSink

__all__ = ["InfluxConnector", "InfluxSink"]


def __getattr__(name: str) -> Any:
    if name == "InfluxConnector":
        from sinks.influx.connector import InfluxConnector

        return InfluxConnector
    if name == "InfluxSink":
        from sinks.influx.sink import InfluxSink

        return InfluxSink
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
