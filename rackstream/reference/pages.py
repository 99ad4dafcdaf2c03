"""Generates docs/metrics.md and all files of docs/reference/."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from producers.redfish import docs
from rackstream.reference import metrics_page, settings, stream, topics

DOCS: Final = Path(__file__).parents[2] / "docs"


def generated_files() -> dict[Path, str]:
    """Returns the pages and the diagram of the stream."""
    return {
        DOCS / "metrics.md": metrics_page.text(),
        DOCS / "reference" / "redfish.md": docs.text(),
        DOCS / "reference" / "settings.md": settings.text(),
        DOCS / "reference" / "stream.svg": stream.svg(),
        DOCS / "reference" / "topics.md": topics.text(),
    }
