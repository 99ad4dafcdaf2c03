"""Telemetry dictionaries as JSON and CSV files. No network."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


def automatic_name(host: str, ending: str) -> str:
    """`telemetry_<host>_<time>.<ending>`, time in UTC to the second."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", host)
    return f"telemetry_{safe}_{datetime.now(UTC):%Y%m%d_%H%M%S}.{ending}"


def flat(entry: dict[str, Any], parent: str = "", separator: str = "_") -> dict[str, Any]:
    """A dictionary without dictionaries inside; lists become JSON text."""
    found: dict[str, Any] = {}
    for name, value in entry.items():
        whole = f"{parent}{separator}{name}" if parent else str(name)
        if isinstance(value, dict):
            found |= flat(value, whole, separator)
        elif isinstance(value, list | tuple):
            found[whole] = json.dumps(value, ensure_ascii=False, default=str)
        else:
            found[whole] = value
    return found


def as_json(entries: Sequence[dict[str, Any]], path: Path) -> None:
    """Writes the entries as one JSON array. What cannot be written leaves no file behind."""
    text = json.dumps(entries, indent=2, ensure_ascii=False, default=str)
    path.write_text(text + "\n", encoding="utf-8")


def as_csv(rows: Sequence[dict[str, Any]], path: Path) -> None:
    """Writes flat rows under the union of their columns, in the order in which these first appear."""
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(buffer.getvalue(), encoding="utf-8", newline="")
