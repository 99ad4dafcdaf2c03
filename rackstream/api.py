"""The HTTP face: the schemas, read-only, in the shape of Confluent's registry. Loopback unless told otherwise."""

from __future__ import annotations

import json
import threading
import time
from typing import Annotated, Any

import uvicorn
from fastapi import FastAPI
from fastapi.responses import JSONResponse
from pydantic import Field

from runtime import observe
from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings, Settings
from runtime.topics import published_schemas
from schemas import catalog


class ConsoleSettings(Settings):
    """`rackstream serve`."""

    host: Annotated[str, Field(validation_alias="RACKSTREAM_CONSOLE_HOST", min_length=1)] = "127.0.0.1"
    """Address to listen on. Nobody is asked who they are: another one only where others cannot reach it, as in a
    container whose port is published on loopback."""
    port: Annotated[int, Field(validation_alias="RACKSTREAM_CONSOLE_PORT")] = 8000
    """Port to listen on."""


class Schemas:
    """The schemas topic, read again when an unknown id is asked for, at most once a second."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._lock = threading.Lock()
        self._read_s = float("-inf")
        self._known: dict[int, dict[str, Any]] = {}

    def find(self, schema_id: int) -> dict[str, Any] | None:
        """The definition with this id."""
        with self._lock:
            if schema_id not in self._known and time.monotonic() - self._read_s > 1:
                self._known = published_schemas(self._settings)
                self._read_s = time.monotonic()
            return self._known.get(schema_id)


def app(settings: KafkaSettings) -> FastAPI:
    """The application. What changes anything will need a token; so far nothing does."""
    schemas = Schemas(settings)
    avro = [topic for topic in settings.catalog.topics.values() if topic.schema != "json"]
    subjects = {f"{topic.name}-value": topic.schema for topic in avro}
    api = FastAPI(title="Rackstream", docs_url="/docs", redoc_url=None)

    def missing(code: int, message: str) -> JSONResponse:
        return JSONResponse({"error_code": code, "message": message}, status_code=404)

    @api.get("/schemas/ids/{schema_id}")
    def by_id(schema_id: int) -> Any:
        found = schemas.find(schema_id)
        return {"schema": json.dumps(found)} if found else missing(40403, "Schema not found")

    @api.get("/subjects")
    def all_subjects() -> list[str]:
        return sorted(subjects)

    @api.get("/subjects/{subject}/versions")
    def versions(subject: str) -> Any:
        return [1] if subject in subjects else missing(40401, "Subject not found")

    @api.get("/subjects/{subject}/versions/{version}")
    def version(subject: str, version: str) -> Any:
        if subject not in subjects:
            return missing(40401, "Subject not found")
        if version not in ("latest", "1"):
            return missing(40402, "Version not found")
        schema = catalog.schema(subjects[subject])
        return {"subject": subject, "version": 1, "id": schema.id, "schema": json.dumps(schema.definition)}

    @api.get("/healthz")
    def healthz() -> dict[str, str]:
        return {"status": "ok"}

    return api


def serve(settings: KafkaSettings, port: int | None) -> None:
    """Serves until a signal.

    Raises:
        Misconfigured: the port is taken, or the address is none of this machine's.
    """
    console = ConsoleSettings.read(**({} if port is None else {"port": port}))
    host, chosen = console.host, console.port
    config = uvicorn.Config(app(settings), host=host, port=chosen, log_level="warning", access_log=False)
    try:
        listener = config.bind_socket()
    except SystemExit:
        raise Misconfigured(
            f"cannot listen on {host}, port {chosen}: it is taken; set RACKSTREAM_CONSOLE_PORT to another"
            " (or the address is none of this machine's: see RACKSTREAM_CONSOLE_HOST)"
        ) from None
    observe.notify("READY=1")
    uvicorn.Server(config).run(sockets=[listener])
