"""Manifests of stored files: one per topic partition and one of all replays, one JSON line per commit.

The line is the commit. A file that a line names and that is gone holds no rows: its user deleted it.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from runtime.errors import Retry

FOLDER: Final = "_manifest"
"""Within the root. The underscore keeps it out of the globs of DuckDB and Spark."""


@dataclass(frozen=True)
class File:
    """One stored file."""

    dataset: str
    path: str
    """Relative to the root."""
    rows: int
    bytes: int


@dataclass(frozen=True)
class Range:
    """What a replay is about: records observed in [since, until), of every host or of these."""

    since: datetime
    until: datetime
    hosts: tuple[str, ...] | None = None

    def holds(self, record: dict[str, Any]) -> bool:
        """Whether a record is one of them. One that has no host is of no named host."""
        return self.since <= record["observed_at"] < self.until and (
            self.hosts is None or record.get("host") in self.hosts
        )

    def within(self, other: Range) -> bool:
        """Whether the other has all that this one has."""
        hosts = other.hosts is None or (self.hosts is not None and set(self.hosts) <= set(other.hosts))
        return hosts and other.since <= self.since and self.until <= other.until


@dataclass(frozen=True)
class Entry:
    """One commit: the rows of the records [first, last] of one partition are in `files`.

    An entry with last < first says that the topic ended before `first` when it was read again: the broker had lost
    records that are stored here, and numbers new ones from `first` on.
    """

    topic: str
    topic_id: str
    partition: int
    first: int
    last: int
    format: str
    files: tuple[File, ...]
    replayed: Range | None = None
    """A replay's commit: only these of the records [first, last] are stored, in its files or in others."""


def _entries(text: str) -> Iterator[Entry]:
    # What follows the last newline was cut off by a crash: not committed.
    for line in text.split("\n")[:-1]:
        values = json.loads(line)
        if (within := values.get("replayed")) is not None:
            hosts = within["hosts"] and tuple(within["hosts"])
            since, until = (datetime.fromisoformat(within[name]) for name in ("since", "until"))
            values["replayed"] = Range(since, until, hosts)
        yield Entry(**{**values, "files": tuple(File(**file) for file in values["files"])})


def _line(entry: Entry) -> bytes:
    values = asdict(entry)
    if entry.replayed is None:
        del values["replayed"]
    return json.dumps(values, default=datetime.isoformat, separators=(",", ":"), ensure_ascii=False).encode() + b"\n"


def read_manifest(root: Path) -> Iterator[Entry]:
    """Every commit under a root, each partition's in its order."""
    for path in sorted((root / FOLDER).glob("*.jsonl")):
        yield from _entries(path.read_text())


def committed(root: Path) -> Iterator[tuple[str, Path]]:
    """(Dataset, path) of every committed file, also of one that its user deleted since."""
    for entry in read_manifest(root):
        for file in entry.files:
            yield file.dataset, root / file.path


def stored(root: Path, dataset: str) -> list[Path]:
    """The committed files of one dataset that are there."""
    return [path for name, path in committed(root) if name == dataset and path.exists()]


class Journal:
    """One file of entries, locked: no other process writes the files it is about meanwhile.

    Raises:
        Retry: another process has it, or the disk says no.
    """

    def __init__(self, root: Path, prefix: str) -> None:
        self._root = root
        self.prefix: Final = prefix
        """How the names of these files begin."""
        self.path: Final = root / FOLDER / f"{prefix}.jsonl"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # Unbuffered: what could not be written must not be written later, behind our back.
            self._file = self.path.open("a+b", buffering=0)
        except OSError as error:
            raise Retry(f"cannot write {self.path}: {error.strerror}") from error
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._file.close()
            raise Retry(f"another process writes the files of {self.prefix}; end it") from error
        self.changed_at: Final = os.fstat(self._file.fileno()).st_mtime
        """Seconds since 1970: files that are not committed are younger."""
        self._size = 0

    def _entries(self) -> Iterator[Entry]:
        content = self.path.read_bytes()
        self._size = content.rfind(b"\n") + 1
        return _entries(content[: self._size].decode())

    def committed(self, paths: set[str]) -> set[str]:
        """Those of some paths, relative to the root, that an entry lists."""
        return {file.path for entry in self._entries() for file in entry.files} & paths if paths else set()

    def check(self) -> None:
        """Makes sure that the root is still the one this was opened in.

        Raises:
            Retry: it was removed, or something else is mounted over it.
        """
        try:
            there = os.path.samestat(self.path.stat(), os.fstat(self._file.fileno()))
        except OSError:
            there = False
        if not there:
            raise Retry(f"{self._root} has vanished: bring it back, or start the sink anew to begin again there")

    def append(self, entry: Entry) -> None:
        """Appends one entry, and returns when it is on disk.

        Raises:
            OSError: it is not.
        """
        line = _line(entry)
        # Half a line of a crash must not stay in front of this one.
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
        """Lets the next one in."""
        self._file.close()


class Manifest(Journal):
    """One partition's manifest."""

    def __init__(self, root: Path, topic: str, topic_id: str, partition: int) -> None:
        super().__init__(root, f"{topic}-{topic_id}-{partition}")
        self._key = (topic, topic_id, partition)
        self.empty = True
        """Nothing was ever committed."""
        self.last = -1
        """Last offset that is stored."""
        self._restarts = 0
        for entry in self._entries():
            self._note(entry)

    def _note(self, entry: Entry) -> None:
        self.empty = False
        self.last = entry.last
        self._restarts += entry.last < entry.first

    def file_name(self, first: int, last: int, kind: str) -> str:
        """The name of a file with the records [first, last]; another one where their numbers were used before."""
        again = f"-r{self._restarts}" if self._restarts else ""
        return f"{self.prefix}-{first}-{last}{again}.{kind}"

    def commit(self, first: int, last: int, kind: str, files: tuple[File, ...]) -> None:
        """Appends one entry, and returns when it is on disk.

        Raises:
            OSError: it is not.
        """
        entry = Entry(*self._key, first, last, kind, files)
        self.append(entry)
        self._note(entry)

    def restart(self, end: int, kind: str) -> None:
        """Notes that the topic ends at `end`, before `last`: records from there on are new ones.

        Raises:
            OSError: the note is not on disk.
        """
        self.commit(end, end - 1, kind, ())
