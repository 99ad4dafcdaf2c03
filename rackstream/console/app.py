"""The application: all routes together, and what they answer when something fails."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator

import structlog
from confluent_kafka import KafkaException
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import SecretStr

from rackstream.console import access, schemas, telemetry
from rackstream.console import control as control_routes
from rackstream.control import Commands, Control, Telemetry
from rackstream.published import Connect, Published
from rackstream.view.model import View
from runtime.errors import Failure, Misconfigured
from runtime.settings import KafkaSettings

log = structlog.get_logger()


def app(settings: KafkaSettings, connect: Connect, control: Control, expected: SecretStr, view: View) -> FastAPI:
    """The application; `view` is fed by the caller."""

    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        control.close()

    api = FastAPI(title="Rackstream", redoc_url=None, lifespan=life)
    api.state.view = view
    api.include_router(schemas.routes(settings, Published(connect)))
    allowed, commands = access.needs(expected), Commands(connect)
    api.include_router(telemetry.routes(Telemetry(control, commands), allowed))
    api.include_router(control_routes.routes(commands, allowed))

    @api.get("/healthz", tags=["process"])
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    @api.get("/metrics", tags=["process"])
    def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    @api.exception_handler(Failure)
    def failed(_: Request, error: Exception) -> JSONResponse:
        log.warning("request failed", why=str(error))
        what = "settings are missing or wrong" if isinstance(error, Misconfigured) else "not to be had now"
        return JSONResponse({"detail": f"{what}; the console's log says more"}, status_code=503)

    @api.exception_handler(KafkaException)
    def away(_: Request, error: Exception) -> JSONResponse:
        log.warning("request failed", why=str(error))
        return JSONResponse({"detail": "Kafka does not answer"}, status_code=503)

    return api
