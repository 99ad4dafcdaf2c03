"""Routes of the telemetry API: one hypervisor into InfluxDB or, if none is configured, the whole fleet."""

from __future__ import annotations

from fastapi import APIRouter

from rackstream.api.auth import TokenCheck
from rackstream.control import TelemetryControl

JsonObject = dict[str, object]


def routes(control: TelemetryControl, needs_token: TokenCheck) -> APIRouter:
    """Creates the routes below `/api/telemetry`."""
    router = APIRouter(prefix="/api/telemetry", tags=["telemetry"])

    @router.post("/start", dependencies=[needs_token])
    def start() -> dict[str, str]:
        return control.start()

    @router.post("/stop", dependencies=[needs_token])
    def stop() -> dict[str, str]:
        return control.stop()

    @router.get("/status")
    def status() -> JsonObject:
        return dict(control.status())

    @router.get("/vms")
    def vms() -> JsonObject:
        return dict(control.vms())

    @router.get("/config")
    def config() -> JsonObject:
        return dict(control.config())

    return router
