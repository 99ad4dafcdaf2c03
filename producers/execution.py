"""Execution telemetry under its public import path; see `producers.app.execution`."""

from producers.app.execution import Sampler, TelemetryCollector

__all__ = ["Sampler", "TelemetryCollector"]
