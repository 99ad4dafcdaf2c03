"""Routes that pause and resume polling. Commands go through Kafka, so any console may send them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field

from producers.control.planner import NoSuchTarget
from rackstream.api.auth import TokenCheck
from rackstream.control import REST_ACTOR, FleetControl

Name = Annotated[str, Field(min_length=1, max_length=256)]
JsonObject = dict[str, object]


class TargetSelection(BaseModel):
    """Targets of a source, of a host, of both, or (neither) all."""

    model_config = ConfigDict(extra="forbid")

    source: Name | None = None
    """redfish, libvirt or host."""
    host: Name | None = None
    """Name of the host in the fleet."""
    reason: Annotated[str, Field(max_length=1000)] = ""
    """Reason, shown to others."""


def routes(fleet: FleetControl, needs_token: TokenCheck) -> APIRouter:
    """Creates the routes below `/api/control`."""
    router = APIRouter(prefix="/api/control", tags=["control"])

    def actor(request: Request) -> str:
        return f"{REST_ACTOR} from {request.client.host}" if request.client else REST_ACTOR

    @router.post("/start", dependencies=[needs_token])
    def start(request: Request, selection: TargetSelection | None = None) -> JsonObject:
        """Resume polling of the selected targets. Answers with their states after a few seconds at most."""
        targets = selection or TargetSelection()
        try:
            return dict(fleet.start(targets.source, targets.host, by=actor(request), reason=targets.reason))
        except NoSuchTarget as error:
            raise HTTPException(404, str(error)) from None

    @router.post("/stop", dependencies=[needs_token])
    def stop(request: Request, selection: TargetSelection | None = None) -> JsonObject:
        """Pause polling of the selected targets; their sessions are deleted."""
        targets = selection or TargetSelection()
        try:
            return dict(fleet.stop(targets.source, targets.host, by=actor(request), reason=targets.reason))
        except NoSuchTarget as error:
            raise HTTPException(404, str(error)) from None

    @router.get("")
    def state() -> JsonObject:
        """Desired state, target counts, and targets that differ from it."""
        return dict(fleet.state())

    return router
