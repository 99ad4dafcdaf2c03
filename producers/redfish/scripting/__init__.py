"""The scripting API for one BMC: `RedfishTelemetryCollector`."""
