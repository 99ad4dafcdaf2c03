"""Execution telemetry under its public name; the code is in `producers.app.execution`."""

from producers.app.execution import Sampler, TelemetryCollector

__all__ = ["Sampler", "TelemetryCollector"]
