"""What the console's and the command line's start and stop do: for the fleet, and for seed 004's one hypervisor."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Annotated, Any, Final

from pydantic import Field

from producers.control import planner
from producers.control.client import Steering
from producers.control.commands import Command, Scope
from rackstream.telemetry import TelemetryCollector, TelemetryConfig
from rackstream.topics.schema_lookup import Connect
from runtime.errors import Misconfigured
from runtime.settings import Settings

WAIT_S: Final = 5.0
"""Targets are given this long to obey before an answer says how they stand."""
LOOK_S: Final = 0.1
BY_REST: Final = "REST"


class Commands:
    """Starts and stops targets through Kafka, where all that is known of them is: any number may do so at once."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect

    def start(
        self, source: str | None, host: str | None, *, by: str, reason: str = "", wait_s: float = WAIT_S
    ) -> dict[str, Any]:
        """Has targets polled: of a source, of a host, of both, or (neither) all. Waits up to `wait_s` for that.

        Returns:
            `status`: running, `message`: what has come of it, `desired`: the command, `observed`: how many of its
            targets are running, stopped, and pending (they do not stand as is commanded).

        Raises:
            NoSuchTarget: there is no such target.
            Retry: Kafka does not answer.
            Misconfigured: there is no Kafka.
        """
        return self._command(Scope(source, host), "running", by=by, reason=reason, wait_s=wait_s)

    def stop(
        self, source: str | None, host: str | None, *, by: str, reason: str = "", wait_s: float = WAIT_S
    ) -> dict[str, Any]:
        """Has targets left alone; else as `start`."""
        return self._command(Scope(source, host), "stopped", by=by, reason=reason, wait_s=wait_s)

    def desired(self) -> list[Command]:
        """What is commanded, the general first.

        Raises:
            Retry: Kafka does not answer.
            Misconfigured: there is no Kafka.
        """
        found: list[Command] = self.state()["desired"]
        return found

    def state(self) -> dict[str, Any]:
        """What is commanded next to how targets stand.

        Returns:
            `desired`: the commands, `observed`: by source, how many targets are running, stopped and pending,
            `pending`: the first of those that do not stand as is commanded.

        Raises:
            Retry: Kafka does not answer.
            Misconfigured: there is no Kafka.
        """
        with self._topics() as topics:
            return planner.state(topics.orders, topics.statuses)

    def figures(self) -> dict[str, Any]:
        """The fleet as seed 004 tells of one hypervisor; what Kafka does not tell is null.

        Raises:
            Retry: Kafka does not answer.
            Misconfigured: there is no Kafka.
        """
        with self._topics() as topics:
            statuses, all_of_them = topics.statuses, topics.orders.commands.get(Scope().key)
        polled = [each for each in statuses if each["status"] != "stopped"]
        newest = max((each["observed_at"] for each in polled), default=None)
        return {
            "running": bool(polled),
            "started_at": all_of_them["at"].isoformat() if all_of_them and polled else None,
            "total_collections": sum(each["polls"] for each in statuses),
            "total_errors": sum(each["failures"] for each in statuses),
            "last_collection_time": newest.isoformat() if newest else None,
            "vms_monitored": None,
            "total_metrics_written": None,
            "influx_queue_size": None,
            "targets": planner.counts(topics.orders, statuses),
        }

    def _topics(self) -> Steering:
        settings = self._connect()
        if not settings.bootstrap:
            raise Misconfigured("no Kafka runs here: start `rackstream up`, or set KAFKA_BOOTSTRAP_SERVERS")
        return Steering(settings)

    def _command(self, scope: Scope, wanted: planner.Desired, *, by: str, reason: str, wait_s: float) -> dict[str, Any]:
        command = planner.new(scope, wanted, by=by, reason=reason, at=datetime.now(UTC))
        with self._topics() as topics:
            targets = {(each["source"], each["host"]) for each in topics.statuses}
            planner.check(scope, targets, topics.orders)
            changes = planner.plan(topics.orders, command, targets)
            topics.write(changes)
            orders, deadline_s = planner.applied(topics.orders, changes), time.monotonic() + wait_s
            while True:
                named = [each for each in topics.statuses if scope.holds(each["source"], each["host"])]
                found = planner.counts(orders, named)
                if not found["pending"] or time.monotonic() > deadline_s:
                    break
                time.sleep(LOOK_S)
                topics.refresh()
        said = planner.message(orders, command, named)
        return {"status": wanted, "message": said, "desired": dict(command), "observed": found}


class _Seed(Settings):
    """Whether seed 004's one hypervisor is configured."""

    libvirt_uri: Annotated[str | None, Field(validation_alias="LIBVIRT_URI")] = None
    """Its URI."""


class Telemetry:
    """Seed 004's calls: about the hypervisor of LIBVIRT_URI where that is set, else about the fleet."""

    def __init__(self, one: Control, fleet: Commands) -> None:
        self._one, self._fleet = one, fleet

    def start(self) -> dict[str, Any]:
        """Starts collecting.

        Raises:
            Failure: the configuration is not whole, a part did not get ready, or Kafka does not answer.
        """
        return self._one.start() if self._is_one() else self._told(self._fleet.start(None, None, by=BY_REST))

    def stop(self) -> dict[str, Any]:
        """Stops collecting.

        Raises:
            Failure: Kafka does not answer.
        """
        return self._one.stop() if self._is_one() else self._told(self._fleet.stop(None, None, by=BY_REST))

    def status(self) -> dict[str, Any]:
        """How it stands.

        Raises:
            Failure: the configuration is not whole, or Kafka does not answer.
        """
        return self._one.status() if self._is_one() else self._fleet.figures()

    def vms(self) -> dict[str, Any]:
        """The VMs of the newest poll of the hypervisor."""
        return self._one.vms()

    def config(self) -> dict[str, Any]:
        """Its configuration, masked.

        Raises:
            Failure: it is not whole.
        """
        return self._one.config()

    @staticmethod
    def _is_one() -> bool:
        return bool(_Seed.read().libvirt_uri)

    @staticmethod
    def _told(said: dict[str, Any]) -> dict[str, Any]:
        return {name: said[name] for name in ("status", "message")}


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
