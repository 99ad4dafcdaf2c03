"""Manifests of stored files: one per topic partition and one of all replays, with one JSON line per commit.

The line is the commit. A file that a line names but that does not exist has no rows: its user deleted it.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from runtime.errors import Retry
from sinks.sink import AnyRecord

FOLDER: Final = "_manifest"
"""Within the root. The underscore keeps it out of the globs of DuckDB and Spark."""


@dataclass(frozen=True)
class StoredFile:
    """A stored file."""

    dataset: str
    path: str
    """Relative to the root."""
    rows: int
    bytes: int


@dataclass(frozen=True)
class ReplayRange:
    """The records of a replay: observed in [since, until), of all hosts or of some."""

    since: datetime
    until: datetime
    hosts: tuple[str, ...] | None = None
    """None: all."""

    def contains(self, record: AnyRecord) -> bool:
        """True if a record belongs to the replay. A record without a host belongs to none of named hosts."""
        is_in_period: bool = self.since <= record["observed_at"] < self.until
        return is_in_period and (self.hosts is None or record.get("host") in self.hosts)

    def is_within(self, other: ReplayRange) -> bool:
        """True if the other range contains every record of this one."""
        has_hosts = other.hosts is None or (self.hosts is not None and set(self.hosts) <= set(other.hosts))
        return has_hosts and other.since <= self.since and self.until <= other.until


@dataclass(frozen=True)
class ManifestEntry:
    """A commit: `files` hold the rows of the records [first, last] of one partition.

    An entry with last < first marks that the topic ended before `first` when it was read again: the broker had lost
    records that are stored here, and numbers new ones from `first` on.
    """

    topic: str
    topic_id: str
    partition: int
    first: int
    last: int
    format: str
    files: tuple[StoredFile, ...]
    replayed: ReplayRange | None = None
    """Set on commits of a replay: of the records [first, last] only these are stored, in its files or in others."""


def _parse_entries(text: str) -> Iterator[ManifestEntry]:
    # What follows the last newline was cut off by a crash: not committed.
    for line in text.split("\n")[:-1]:
        values = json.loads(line)
        if (replayed := values.get("replayed")) is not None:
            hosts = replayed["hosts"] and tuple(replayed["hosts"])
            since, until = (datetime.fromisoformat(replayed[name]) for name in ("since", "until"))
            values["replayed"] = ReplayRange(since, until, hosts)
        yield ManifestEntry(**{**values, "files": tuple(StoredFile(**file) for file in values["files"])})


def _format_entry(entry: ManifestEntry) -> bytes:
    values = asdict(entry)
    if entry.replayed is None:
        del values["replayed"]
    return json.dumps(values, default=datetime.isoformat, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def read_manifest(root: Path) -> Iterator[ManifestEntry]:
    """Yields every commit under a root; those of one partition in their order."""
    for path in sorted((root / FOLDER).glob("*.jsonl")):
        yield from _parse_entries(path.read_text())


def iter_committed_files(root: Path) -> Iterator[tuple[str, Path]]:
    """Yields (dataset, path) of every committed file, including files that their user has deleted since."""
    for entry in read_manifest(root):
        for file in entry.files:
            yield file.dataset, root / file.path


def stored_files(root: Path, dataset: str) -> list[Path]:
    """Returns the committed files of one dataset that exist."""
    return [path for name, path in iter_committed_files(root) if name == dataset and path.exists()]


class ManifestFile:
    """A file of entries, locked so that no other process writes the files that it lists.

    Raises:
        Retry: Another process has the lock, or the disk is full, read-only or gone.
    """

    def __init__(self, root: Path, prefix: str) -> None:
        self._root = root
        self.prefix: Final = prefix
        """Prefix of the names of the files that it lists."""
        self.path: Final = root / FOLDER / f"{prefix}.jsonl"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered: what a failed write leaves in a buffer would be written later, unnoticed.
            self._file = self.path.open("a+b", buffering=0)
        except OSError as error:
            raise Retry(f"cannot write {self.path}: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise Retry(f"another process writes the files of {self.prefix}; stop it") from error
        self.changed_at: Final = os.fstat(self._file.fileno()).st_mtime
        """Unix time in seconds: uncommitted files are newer."""
        self._size = 0

    def _read_entries(self) -> Iterator[ManifestEntry]:
        content = self.path.read_bytes()
        self._size = content.rfind(b"\n") + 1
        return _parse_entries(content[: self._size].decode())

    def committed(self, paths: set[str]) -> set[str]:
        """Returns those of some paths, relative to the root, that an entry lists."""
        return {file.path for entry in self._read_entries() for file in entry.files} & paths if paths else set()

    def verify_root(self) -> None:
        """Verifies that the root is still the one in which this file was opened.

        Raises:
            Retry: It was removed, or something else is mounted over it.
        """
        try:
            is_same = os.path.samestat(self.path.stat(), os.fstat(self._file.fileno()))
        except OSError:
            is_same = False
        if not is_same:
            raise Retry(f"{self._root} has vanished: bring it back, or restart the sink to begin again there")

    def append(self, entry: ManifestEntry) -> None:
        """Appends one entry and returns when it is on disk.

        Raises:
            OSError: It could not be written.
        """
        line = _format_entry(entry)
        # A partial line left by a crash must not precede this one.
        self._file.truncate(self._size)
        try:
            written = 0
            while written < len(line):
                written += self._file.write(line[written:])
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(self._size)
            raise
        self._size += len(line)

    def close(self) -> None:
        """Releases the lock."""
        self._file.close()


class PartitionManifest(ManifestFile):
    """The manifest of one partition."""

    def __init__(self, root: Path, topic: str, topic_id: str, partition: int) -> None:
        super().__init__(root, f"{topic}-{topic_id}-{partition}")
        self._partition = (topic, topic_id, partition)
        self.empty = True
        """True if nothing was ever committed."""
        self.last = -1
        """Last offset that is stored."""
        self._restarts = 0
        for entry in self._read_entries():
            self._apply(entry)

    def _apply(self, entry: ManifestEntry) -> None:
        self.empty = False
        self.last = entry.last
        self._restarts += entry.last < entry.first

    def file_name(self, first: int, last: int, file_format: str) -> str:
        """Returns the name of a file with the records [first, last]; a different one if their offsets are reused."""
        restarts = f"-r{self._restarts}" if self._restarts else ""
        return f"{self.prefix}-{first}-{last}{restarts}.{file_format}"

    def commit(self, first: int, last: int, file_format: str, files: tuple[StoredFile, ...]) -> None:
        """Appends one entry and returns when it is on disk.

        Raises:
            OSError: It could not be written.
        """
        entry = ManifestEntry(*self._partition, first, last, file_format, files)
        self.append(entry)
        self._apply(entry)

    def restart(self, end: int, file_format: str) -> None:
        """Records that the topic ends at `end`, before `last`: from there on, its records are new ones.

        Raises:
            OSError: The entry could not be written.
        """
        self.commit(end, end - 1, file_format, ())
