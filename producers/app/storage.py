"""Storages for flushed items: memory, JSON lines, SQLite, and Kafka (`KafkaStorage`)."""

from __future__ import annotations

import fcntl
import logging
import os
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import datetime
from io import FileIO
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

from producers.app import json_codec
from producers.app.filters import select, split
from producers.app.fork_safety import reset_after_fork
from producers.app.kafka import KafkaStorage
from producers.app.model import Item, TelemetryConfig, TelemetryData, TelemetryEvent, utc

if TYPE_CHECKING:
    import sqlite3

__all__ = ["DatabaseStorage", "FileStorage", "KafkaStorage", "MemoryStorage", "Storage", "from_config"]

log = logging.getLogger(__name__)
MAX_ITEMS: Final = 1_000_000


class Storage(Protocol):
    """Interface that a collector needs. A storage may also have `flush()` and `close()`."""

    def store(self, data: TelemetryData) -> None:
        """Stores all items, or none and raises; the same data is then offered again."""
        ...


class MemoryStorage:
    """Keeps the newest `max_items` items of this process; older ones are dropped and counted."""

    def __init__(self, max_items: int = MAX_ITEMS) -> None:
        self._items: deque[Item] = deque(maxlen=max_items)
        self._max = max_items
        self.dropped = 0
        """Items dropped to make room."""
        self.reset()
        reset_after_fork(self)

    def store(self, data: TelemetryData) -> None:
        """Stores the items."""
        items = data.items
        with self._lock:
            excess = len(self._items) + len(items) - self._max
            if excess > 0:
                if not self.dropped:
                    log.warning("memory storage is full (%d items): the oldest are dropped from now on", self._max)
                self.dropped += excess
            self._items.extend(items)

    def retrieve(
        self, start_time: datetime | None = None, end_time: datetime | None = None, limit: int | None = None
    ) -> TelemetryData:
        """Returns the items of [start_time, end_time], in order; of more than `limit` the newest."""
        with self._lock:
            items = list(self._items)
        return select(items, start_time, end_time, limit)

    def clear(self) -> None:
        """Deletes all items."""
        with self._lock:
            self._items.clear()

    def reset(self) -> None:
        """Creates the lock; after a fork both processes keep the stored items."""
        self._lock = threading.Lock()


class FileStorage:
    """Appends to a file of JSON lines, one per item.

    Several threads and processes may use one file. Items survive the end of the process, and a rotated file is
    followed. The file is not synced: a power cut may lose the newest lines.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.skipped_lines = 0
        """Lines that the last `retrieve` could not decode, such as the incomplete last one of a killed process."""

    def store(self, data: TelemetryData) -> None:
        """Appends all items, or none and raises OSError."""
        text = "".join(f"{json_codec.encode(item)}\n" for item in data.items).encode()
        if not text:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._locked("ab+", fcntl.LOCK_EX) as file:
            end = os.fstat(file.fileno()).st_size
            if end and os.pread(file.fileno(), 1, end - 1) != b"\n":
                text = b"\n" + text  # an incomplete line must not swallow our first one
            remaining = memoryview(text)
            try:
                while remaining:
                    remaining = remaining[file.write(remaining) :]
            except OSError:
                file.truncate(end)
                raise

    def retrieve(
        self, start_time: datetime | None = None, end_time: datetime | None = None, limit: int | None = None
    ) -> TelemetryData:
        """Returns the items of [start_time, end_time], in order; of more than `limit` the newest."""
        self.skipped_lines = 0
        if not self.path.exists():
            return select((), start_time, end_time, limit)
        with self._locked("rb", fcntl.LOCK_SH) as file:
            data = select(self._read(file), start_time, end_time, limit)
        if self.skipped_lines:
            log.warning("%s: %d lines are not events or metrics and were skipped", self.path, self.skipped_lines)
        return data

    def clear(self) -> None:
        """Empties the file."""
        if self.path.exists():
            with self._locked("rb+", fcntl.LOCK_EX) as file:
                file.truncate(0)

    def _read(self, file: FileIO) -> Iterator[Item]:
        with open(file.fileno(), "rb", closefd=False) as lines:
            for line in lines:
                try:
                    yield json_codec.decode(line)
                except ValueError:
                    self.skipped_lines += bool(line.strip())

    @contextmanager
    def _locked(self, mode: str, lock: int) -> Iterator[FileIO]:
        with FileIO(self.path, mode.replace("b", "")) as file:
            fcntl.flock(file, lock)
            yield file


TABLES: Final = """
create table if not exists items (
  number integer primary key, kind text not null, timestamp text not null, body text not null
);
create index if not exists items_by_time on items (timestamp);
create view if not exists events as select timestamp, json_extract(body, '$.event_id') as event_id,
  json_extract(body, '$.event_type') as event_type, json_extract(body, '$.source') as source,
  json_extract(body, '$.message') as message, json_extract(body, '$.metadata') as metadata
  from items where kind = 'event';
create view if not exists metrics as select timestamp, json_extract(body, '$.metric_id') as metric_id,
  json_extract(body, '$.name') as name, json_extract(body, '$.value') as value, json_extract(body, '$.unit') as unit,
  json_extract(body, '$.tags') as tags from items where kind = 'metric';
"""


class DatabaseStorage:
    """Stores in a SQLite file with the views `events` and `metrics`.

    For several threads and processes.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    def store(self, data: TelemetryData) -> None:
        """Stores the items in one transaction."""
        rows = [
            (
                "event" if isinstance(item, TelemetryEvent) else "metric",
                json_codec.timestamp_text(item.timestamp),
                json_codec.encode(item),
            )
            for item in data.items
        ]
        with closing(self._connect()) as db, db:
            db.executemany("insert into items (kind, timestamp, body) values (?, ?, ?)", rows)

    def retrieve(
        self, start_time: datetime | None = None, end_time: datetime | None = None, limit: int | None = None
    ) -> TelemetryData:
        """Returns the items of [start_time, end_time], in order; of more than `limit` the newest."""
        if limit is not None and limit < 0:
            raise ValueError(f"limit must be 0 or more, not {limit}")
        with closing(self._connect()) as db:
            rows = db.execute(
                "select number, body from items where timestamp between ? and ? "
                "order by timestamp desc, number desc limit ?",
                (
                    json_codec.timestamp_text(utc(start_time)) if start_time else "",
                    json_codec.timestamp_text(utc(end_time)) if end_time else "~",  # greater than every time
                    -1 if limit is None else limit,
                ),
            ).fetchall()
        return split(json_codec.decode(body) for _, body in sorted(rows))

    def clear(self) -> None:
        """Deletes every item."""
        with closing(self._connect()) as db, db:
            db.execute("delete from items")

    def _connect(self) -> sqlite3.Connection:
        # One connection per call: SQLite's must not be used after a fork, and a batch justifies the cost.
        import sqlite3

        self.path.parent.mkdir(parents=True, exist_ok=True)
        db = sqlite3.connect(self.path, timeout=10)
        db.execute("pragma journal_mode = wal")
        db.executescript(TABLES)  # each time: the file may have been replaced
        return db


def from_config(config: TelemetryConfig) -> MemoryStorage | FileStorage | DatabaseStorage:
    """Creates the storage that a configuration names."""
    if config.storage_backend == "memory" or config.storage_path is None:
        return MemoryStorage()
    return (FileStorage if config.storage_backend == "file" else DatabaseStorage)(config.storage_path)
