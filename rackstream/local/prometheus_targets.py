"""Tells Prometheus where the parts on this machine serve their metrics, in its formats file_sd and http_sd."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from rackstream.local.supervisor import Part

FILE: Final = Path("prometheus", "targets.json")
"""Within the data directory."""


def targets(parts: Iterable[Part]) -> list[dict[str, Any]]:
    """A group per part. One that died is still there: that it does not answer is what Prometheus has to see."""
    return [
        {"targets": [f"127.0.0.1:{part.metrics_port}"], "labels": {"component": part.name}}
        for part in parts
        if part.metrics_port and part.state != "stopped"
    ]


def write(data_dir: Path, parts: Iterable[Part]) -> None:
    """Writes the file anew, whole: Prometheus looks at it whenever it changes."""
    path = data_dir / FILE
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".new")
    aside.write_text(json.dumps(targets(parts), indent=1) + "\n")
    aside.replace(path)


def read(data_dir: Path) -> list[dict[str, Any]]:
    """What the file says; nothing where no parts run by `rackstream up` or `demo`."""
    try:
        found: list[dict[str, Any]] = json.loads((data_dir / FILE).read_text())
    except FileNotFoundError:
        return []
    return found
