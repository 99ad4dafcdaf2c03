"""What Confluent's deserialisers ask a schema registry for, answered from the schemas topic; read only."""

from __future__ import annotations

import json
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from rackstream.topics.schema_lookup import Published
from runtime.settings import KafkaSettings
from schemas import catalog


def routes(settings: KafkaSettings, schemas: Published) -> APIRouter:
    """What Confluent's deserialisers ask for."""
    found = APIRouter(tags=["schemas"])
    avro = [topic for topic in settings.catalog.topics.values() if topic.schema != "json"]
    subjects = {f"{topic.name}-value": topic.schema for topic in avro}

    def missing(code: int, message: str) -> JSONResponse:
        return JSONResponse({"error_code": code, "message": message}, status_code=404)

    @found.get("/schemas/ids/{schema_id}")
    def by_id(schema_id: int) -> Any:
        known = schemas.find(schema_id)
        return {"schema": json.dumps(known)} if known else missing(40403, "Schema not found")

    @found.get("/subjects")
    def all_subjects() -> list[str]:
        return sorted(subjects)

    @found.get("/subjects/{subject}/versions")
    def versions(subject: str) -> Any:
        return [1] if subject in subjects else missing(40401, "Subject not found")

    @found.get("/subjects/{subject}/versions/{version}")
    def version(subject: str, version: str) -> Any:
        if subject not in subjects:
            return missing(40401, "Subject not found")
        if version not in ("latest", "1"):
            return missing(40402, "Version not found")
        schema = catalog.schema(subjects[subject])
        # Records are written with the registry's ids where one is configured.
        id_ = schema.id if settings.schema_registry is None else schemas.id_of(schema)
        return {"subject": subject, "version": 1, "id": id_, "schema": json.dumps(schema.definition)}

    return found
