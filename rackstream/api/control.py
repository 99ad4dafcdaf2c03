"""Start and stop for the fleet: commands go to Kafka, so any number of consoles may give them."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Request
from pydantic import BaseModel, ConfigDict, Field

from producers.control.planner import NoSuchTarget
from rackstream.api.auth import Allowed
from rackstream.control import BY_REST, Commands

Name = Annotated[str, Field(min_length=1, max_length=256)]


class Order(BaseModel):
    """Which targets: of a source, of a host, of both, or (neither) all."""

    model_config = ConfigDict(extra="forbid")

    source: Name | None = None
    """redfish, libvirt or host."""
    host: Name | None = None
    """The fleet's name of it."""
    reason: Annotated[str, Field(max_length=1000)] = ""
    """Why, for whoever wonders."""


def routes(commands: Commands, allowed: Allowed) -> APIRouter:
    """Two commands, and what was commanded next to how targets stand."""
    found = APIRouter(prefix="/api/control", tags=["control"])

    def by(request: Request) -> str:
        return f"{BY_REST} from {request.client.host}" if request.client else BY_REST

    @found.post("/start", dependencies=[allowed])
    def start(request: Request, order: Order | None = None) -> dict[str, Any]:
        """Has targets polled. The answer says how they stand after at most some seconds."""
        wanted = order or Order()
        try:
            return commands.start(wanted.source, wanted.host, by=by(request), reason=wanted.reason)
        except NoSuchTarget as error:
            raise HTTPException(404, str(error)) from None

    @found.post("/stop", dependencies=[allowed])
    def stop(request: Request, order: Order | None = None) -> dict[str, Any]:
        """Has targets left alone until they are started; their sessions are deleted."""
        wanted = order or Order()
        try:
            return commands.stop(wanted.source, wanted.host, by=by(request), reason=wanted.reason)
        except NoSuchTarget as error:
            raise HTTPException(404, str(error)) from None

    @found.get("")
    def state() -> dict[str, Any]:
        """What was commanded, how many targets stand how, and which of them do not as was commanded."""
        return commands.state()

    return found
