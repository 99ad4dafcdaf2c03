"""Cached lookup of schemas by id, and of ids by schema, on the schemas topic."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from runtime.settings import KafkaSettings
from runtime.topics import published_schemas
from schemas.catalog import AvroType, Schema, fingerprint_id

SchemaDefinition = dict[str, AvroType]
"""An Avro schema."""
Connect = Callable[[], KafkaSettings]
"""Returns settings with the address of the running Kafka; raises Misconfigured if none runs."""


class SchemaLookup:
    """Cached schemas topic, read again at most once a second for an unknown id. Thread-safe."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._read_s = float("-inf")
        self._schemas: dict[int, SchemaDefinition] = {}

    def find(self, schema_id: int) -> SchemaDefinition | None:
        """Returns the definition with this id, or None."""
        with self._lock:
            if schema_id not in self._schemas:
                self._read()
            return self._schemas.get(schema_id)

    def id_of(self, schema: Schema) -> int:
        """Returns the id that a registry assigned to a schema, else the fingerprint id."""
        with self._lock:
            self._read()
            registry_ids = [
                schema_id
                for schema_id, definition in self._schemas.items()
                if schema_id != schema.id and _matches(definition, schema)
            ]
            return registry_ids[-1] if registry_ids else schema.id

    def _read(self) -> None:
        """Reads the topic, at most once a second."""
        if time.monotonic() - self._read_s > 1:
            self._schemas = published_schemas(self._connect())
            self._read_s = time.monotonic()


def _matches(definition: SchemaDefinition, schema: Schema) -> bool:
    return definition.get("name") == schema.name and fingerprint_id(definition) == schema.id
