"""Liveness and readiness of the console, for supervisors and load balancers."""

from __future__ import annotations

from fastapi import APIRouter, Response

from rackstream.view.model import View


def routes(view: View) -> APIRouter:
    """Creates the routes `/healthz` and `/readyz`."""
    router = APIRouter(tags=["process"])

    @router.get("/healthz")
    def healthz() -> dict[str, str]:
        """200 while the process answers."""
        return {"status": "ok"}

    @router.get("/readyz", responses={503: {"description": "not ready; `why` gives the reasons"}})
    def readyz(response: Response) -> dict[str, object]:
        """200 while Kafka answers, its topics exist, and the view has caught up and reads on."""
        reasons = []
        if view.kafka:
            reasons.append("Kafka does not answer")
        if missing := view.pipeline().missing:
            reasons.append(f"topics are missing: {', '.join(missing)}")
        if problem := view.reader_problem:
            reasons.append(f"records are not being read: {problem}")
        if not view.ready:
            reasons.append("the view has not caught up")
        if not reasons:
            return {"status": "ready"}
        response.status_code = 503
        return {"status": "not ready", "why": reasons}

    return router
