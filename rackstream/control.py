"""Starting and stopping of polling for REST, web and CLI, and of one hypervisor's collector."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Final, TypedDict

from pydantic import Field

from producers.control import planner
from producers.control.client import ControlClient
from producers.control.planner import ControlSummary, TargetCounts
from rackstream.telemetry import CollectedVm, CollectorStatus, TelemetryCollector, TelemetryConfig
from rackstream.topics.schema_lookup import Connect
from runtime.errors import Misconfigured
from runtime.settings import Settings
from schemas.commands import Scope
from schemas.records import Control, Desired

APPLY_TIMEOUT_S: Final = 5.0
"""Time to wait for producers to apply a command before the answer reports pending targets."""
REFRESH_INTERVAL_S: Final = 0.1
REST_ACTOR: Final = "REST"


class CommandResult(TypedDict):
    """Result of a command to the fleet."""

    status: Desired
    message: str
    """Sentence about the result."""
    desired: Control
    """The command."""
    observed: TargetCounts
    """States of its targets."""


class FleetStatus(TypedDict):
    """State of the fleet with the keys of a collector's status; unknown values are None."""

    running: bool
    started_at: str | None
    total_collections: int
    total_errors: int
    last_collection_time: str | None
    vms_monitored: None
    total_metrics_written: None
    influx_queue_size: None
    targets: TargetCounts


class VmList(TypedDict):
    """VMs of the newest poll."""

    count: int
    vms: list[CollectedVm]


class FleetControl:
    """Starts and stops polling of targets by commands on Kafka.

    Any number of instances may do so at once.
    """

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def start(
        self, source: str | None, host: str | None, *, by: str, reason: str = "", wait_s: float = APPLY_TIMEOUT_S
    ) -> CommandResult:
        """Resumes polling of the targets of a source, of a host, of both, or of all.

        Args:
            source: `redfish`, `libvirt` or `host`; None for any.
            host: Name of the host; None for any.
            by: Name of the user.
            reason: Reason, shown to others.
            wait_s: How long to wait until producers have applied the command.

        Raises:
            NoSuchTarget: There is no such target.
            Retry: Kafka does not answer.
            Misconfigured: There is no Kafka.
        """
        return self._send_command(Scope(source, host), "running", by=by, reason=reason, wait_s=wait_s)

    def stop(
        self, source: str | None, host: str | None, *, by: str, reason: str = "", wait_s: float = APPLY_TIMEOUT_S
    ) -> CommandResult:
        """Pauses polling of targets; arguments and errors as for `start`."""
        return self._send_command(Scope(source, host), "stopped", by=by, reason=reason, wait_s=wait_s)

    def desired(self) -> list[Control]:
        """Returns the commands in force, the most general first.

        Raises:
            Retry: Kafka does not answer.
            Misconfigured: There is no Kafka.
        """
        return self.state()["desired"]

    def state(self) -> ControlSummary:
        """Returns the commands in force, target counts by source, and pending targets.

        Raises:
            Retry: Kafka does not answer.
            Misconfigured: There is no Kafka.
        """
        with self._client() as client:
            return planner.summarize(client.desired, client.statuses)

    def telemetry_status(self) -> FleetStatus:
        """Returns the state of the fleet in the form of one collector's status.

        Raises:
            Retry: Kafka does not answer.
            Misconfigured: There is no Kafka.
        """
        with self._client() as client:
            statuses, command_for_all = client.statuses, client.desired.commands.get(Scope().key)
        polled = [status for status in statuses if status["status"] != "stopped"]
        newest = max((status["observed_at"] for status in polled), default=None)
        return {
            "running": bool(polled),
            "started_at": command_for_all["at"].isoformat() if command_for_all and polled else None,
            "total_collections": sum(status["polls"] for status in statuses),
            "total_errors": sum(status["failures"] for status in statuses),
            "last_collection_time": newest.isoformat() if newest else None,
            "vms_monitored": None,
            "total_metrics_written": None,
            "influx_queue_size": None,
            "targets": planner.count_targets(client.desired, statuses),
        }

    def _client(self) -> ControlClient:
        settings = self._connect()
        if not settings.bootstrap:
            raise Misconfigured("no Kafka runs here: start `rackstream up`, or set KAFKA_BOOTSTRAP_SERVERS")
        return ControlClient(settings)

    def _send_command(self, scope: Scope, desired: Desired, *, by: str, reason: str, wait_s: float) -> CommandResult:
        command = planner.create_command(scope, desired, author=by, reason=reason, at=datetime.now(UTC))
        with self._client() as client:
            targets = {(status["source"], status["host"]) for status in client.statuses}
            planner.check_scope(scope, targets, client.desired)
            changes = planner.plan_changes(client.desired, command, targets)
            client.publish(changes)
            new_state, deadline_s = planner.apply_changes(client.desired, changes), time.monotonic() + wait_s
            while True:
                affected = [status for status in client.statuses if scope.includes(status["source"], status["host"])]
                counts = planner.count_targets(new_state, affected)
                if not counts["pending"] or time.monotonic() > deadline_s:
                    break
                time.sleep(REFRESH_INTERVAL_S)
                client.refresh()
        message = planner.describe_result(new_state, command, affected)
        return {"status": desired, "message": message, "desired": command, "observed": counts}


class _HypervisorSettings(Settings):
    """The one hypervisor that the scripting API monitors."""

    libvirt_uri: Annotated[str | None, Field(validation_alias="LIBVIRT_URI")] = None
    """Its URI."""


class TelemetryControl:
    """Calls of /api/telemetry: for the hypervisor of LIBVIRT_URI if set, else for the fleet."""

    def __init__(self, hypervisor: CollectorControl, fleet: FleetControl) -> None:
        self._hypervisor, self._fleet = hypervisor, fleet

    def start(self) -> dict[str, str]:
        """Starts collecting.

        Raises:
            Failure: The configuration is incomplete, a part did not get ready, or Kafka does not answer.
        """
        if self._has_hypervisor():
            return self._hypervisor.start()
        return self._summary(self._fleet.start(None, None, by=REST_ACTOR))

    def stop(self) -> dict[str, str]:
        """Stops collecting.

        Raises:
            Failure: Kafka does not answer.
        """
        if self._has_hypervisor():
            return self._hypervisor.stop()
        return self._summary(self._fleet.stop(None, None, by=REST_ACTOR))

    def status(self) -> CollectorStatus | FleetStatus:
        """Returns state and counters.

        Raises:
            Failure: The configuration is incomplete, or Kafka does not answer.
        """
        return self._hypervisor.status() if self._has_hypervisor() else self._fleet.telemetry_status()

    def vms(self) -> VmList:
        """Returns the VMs of the hypervisor's newest poll."""
        return self._hypervisor.vms()

    def config(self) -> dict[str, dict[str, object]]:
        """Returns the configuration with secrets masked.

        Raises:
            Failure: It is incomplete.
        """
        return self._hypervisor.config()

    @staticmethod
    def _has_hypervisor() -> bool:
        return bool(_HypervisorSettings.read().libvirt_uri)

    @staticmethod
    def _summary(result: CommandResult) -> dict[str, str]:
        return {"status": result["status"], "message": result["message"]}


class CollectorControl:
    """Starts and stops the collector configured by the environment. Thread-safe."""

    def __init__(self) -> None:
        self._collector: TelemetryCollector | None = None

    def start(self) -> dict[str, str]:
        """Starts collecting with the current configuration.

        Raises:
            Failure: The configuration is incomplete, or a part did not get ready.
        """
        if self._collector is not None and self._collector.running:
            return {"status": "running", "message": "telemetry is being collected already"}
        self._collector = TelemetryCollector(TelemetryConfig.from_env())
        self._collector.start()
        return {"status": "running", "message": "telemetry collection started"}

    def stop(self) -> dict[str, str]:
        """Stops collecting, after everything polled has been stored."""
        if self._collector is None or not self._collector.running:
            return {"status": "stopped", "message": "telemetry is not being collected"}
        self._collector.stop()
        return {"status": "stopped", "message": "telemetry collection stopped"}

    def status(self) -> CollectorStatus:
        """Returns `get_status()` of the collector.

        Raises:
            Failure: There is no collector yet, and the configuration is incomplete.
        """
        return self._collector_or_new().get_status()

    def vms(self) -> VmList:
        """Returns the VMs of the newest poll."""
        vms = self._collector.get_vms() if self._collector is not None else []
        return {"count": len(vms), "vms": vms}

    def config(self) -> dict[str, dict[str, object]]:
        """Returns the configuration with secrets masked.

        Raises:
            Failure: It is incomplete.
        """
        return {"config": self._collector_or_new().config.to_safe_dict()}

    def close(self) -> None:
        """Stops the collector if it runs."""
        if self._collector is not None:
            self._collector.stop()

    def _collector_or_new(self) -> TelemetryCollector:
        return self._collector or TelemetryCollector(TelemetryConfig.from_env())
