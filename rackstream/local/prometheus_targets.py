"""Writes the metrics endpoints of the local parts for Prometheus' file_sd and http_sd."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Final, TypedDict

from rackstream.local.supervisor import PipelinePart
from runtime.private_files import make_private_directory

FILE: Final = Path("prometheus", "targets.json")
"""Path within the data directory."""


class TargetGroup(TypedDict):
    """A group of targets in Prometheus' file_sd format."""

    targets: list[str]
    labels: dict[str, str]


def target_groups(parts: Iterable[PipelinePart]) -> list[TargetGroup]:
    """Returns a target group per part. A dead part stays, so that Prometheus sees it as down."""
    return [
        {"targets": [f"127.0.0.1:{part.metrics_port}"], "labels": {"component": part.name}}
        for part in parts
        if part.metrics_port and part.state != "stopped"
    ]


def write(data_dir: Path, parts: Iterable[PipelinePart]) -> None:
    """Replaces the file atomically, since Prometheus reloads it on every change."""
    path = data_dir / FILE
    make_private_directory(path.parent)
    aside = path.with_suffix(".new")
    aside.write_text(json.dumps(target_groups(parts), indent=1) + "\n")
    aside.replace(path)


def read(data_dir: Path) -> list[TargetGroup]:
    """Returns the file's content; empty if no `rackstream up` or `demo` runs."""
    try:
        groups: list[TargetGroup] = json.loads((data_dir / FILE).read_text())
    except FileNotFoundError:
        return []
    return groups
