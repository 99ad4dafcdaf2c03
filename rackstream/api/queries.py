"""What the view answers, over HTTP: fleet, hosts and VMs, alerts, topics, the pipeline. Reading asks for no token."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from fastapi import APIRouter, HTTPException, Query

from rackstream.view import answers, detail_answers, lists
from rackstream.view.model import View

Value = TypeVar("Value")
Search = Annotated[str, Query(max_length=200, description="Words that must all occur")]
Offset = Annotated[int, Query(ge=0, le=10_000_000)]
Limit = Annotated[int, Query(ge=1, le=500)]
Health = Literal["ok", "warning", "critical", "unknown"]
Status = Literal["up", "slow", "partial", "late", "auth_failed", "unreachable", "stopped", "unknown"]
Severity = Literal["warning", "critical"]


def routes(view: View) -> APIRouter:
    """Routes below `/api`."""
    found = APIRouter(prefix="/api", tags=["fleet"])

    @found.get("/overview")
    def overview() -> answers.Overview:
        """The fleet at a glance."""
        return view.overview()

    @found.get("/hosts")
    def hosts(  # noqa: PLR0913, PLR0917  one per query parameter
        search: Search = "",
        health: Health | None = None,
        status: Status | None = None,
        sort: lists.HostOrder = "name",
        descending: bool = False,  # noqa: FBT001, FBT002  FastAPI reads it from the query
        offset: Offset = 0,
        limit: Limit = 50,
    ) -> answers.HostPage:
        """Hosts by words in name and labels (`rack=r1`), health, a target's status; those without a value come last."""
        return view.hosts(
            search, health=health, status=status, sort=sort, descending=descending, offset=offset, limit=limit
        )

    @found.get("/hosts/{host}")
    def host(host: str) -> detail_answers.Host:
        """All that is known of one host."""
        return known(view.host(host), "no such host")

    @found.get("/hosts/{host}/vms/{uuid}")
    def vm(host: str, uuid: str) -> detail_answers.Vm:
        """All that is known of one VM."""
        return known(view.vm(host, uuid), "no such host, or no such VM on it")

    @found.get("/vms")
    def vms(
        search: Search = "",
        host: str | None = None,
        sort: lists.VmOrder = "name",
        descending: bool = False,  # noqa: FBT001, FBT002  FastAPI reads it from the query
        offset: Offset = 0,
        limit: Limit = 50,
    ) -> answers.VmPage:
        """VMs by words in name, UUID and host."""
        return view.vms(search, host=host, sort=sort, descending=descending, offset=offset, limit=limit)

    @found.get("/alerts")
    def alerts(
        search: Search = "",
        severity: Severity | None = None,
        state: lists.AlertState = "active",
        host: str | None = None,
        offset: Offset = 0,
        limit: Limit = 50,
    ) -> answers.AlertPage:
        """Active alerts, critical ones first, with what mutes them; or `state=history`: transitions, newest first."""
        return view.alerts(search, severity=severity, state=state, host=host, offset=offset, limit=limit)

    @found.get("/alerts/{alert}")
    def alert(alert: str) -> answers.AlertStory:
        """One alert with its transitions."""
        return known(view.alert(alert), "no such alert is known any more")

    @found.get("/topics")
    def topics() -> list[answers.TopicRow]:
        """Records and their rate, by topic."""
        return view.pipeline().topics

    @found.get("/pipeline")
    def pipeline() -> answers.Pipeline:
        """Producers, topics, consumer groups with their lag, dead letters."""
        return view.pipeline()

    return found


def known(value: Value | None, otherwise: str) -> Value:
    """The value; 404 if there is none."""
    if value is None:
        raise HTTPException(404, otherwise)
    return value
