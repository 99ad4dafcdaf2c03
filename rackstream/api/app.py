"""The application: all routes together, and what they answer when something fails."""

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
from rackstream.api.middleware import Guard
from rackstream.control import Commands, Control, Telemetry
from rackstream.topics.schema_lookup import Connect, Published
from rackstream.view.model import View
from runtime.errors import Failure, Misconfigured
from runtime.settings import KafkaSettings

log = structlog.get_logger()


def app(  # noqa: PLR0913  all that a console is made of
    settings: KafkaSettings,
    connect: Connect,
    control: Control,
    expected: SecretStr,
    view: View,
    *,
    names: Sequence[str] = (),
    stopping: Callable[[], bool] = lambda: False,
) -> FastAPI:
    """The application.

    Args:
        settings: what topics are called.
        connect: where Kafka is.
        control: seed 004's start and stop.
        expected: token of what changes something.
        view: what is shown; the caller feeds it.
        names: host names that it answers to, besides addresses and names without a dot.
        stopping: whether streams are to end.
    """

    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        control.close()

    # FastAPI's own page of the routes loads its parts from another origin.
    api = FastAPI(title="Rackstream", docs_url=None, redoc_url=None, lifespan=life)
    allowed = auth.needs(expected)
    broadcast = events.Broadcast(view, stopping)
    api.include_router(queries.routes(view))
    api.include_router(silences.routes(view, connect, allowed))
    api.include_router(events.routes(broadcast))
    api.include_router(health.routes(view))
    api.include_router(schemas.routes(settings, Published(connect)))
    commands = Commands(connect)
    api.include_router(telemetry.routes(Telemetry(control, commands), allowed))
    api.include_router(control_routes.routes(commands, allowed))
    api.include_router(metrics.routes(settings.data_dir))
    docs.add(api)
    api.add_middleware(Guard, names=names)

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
