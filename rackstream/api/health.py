"""How the console itself stands: for supervisors and load balancers."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from rackstream.view.model import View


def routes(view: View) -> APIRouter:
    """`/healthz`, `/readyz`."""
    found = APIRouter(tags=["process"])

    @found.get("/healthz")
    def healthz() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @found.get("/readyz", responses={503: {"description": "not ready; `why` says what is not"}})
    def readyz(response: Response) -> dict[str, Any]:
        """Kafka answers, its topics are there, and the view has caught up."""
        why = []
        if view.kafka:
            why.append("Kafka does not answer")
        if missing := view.pipeline().missing:
            why.append(f"topics are missing: {', '.join(missing)}")
        if not view.ready:
            why.append("the view has not caught up")
        if not why:
            return {"status": "ready"}
        response.status_code = 503
        return {"status": "not ready", "why": why}

    return found
