"""SDK for applications (docs/python.md): collects, stores and publishes events and metrics.

Imports only the standard library until a `KafkaStorage` is created.
"""

from producers.app.collector import TelemetryCollector
from producers.app.handler import TelemetryHandler
from producers.app.model import EventType, TelemetryConfig, TelemetryData, TelemetryEvent, TelemetryMetric

__all__ = [
    "EventType",
    "TelemetryCollector",
    "TelemetryConfig",
    "TelemetryData",
    "TelemetryEvent",
    "TelemetryHandler",
    "TelemetryMetric",
]
