"""Stored history: its files, and its rows as the datasets define them. Reads committed files only."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from sinks.files.hourly_files import folder
from sinks.files.manifest import Entry, committed, read_manifest
from sinks.rows import Dataset, Row


def files(root: Path, since: datetime | None = None) -> dict[str, list[Path]]:
    """Dataset → its committed files that are there; with `since`, those of its hour and later ones."""
    first = folder(since) if since is not None else ""
    found: dict[str, list[Path]] = {}
    for name, path in committed(root):
        if path.parent.relative_to(root / name).as_posix() >= first and path.exists():
            found.setdefault(name, []).append(path)
    return found


def rows(files: Path, dataset: Dataset, entries: Iterable[Entry] | None = None) -> Iterator[Row]:
    """Every stored row of a dataset, in the order of its columns; one that is stored twice comes twice.

    Args:
        files: the root.
        dataset: which.
        entries: those of the commits that count; None: all there are now.
    """
    from sinks.files import formats  # pyarrow: a machine that only writes to InfluxDB has none

    for entry in read_manifest(files) if entries is None else entries:
        for file in entry.files:
            path = files / file.path
            if file.dataset == dataset.name and path.exists():
                yield from formats.read(path, dataset, dataset.names)
