"""The schemas topic by id: for readers that meet an id they do not know."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from runtime.settings import KafkaSettings
from runtime.topics import published_schemas

Connect = Callable[[], KafkaSettings]
"""Settings with the address of the Kafka that runs; raises Misconfigured where none does."""


class Published:
    """The schemas topic, read again when an unknown id is asked for, at most once a second. Thread-safe."""

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
