"""The SDK for applications (seed 002): events and metrics, collected anywhere, stored or published to Kafka.

Imports nothing but the standard library until a `KafkaStorage` is made.
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
