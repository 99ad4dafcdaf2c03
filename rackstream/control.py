"""What the console's start and stop do: so far, one hypervisor into InfluxDB on this machine (seed 004)."""

from __future__ import annotations

from typing import Any

from rackstream.telemetry import TelemetryCollector, TelemetryConfig


class Control:
    """Starts and stops the collector of the environment's configuration. Thread-safe, for the collector is."""

    def __init__(self) -> None:
        self._collector: TelemetryCollector | None = None

    def start(self) -> dict[str, str]:
        """Starts collecting, with the configuration as it is now.

        Raises:
            Failure: the configuration is not whole, or a part did not get ready.
        """
        if self._collector is not None and self._collector.running:
            return {"status": "running", "message": "telemetry is being collected already"}
        self._collector = TelemetryCollector(TelemetryConfig.from_env())
        self._collector.start()
        return {"status": "running", "message": "telemetry collection started"}

    def stop(self) -> dict[str, str]:
        """Stops collecting; what was polled is stored first."""
        if self._collector is None or not self._collector.running:
            return {"status": "stopped", "message": "telemetry is not being collected"}
        self._collector.stop()
        return {"status": "stopped", "message": "telemetry collection stopped"}

    def status(self) -> dict[str, Any]:
        """`get_status()` of the collector.

        Raises:
            Failure: there is no collector yet and the configuration is not whole.
        """
        return self._known().get_status()

    def vms(self) -> dict[str, Any]:
        """The VMs of the newest poll."""
        found = self._collector.get_vms() if self._collector is not None else []
        return {"count": len(found), "vms": found}

    def config(self) -> dict[str, Any]:
        """The configuration, masked.

        Raises:
            Failure: it is not whole.
        """
        return {"config": self._known().config.to_safe_dict()}

    def close(self) -> None:
        """Stops what runs."""
        if self._collector is not None:
            self._collector.stop()

    def _known(self) -> TelemetryCollector:
        return self._collector or TelemetryCollector(TelemetryConfig.from_env())
