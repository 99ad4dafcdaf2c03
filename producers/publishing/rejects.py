"""Records that Kafka refuses whatever is done: kept in a local file of JSON lines, counted, in nobody's way."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from producers.publishing.spool import Row

log = structlog.get_logger()
MAX_BYTES: Final = 64 * 1024 * 1024
"""The file grows no further; beyond, rejects are only counted."""


class Rejects:
    """One producer's file. It is made when the first record is rejected."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        """Records rejected by this process."""

    def add(self, row: Row, cause: str) -> None:
        """Keeps one record: what it is, why it was refused, and its bytes in base64."""
        self.count += 1
        told = {"host": row.host, "category": row.category, "epoch": row.epoch, "sequence": row.sequence}
        line = json.dumps(
            {"at": datetime.fromtimestamp(row.at, UTC).isoformat(), "cause": cause, "topic": row.topic}
            | told
            | {name: base64.b64encode(data).decode() for name, data in (("key", row.key), ("value", row.value))}
        )
        log.error("record refused by Kafka, kept in a file", why=cause, file=str(self.path), **told)
        try:
            with self.path.open("a") as file:
                if file.tell() + len(line) < MAX_BYTES:
                    file.write(line + "\n")
        except OSError as error:
            log.error("rejected record not kept", why=str(error), file=str(self.path))  # noqa: TRY400  says all
