"""Seed 004's five calls: one hypervisor into InfluxDB on this machine; where none is configured, the fleet."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter

from rackstream.api.auth import Allowed
from rackstream.control import Telemetry


def routes(control: Telemetry, allowed: Allowed) -> APIRouter:
    """Seed 004's five calls."""
    found = APIRouter(prefix="/api/telemetry", tags=["telemetry"])

    @found.post("/start", dependencies=[allowed])
    def start() -> dict[str, str]:
        return control.start()

    @found.post("/stop", dependencies=[allowed])
    def stop() -> dict[str, str]:
        return control.stop()

    @found.get("/status")
    def status() -> dict[str, Any]:
        return control.status()

    @found.get("/vms")
    def vms() -> dict[str, Any]:
        return control.vms()

    @found.get("/config")
    def config() -> dict[str, Any]:
        return control.config()

    return found
