"""The schemas topic by id: for readers that meet an id they do not know, and for those who ask for a schema's id."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from runtime.settings import KafkaSettings
from runtime.topics import published_schemas
from schemas.catalog import Schema, fingerprint_id

Connect = Callable[[], KafkaSettings]
"""Settings with the address of the Kafka that runs; raises Misconfigured where none does."""


class Published:
    """The schemas topic, read again when it is asked for what may be new, at most once a second. Thread-safe."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._lock = threading.Lock()
        self._read_s = float("-inf")
        self._known: dict[int, dict[str, Any]] = {}

    def find(self, schema_id: int) -> dict[str, Any] | None:
        """The definition with this id."""
        with self._lock:
            if schema_id not in self._known:
                self._read()
            return self._known.get(schema_id)

    def id_of(self, schema: Schema) -> int:
        """The id that a registry gave a schema; ours, where none did."""
        with self._lock:
            self._read()
            given = [known for known, each in self._known.items() if known != schema.id and _is(each, schema)]
            return given[-1] if given else schema.id

    def _read(self) -> None:
        """Reads the topic, at most once a second."""
        if time.monotonic() - self._read_s > 1:
            self._known = published_schemas(self._connect())
            self._read_s = time.monotonic()


def _is(definition: dict[str, Any], schema: Schema) -> bool:
    return definition.get("name") == schema.name and fingerprint_id(definition) == schema.id
