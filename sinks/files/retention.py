"""Retention of stored files by age and by size: the oldest hours go first. Knows manifests, and nothing of formats.

    <root>/_manifest/kept.json    {"since": "2026-01-02T03:00:00+00:00"}

The note is written before the first file goes: what lies before it was deleted on purpose, and is no loss. Only files
that a manifest lists are deleted, so never what is being written. An hour goes whole, of all datasets, and only when it
has ended; a line in a manifest that names a file of it goes on saying which records were stored.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Final

import structlog

from sinks.files.manifest import FOLDER, read_manifest

log = structlog.get_logger()
EVERY_S: Final = 600.0
"""How often it is looked at."""
HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True)
class Keep:
    """What is kept; None: no limit."""

    days: float | None = None
    """Age, by the hour that rows are of."""
    bytes: int | None = None
    """Of all stored files together."""


FOREVER: Final = Keep()


def kept_since(root: Path) -> datetime | None:
    """Rows of before were deleted by retention; None: nothing was."""
    try:
        return datetime.fromisoformat(json.loads((root / FOLDER / "kept.json").read_text())["since"])
    except FileNotFoundError:
        return None


def hour_of(path: str) -> datetime:
    """The hour that a file is of, by its path relative to the root."""
    _, date, hour, _ = Path(path).parts
    return datetime.fromisoformat(f"{date.partition('=')[2]}T{hour.partition('=')[2]}:00:00+00:00")


def horizon(sizes: dict[datetime, int], keep: Keep, now: datetime) -> datetime | None:
    """Before which hour all go; None: none do. Pure.

    Args:
        sizes: bytes stored, by hour.
        keep: what is kept.
        now: the hour of it, and later ones, stay whatever their size.
    """
    found = None
    if keep.days is not None:
        limit = now - timedelta(days=keep.days)
        found = max((hour + HOUR for hour in sizes if hour + HOUR <= limit), default=None)
    if keep.bytes is not None:
        left = sum(size for hour, size in sizes.items() if found is None or hour >= found)
        for hour in sorted(hour for hour in sizes if hour + HOUR <= now and (found is None or hour >= found)):
            if left <= keep.bytes:
                break
            left -= sizes[hour]
            found = hour + HOUR
    return found


class Retention:
    """Retention of one root. Several processes may look after one: one at a time does."""

    def __init__(self, root: Path, keep: Keep, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._root, self._keep, self._now = root, keep, now
        self._due_s = 0.0

    def look(self) -> None:
        """Deletes what is not kept any more, if it is time to look. What the disk refuses is tried the next time."""
        if self._keep == FOREVER or time.monotonic() < self._due_s:
            return
        self._due_s = time.monotonic() + EVERY_S
        try:
            self.sweep()
        except OSError as error:
            log.warning("retention held up", root=str(self._root), why=error.strerror)

    def sweep(self) -> int:
        """Deletes what is not kept any more; returns how many files.

        Raises:
            OSError: the disk says no.
        """
        with (self._root / FOLDER / "kept.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return 0
            return self._sweep()

    def _sweep(self) -> int:
        files = dict(self._committed())
        sizes: dict[datetime, int] = {}
        for path, size in files.items():
            sizes[hour_of(path)] = sizes.get(hour_of(path), 0) + size
        since = horizon(sizes, self._keep, self._now())
        before = kept_since(self._root)
        # What came late for an hour that is gone goes too.
        since = max((each for each in (since, before) if each is not None), default=None)
        if since is None:
            return 0
        if since != before:
            self._note(since)
        gone = [path for path in files if hour_of(path) < since]
        for path in gone:
            (self._root / path).unlink(missing_ok=True)
        for folder in sorted({(self._root / path).parent for path in gone}):
            _prune(folder)
        if gone:
            log.info(
                "old files deleted",
                root=str(self._root),
                files=len(gone),
                kept_since=since.isoformat(),
                bytes=sum(files[path] for path in gone),
            )
        return len(gone)

    def _committed(self) -> Iterator[tuple[str, int]]:
        for entry in read_manifest(self._root):
            for file in entry.files:
                if (self._root / file.path).exists():
                    yield file.path, file.bytes

    def _note(self, since: datetime) -> None:
        path = self._root / FOLDER / "kept.json"
        aside = path.with_suffix(".tmp")
        with aside.open("w") as file:
            file.write(json.dumps({"since": since.isoformat()}))
            _durable(file)
        aside.rename(path)
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _durable(file: IO[str]) -> None:
    file.flush()
    os.fsync(file.fileno())


def _prune(folder: Path) -> None:
    """Removes an hour's folder, and its day's, where nothing is left in them."""
    for each in (folder, folder.parent):
        try:
            each.rmdir()
        except OSError:
            return  # somebody writes a late row there
