"""File of records that Kafka rejects permanently: JSON lines beside the spool."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from producers.publishing.spool import OutgoingRecord

log = structlog.get_logger()
MAX_BYTES: Final = 64 * 1024 * 1024
"""The file grows no further; rejects beyond are only counted."""


class RejectFile:
    """Rejects of one producer. The file is created with the first one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.count = 0
        """Records rejected in this process."""

    def add(self, record: OutgoingRecord, cause: str) -> None:
        """Stores a record: its identity, the cause, and its bytes in base64."""
        self.count += 1
        identity = record.id._asdict()
        line = json.dumps(
            {"at": datetime.fromtimestamp(record.at, UTC).isoformat(), "cause": cause, "topic": record.topic}
            | identity
            | {name: base64.b64encode(data).decode() for name, data in (("key", record.key), ("value", record.value))}
        )
        log.error("record rejected by Kafka, stored in a file", reason=cause, file=str(self.path), **identity)
        try:
            with self.path.open("a") as file:
                if file.tell() + len(line) < MAX_BYTES:
                    file.write(line + "\n")
        except OSError as error:
            log.error("rejected record not stored", reason=str(error), file=str(self.path))  # noqa: TRY400  no stack needed
