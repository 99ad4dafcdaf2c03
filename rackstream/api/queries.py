"""Read-only routes for the fleet, hosts, VMs, alerts, topics and the pipeline. They need no token."""

from __future__ import annotations

from typing import Annotated, Literal, TypeVar

from fastapi import APIRouter, HTTPException, Query

from rackstream.view import answers, detail_answers, lists
from rackstream.view.model import View

Answer = TypeVar("Answer")
Search = Annotated[str, Query(max_length=200, description="Words that must all occur")]
Offset = Annotated[int, Query(ge=0, le=10_000_000)]
Limit = Annotated[int, Query(ge=1, le=500)]
HealthFilter = Literal["ok", "warning", "critical", "unknown"]
StatusFilter = Literal["up", "slow", "partial", "late", "auth_failed", "unreachable", "stopped", "unknown"]
SeverityFilter = Literal["warning", "critical"]


def routes(view: View) -> APIRouter:
    """Creates the routes below `/api`."""
    router = APIRouter(prefix="/api", tags=["fleet"])

    @router.get("/overview")
    def overview() -> answers.Overview:
        """Totals of the whole fleet."""
        return view.overview()

    @router.get("/hosts")
    def hosts(  # noqa: PLR0913, PLR0917  one per query parameter
        search: Search = "",
        health: HealthFilter | None = None,
        status: StatusFilter | None = None,
        sort: lists.HostOrder = "name",
        descending: bool = False,  # noqa: FBT001, FBT002  FastAPI reads it from the query
        offset: Offset = 0,
        limit: Limit = 50,
    ) -> answers.HostPage:
        """Hosts by words in name and labels (`rack=r1`), health and status. Hosts without a sort value come last."""
        return view.hosts(
            search, health=health, status=status, sort=sort, descending=descending, offset=offset, limit=limit
        )

    @router.get("/hosts/{host}")
    def host(host: str) -> detail_answers.HostDetail:
        """All values of one host."""
        return found_or_404(view.host(host), "no such host")

    @router.get("/hosts/{host}/vms/{uuid}")
    def vm(host: str, uuid: str) -> detail_answers.VmDetail:
        """All values of one VM."""
        return found_or_404(view.vm(host, uuid), "no such host, or no such VM on it")

    @router.get("/vms")
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

    @router.get("/alerts")
    def alerts(
        search: Search = "",
        severity: SeverityFilter | None = None,
        state: lists.AlertStateFilter = "active",
        host: str | None = None,
        offset: Offset = 0,
        limit: Limit = 50,
    ) -> answers.AlertPage:
        """Active alerts, critical and newest first, with their mutes; or `state=history`: transitions, newest first."""
        return view.alerts(search, severity=severity, state=state, host=host, offset=offset, limit=limit)

    @router.get("/alerts/{alert}")
    def alert(alert: str) -> answers.AlertTimeline:
        """An alert with its transitions."""
        return found_or_404(view.alert(alert), "no such alert, or it is no longer held")

    @router.get("/topics")
    def topics() -> list[answers.TopicRow]:
        """Record counts and append rates, by topic."""
        return view.pipeline().topics

    @router.get("/pipeline")
    def pipeline() -> answers.PipelineStatus:
        """Producers, topics, consumer groups with their lag, dead letters."""
        return view.pipeline()

    return router


def found_or_404(answer: Answer | None, detail: str) -> Answer:
    """Returns the answer; responds with 404 if there is none."""
    if answer is None:
        raise HTTPException(404, detail)
    return answer
