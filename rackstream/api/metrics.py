"""Prometheus metrics of this process, and the scrape targets of the other local processes."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from rackstream.local import prometheus_targets


def routes(data_dir: Path) -> APIRouter:
    """Creates the routes; `data_dir`: directory in which local processes register as scrape targets."""
    router = APIRouter(tags=["process"])

    @router.get("/metrics", response_class=Response, responses={200: {"content": {CONTENT_TYPE_LATEST: {}}}})
    def metrics() -> Response:
        """Prometheus metrics of this process."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    @router.get("/api/prometheus/targets")
    def targets() -> list[dict[str, object]]:
        """Scrape targets for `http_sd_configs`: processes of `rackstream up` or `demo` in this data directory."""
        return [dict(group) for group in prometheus_targets.read(data_dir)]

    return router
