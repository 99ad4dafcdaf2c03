"""Read-only schema registry, as Confluent's deserializers expect it, answered from the schemas topic."""

from __future__ import annotations

import json

from fastapi import APIRouter
from fastapi.responses import JSONResponse

from rackstream.topics.schema_lookup import SchemaLookup
from runtime.settings import KafkaSettings
from schemas import catalog

JsonObject = dict[str, object]


def routes(settings: KafkaSettings, schemas: SchemaLookup) -> APIRouter:
    """Creates the routes."""
    router = APIRouter(tags=["schemas"])
    avro_topics = [topic for topic in settings.catalog.topics.values() if topic.schema != "json"]
    subjects = {f"{topic.name}-value": topic.schema for topic in avro_topics}

    def not_found(code: int, message: str) -> JSONResponse:
        return JSONResponse({"error_code": code, "message": message}, status_code=404)

    @router.get("/schemas/ids/{schema_id}", response_model=None)
    def by_id(schema_id: int) -> JsonObject | JSONResponse:
        definition = schemas.find(schema_id)
        return {"schema": json.dumps(definition)} if definition else not_found(40403, "Schema not found")

    @router.get("/subjects")
    def all_subjects() -> list[str]:
        return sorted(subjects)

    @router.get("/subjects/{subject}/versions", response_model=None)
    def versions(subject: str) -> list[int] | JSONResponse:
        return [1] if subject in subjects else not_found(40401, "Subject not found")

    @router.get("/subjects/{subject}/versions/{version}", response_model=None)
    def version(subject: str, version: str) -> JsonObject | JSONResponse:
        if subject not in subjects:
            return not_found(40401, "Subject not found")
        if version not in ("latest", "1"):
            return not_found(40402, "Version not found")
        schema = catalog.schema(subjects[subject])
        # With an external registry, records are written with the ids that it assigned.
        schema_id = schema.id if settings.schema_registry is None else schemas.id_of(schema)
        return {"subject": subject, "version": 1, "id": schema_id, "schema": json.dumps(schema.definition)}

    return router
