"""Writes telemetry dictionaries to JSON and CSV files. No network."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from producers.redfish.scripting.dictionaries import Telemetry


def default_filename(host: str, extension: str) -> str:
    """Returns `telemetry_<host>_<time>.<extension>`, with the time in UTC to the second."""
    safe_host = re.sub(r"[^A-Za-z0-9._-]", "_", host)
    return f"telemetry_{safe_host}_{datetime.now(UTC):%Y%m%d_%H%M%S}.{extension}"


def flatten(entry: Mapping[str, object], parent: str = "", separator: str = "_") -> Telemetry:
    """Returns a dictionary without nested dictionaries; lists become JSON text."""
    flat: Telemetry = {}
    for name, value in entry.items():
        key = f"{parent}{separator}{name}" if parent else str(name)
        if isinstance(value, dict):
            flat |= flatten(value, key, separator)
        elif isinstance(value, list | tuple):
            flat[key] = json.dumps(value, ensure_ascii=False, default=str)
        else:
            flat[key] = value
    return flat


def write_json(entries: Sequence[Telemetry], path: Path) -> None:
    """Writes the entries as a JSON array. An entry that cannot be encoded leaves no file behind."""
    text = json.dumps(entries, indent=2, ensure_ascii=False, default=str)
    path.write_text(text + "\n", encoding="utf-8")


def write_csv(rows: Sequence[Telemetry], path: Path) -> None:
    """Writes flat rows with the union of their columns, in the order of first appearance."""
    buffer = io.StringIO(newline="")
    writer = csv.DictWriter(buffer, list(dict.fromkeys(name for row in rows for name in row)))
    writer.writeheader()
    writer.writerows(rows)
    path.write_text(buffer.getvalue(), encoding="utf-8", newline="")
