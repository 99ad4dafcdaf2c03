"""Stored history: which records it covers, and its rows as the datasets define them. Reads committed files only."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from runtime.settings import KafkaSettings
from sinks.coverage import Coverage
from sinks.hours import folder
from sinks.manifest import committed, read_manifest, stored
from sinks.rows import Dataset, Row
from sinks.settings import ArchiveSettings, FilesSettings


def root(settings: KafkaSettings) -> Path:
    """Where the files sink stores."""
    return FilesSettings.read().root or settings.data_dir / "files"


def archive_root(settings: KafkaSettings) -> Path:
    """Where the archive is."""
    return ArchiveSettings.read().root or settings.data_dir / "archive"


def coverage(files: Path) -> Coverage:
    """Which records are stored, by the manifests."""
    return Coverage(read_manifest(files))


def files(root: Path, since: datetime | None = None) -> dict[str, list[Path]]:
    """Dataset → its committed files that are there; with `since`, those of its hour and later ones."""
    first = folder(since) if since is not None else ""
    found: dict[str, list[Path]] = {}
    for name, path in committed(root):
        if path.parent.relative_to(root / name).as_posix() >= first and path.exists():
            found.setdefault(name, []).append(path)
    return found


def rows(files: Path, dataset: Dataset) -> Iterator[Row]:
    """Every stored row of a dataset, in the order of its columns; one that is stored twice comes twice."""
    from sinks import formats  # pyarrow: a machine that only writes to InfluxDB has none

    for path in stored(files, dataset.name):
        yield from formats.read(path, dataset, dataset.names)
