"""The FastAPI application: all routes, and the answers to failures."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Sequence

import structlog
from confluent_kafka import KafkaException
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse
from pydantic import SecretStr

from rackstream.api import auth, docs, events, health, metrics, queries, schemas, silences, telemetry
from rackstream.api import control as control_routes
from rackstream.api.middleware import RequestGuard
from rackstream.control import CollectorControl, FleetControl, TelemetryControl
from rackstream.topics.schema_lookup import Connect, SchemaLookup
from rackstream.view.model import View
from runtime.errors import Failure, Misconfigured
from runtime.settings import KafkaSettings

log = structlog.get_logger()


def create_app(  # noqa: PLR0913  all that a console is made of
    settings: KafkaSettings,
    connect: Connect,
    collector: CollectorControl,
    token: SecretStr,
    view: View,
    *,
    allowed_hosts: Sequence[str] = (),
    is_stopping: Callable[[], bool] = lambda: False,
) -> FastAPI:
    """Creates the application.

    Args:
        settings: Topic names and data directory.
        connect: Returns settings with Kafka's address.
        collector: Starts and stops the collector of one hypervisor.
        token: Bearer token of requests that change something.
        view: The view to show; the caller feeds it.
        allowed_hosts: Host names that it answers to, besides addresses and names without a dot.
        is_stopping: Returns True when event streams have to end.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        collector.close()

    # FastAPI's own documentation page loads scripts from another origin.
    api = FastAPI(title="Rackstream", docs_url=None, redoc_url=None, lifespan=lifespan)
    needs_token = auth.require_token(token)
    fleet = FleetControl(connect)
    api.include_router(queries.routes(view))
    api.include_router(silences.routes(view, connect, needs_token))
    api.include_router(events.routes(events.EventBroadcast(view, is_stopping)))
    api.include_router(health.routes(view))
    api.include_router(schemas.routes(settings, SchemaLookup(connect)))
    api.include_router(telemetry.routes(TelemetryControl(collector, fleet), needs_token))
    api.include_router(control_routes.routes(fleet, needs_token))
    api.include_router(metrics.routes(settings.data_dir))
    docs.add(api)
    api.add_middleware(RequestGuard, allowed_hosts=allowed_hosts)

    @api.exception_handler(Failure)
    def on_failure(_: Request, error: Exception) -> JSONResponse:
        log.warning("request failed", reason=str(error))
        reason = "settings are missing or wrong" if isinstance(error, Misconfigured) else "not available now"
        return JSONResponse({"detail": f"{reason}; see the console's log"}, status_code=503)

    @api.exception_handler(KafkaException)
    def on_kafka_error(_: Request, error: Exception) -> JSONResponse:
        log.warning("request failed", reason=str(error))
        return JSONResponse({"detail": "Kafka does not answer"}, status_code=503)

    return api
