"""The HTTP face, on loopback unless told otherwise: seed 004's control of one hypervisor, the schemas.

What changes anything needs a bearer token. Errors tell the caller what to do, and nothing of our insides.
"""

from __future__ import annotations

import contextlib
import json
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Annotated, Any, Final

import structlog
import uvicorn
from confluent_kafka import KafkaException
from fastapi import APIRouter, Depends, FastAPI, HTTPException, Request, Response
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import Field, SecretStr

from rackstream.control import Control
from runtime import observe
from runtime.errors import Failure, Misconfigured
from runtime.settings import KafkaSettings, Settings
from runtime.topics import published_schemas
from schemas import catalog

log = structlog.get_logger()
BEARER: Final = HTTPBearer(auto_error=False)


Connect = Callable[[], KafkaSettings]
"""Settings with the address of the Kafka that runs; raises Misconfigured where none does."""


class ConsoleSettings(Settings):
    """`rackstream serve`."""

    host: Annotated[str, Field(validation_alias="RACKSTREAM_CONSOLE_HOST", min_length=1)] = "127.0.0.1"
    """Address to listen on. Reading asks for no token: another one only where others cannot reach it, as in a
    container whose port is published on loopback."""
    port: Annotated[int, Field(validation_alias="RACKSTREAM_CONSOLE_PORT")] = 8000
    """Port to listen on."""
    token: Annotated[SecretStr | None, Field(validation_alias="RACKSTREAM_API_TOKEN")] = None
    """Bearer token of calls that change something; unset: one is made and kept in the data directory."""


def token(settings: ConsoleSettings, data_dir: Path) -> SecretStr:
    """The token that is set, or the one kept in `<data_dir>/api-token`, made at the first start with mode 0600."""
    if settings.token is not None:
        return settings.token
    path = data_dir / "api-token"
    if not path.exists():
        data_dir.mkdir(parents=True, exist_ok=True)
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(32) + "\n")
        log.info("API token made", path=str(path))
    return SecretStr(path.read_text().strip())


class Schemas:
    """The schemas topic, read again when an unknown id is asked for, at most once a second."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._read_s = float("-inf")
        self._known: dict[int, dict[str, Any]] = {}

    def find(self, schema_id: int) -> dict[str, Any] | None:
        """The definition with this id."""
        with self._lock:
            if schema_id not in self._known and time.monotonic() - self._read_s > 1:
                self._known = published_schemas(self._connect())
                self._read_s = time.monotonic()
            return self._known.get(schema_id)


def schema_routes(settings: KafkaSettings, connect: Connect) -> APIRouter:
    """What Confluent's deserialisers ask for."""
    routes = APIRouter(tags=["schemas"])
    schemas = Schemas(connect)
    avro = [topic for topic in settings.catalog.topics.values() if topic.schema != "json"]
    subjects = {f"{topic.name}-value": topic.schema for topic in avro}

    def missing(code: int, message: str) -> JSONResponse:
        return JSONResponse({"error_code": code, "message": message}, status_code=404)

    @routes.get("/schemas/ids/{schema_id}")
    def by_id(schema_id: int) -> Any:
        found = schemas.find(schema_id)
        return {"schema": json.dumps(found)} if found else missing(40403, "Schema not found")

    @routes.get("/subjects")
    def all_subjects() -> list[str]:
        return sorted(subjects)

    @routes.get("/subjects/{subject}/versions")
    def versions(subject: str) -> Any:
        return [1] if subject in subjects else missing(40401, "Subject not found")

    @routes.get("/subjects/{subject}/versions/{version}")
    def version(subject: str, version: str) -> Any:
        if subject not in subjects:
            return missing(40401, "Subject not found")
        if version not in ("latest", "1"):
            return missing(40402, "Version not found")
        schema = catalog.schema(subjects[subject])
        return {"subject": subject, "version": 1, "id": schema.id, "schema": json.dumps(schema.definition)}

    return routes


def telemetry_routes(control: Control, expected: SecretStr) -> APIRouter:
    """Seed 004's five calls."""
    routes = APIRouter(prefix="/api/telemetry", tags=["telemetry"])

    def authorised(given: Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]) -> None:
        if given is None or not secrets.compare_digest(given.credentials, expected.get_secret_value()):
            raise HTTPException(401, "a bearer token is needed: RACKSTREAM_API_TOKEN", {"WWW-Authenticate": "Bearer"})

    @routes.post("/start", dependencies=[Depends(authorised)])
    def start() -> dict[str, str]:
        return control.start()

    @routes.post("/stop", dependencies=[Depends(authorised)])
    def stop() -> dict[str, str]:
        return control.stop()

    @routes.get("/status")
    def status() -> dict[str, Any]:
        return control.status()

    @routes.get("/vms")
    def vms() -> dict[str, Any]:
        return control.vms()

    @routes.get("/config")
    def config() -> dict[str, Any]:
        return control.config()

    return routes


def app(settings: KafkaSettings, connect: Connect, control: Control, expected: SecretStr) -> FastAPI:
    """The application."""

    @contextlib.asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        control.close()

    api = FastAPI(title="Rackstream", redoc_url=None, lifespan=life)
    api.include_router(schema_routes(settings, connect))
    api.include_router(telemetry_routes(control, expected))

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


def serve(settings: KafkaSettings, connect: Connect, port: int | None) -> None:
    """Serves until a signal. Kafka need not be there yet: `connect` is asked when it is needed.

    Raises:
        Misconfigured: the port is taken, or the address is none of this machine's.
    """
    console = ConsoleSettings.read(**({} if port is None else {"port": port}))
    host, chosen = console.host, console.port
    served = app(settings, connect, Control(), token(console, settings.data_dir))
    config = uvicorn.Config(served, host=host, port=chosen, log_level="warning", access_log=False)
    try:
        listener = config.bind_socket()
    except SystemExit:
        raise Misconfigured(
            f"cannot listen on {host}, port {chosen}: it is taken; set RACKSTREAM_CONSOLE_PORT to another"
            " (or the address is none of this machine's: see RACKSTREAM_CONSOLE_HOST)"
        ) from None
    observe.notify("READY=1")
    uvicorn.Server(config).run(sockets=[listener])
