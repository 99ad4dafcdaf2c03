"""Retention of stored files by age and by size: the oldest hours are deleted first. Works on manifests, for any format.

    <root>/_manifest/kept.json    {"since": "2026-01-02T03:00:00+00:00"}

`kept.json` is written before the first file is deleted: rows before `since` were deleted on purpose, and are not lost.
Only files that a manifest lists are deleted, so never one that is being written. An hour is deleted as a whole, of all
datasets, and only after it has ended; the manifest keeps its lines, which still record the stored offsets.
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
from typing import Final

import structlog

from sinks.files.manifest import FOLDER, read_manifest

log = structlog.get_logger()
CHECK_EVERY_S: Final = 600.0
HOUR: Final = timedelta(hours=1)


@dataclass(frozen=True)
class RetentionLimits:
    """Limits of what is kept; None means no limit."""

    days: float | None = None
    """Age of an hour."""
    bytes: int | None = None
    """Size of all stored files together."""


KEEP_ALL: Final = RetentionLimits()


def kept_since(root: Path) -> datetime | None:
    """Returns the time before which retention has deleted rows; None if it has deleted nothing."""
    try:
        return datetime.fromisoformat(json.loads((root / FOLDER / "kept.json").read_text())["since"])
    except FileNotFoundError:
        return None


def hour_of(path: str) -> datetime:
    """Returns the hour of a file from its path relative to the root."""
    _, date, hour, _ = Path(path).parts
    return datetime.fromisoformat(f"{date.partition('=')[2]}T{hour.partition('=')[2]}:00:00+00:00")


def deletion_horizon(sizes: dict[datetime, int], limits: RetentionLimits, now: datetime) -> datetime | None:
    """Returns the hour before which all hours are to be deleted; None if nothing is. Pure.

    Args:
        sizes: Bytes stored, by hour.
        limits: Limits of what is kept.
        now: The current hour and later ones are kept whatever their size.
    """
    horizon = None
    if limits.days is not None:
        oldest = now - timedelta(days=limits.days)
        horizon = max((hour + HOUR for hour in sizes if hour + HOUR <= oldest), default=None)
    if limits.bytes is not None:
        kept = {hour: size for hour, size in sizes.items() if horizon is None or hour >= horizon}
        kept_bytes = sum(kept.values())
        for hour in sorted(hour for hour in kept if hour + HOUR <= now):
            if kept_bytes <= limits.bytes:
                break
            kept_bytes -= sizes[hour]
            horizon = hour + HOUR
    return horizon


class Retention:
    """Retention of one root. Several processes may run it for the same root: a lock lets one at a time delete."""

    def __init__(
        self, root: Path, limits: RetentionLimits, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._root, self._limits, self._now = root, limits, now
        self._due_s = 0.0

    def run_periodic(self) -> None:
        """Deletes expired files if `CHECK_EVERY_S` has passed; what fails is tried again the next time."""
        if self._limits == KEEP_ALL or time.monotonic() < self._due_s:
            return
        self._due_s = time.monotonic() + CHECK_EVERY_S
        try:
            self.delete_expired()
        except OSError as error:
            log.warning("retention failed", root=str(self._root), reason=error.strerror)

    def delete_expired(self) -> int:
        """Deletes expired files and returns their number.

        Raises:
            OSError: The disk is read-only or gone.
        """
        with (self._root / FOLDER / "kept.lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                return 0
            return self._delete_expired()

    def _delete_expired(self) -> int:
        files = dict(self._committed_files())
        sizes: dict[datetime, int] = {}
        for path, size in files.items():
            sizes[hour_of(path)] = sizes.get(hour_of(path), 0) + size
        horizon = deletion_horizon(sizes, self._limits, self._now())
        previous = kept_since(self._root)
        # Late rows of an hour that was deleted are deleted too.
        since = max((time for time in (horizon, previous) if time is not None), default=None)
        if since is None:
            return 0
        if since != previous:
            self._save(since)
        expired = [path for path in files if hour_of(path) < since]
        for path in expired:
            (self._root / path).unlink(missing_ok=True)
        for folder in sorted({(self._root / path).parent for path in expired}):
            _remove_empty(folder)
        if expired:
            log.info(
                "expired files deleted",
                root=str(self._root),
                files=len(expired),
                kept_since=since.isoformat(),
                bytes=sum(files[path] for path in expired),
            )
        return len(expired)

    def _committed_files(self) -> Iterator[tuple[str, int]]:
        for entry in read_manifest(self._root):
            for file in entry.files:
                if (self._root / file.path).exists():
                    yield file.path, file.bytes

    def _save(self, since: datetime) -> None:
        path = self._root / FOLDER / "kept.json"
        temporary = path.with_suffix(".tmp")
        with temporary.open("w") as file:
            file.write(json.dumps({"since": since.isoformat()}))
            file.flush()
            os.fsync(file.fileno())
        temporary.rename(path)
        descriptor = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _remove_empty(folder: Path) -> None:
    """Removes the folder of an hour, and that of its day, if they are empty."""
    for empty in (folder, folder.parent):
        try:
            empty.rmdir()
        except OSError:
            return  # another process writes a late row there
