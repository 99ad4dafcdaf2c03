"""What Prometheus asks for: this process's metrics, and where the other parts on this machine serve theirs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from rackstream.local import prometheus_targets


def routes(data_dir: Path) -> APIRouter:
    """`data_dir`: whose parts are told of."""
    found = APIRouter(tags=["process"])

    @found.get("/metrics", response_class=Response, responses={200: {"content": {CONTENT_TYPE_LATEST: {}}}})
    def metrics() -> Response:
        """Prometheus metrics of this process."""
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    @found.get("/api/prometheus/targets")
    def targets() -> list[dict[str, Any]]:
        """For `http_sd_configs`: the parts that `rackstream up` or `demo` runs in this console's data directory."""
        return prometheus_targets.read(data_dir)

    return found
