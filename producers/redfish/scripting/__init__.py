"""Scripting API for one BMC: `RedfishTelemetryCollector`."""
