"""Finds the committed files of the files sink and reads their rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import datetime
from pathlib import Path

from sinks.files.hourly_files import hour_folder
from sinks.files.manifest import ManifestEntry, iter_committed_files, read_manifest
from sinks.rows import Dataset, Row


def committed_files(root: Path, since: datetime | None = None) -> dict[str, list[Path]]:
    """Returns the existing committed files by dataset; with `since`, only those from then on."""
    first_folder = hour_folder(since) if since is not None else ""
    files: dict[str, list[Path]] = {}
    for name, path in iter_committed_files(root):
        if path.parent.relative_to(root / name).as_posix() >= first_folder and path.exists():
            files.setdefault(name, []).append(path)
    return files


def stored_rows(root: Path, dataset: Dataset, entries: Iterable[ManifestEntry] | None = None) -> Iterator[Row]:
    """Yields every stored row of a dataset, in column order; one stored twice comes twice.

    Args:
        root: Directory of the files sink.
        dataset: The dataset.
        entries: Manifest entries to read; None for all current ones.
    """
    from sinks.files import formats  # pyarrow: a machine that only writes to InfluxDB has none

    for entry in read_manifest(root) if entries is None else entries:
        for file in entry.files:
            path = root / file.path
            if file.dataset == dataset.name and path.exists():
                yield from formats.read_rows(path, dataset, dataset.names)
