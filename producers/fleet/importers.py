"""Importers of fleets in other formats: CSV, and Prometheus's file_sd in JSON or YAML.

Errors are reported with their line or entry.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import yaml

from producers.fleet import config
from producers.fleet.config import Fleet
from runtime.errors import Misconfigured
from schemas.sources import SHAREABLE_SOURCES

LABEL_PREFIX: Final = "label_"
"""Prefix of CSV columns with labels; the label's name follows."""
DEFAULT_SOURCE: Final = "redfish"
"""Source of entries that name none. Its section takes the options for targets of CSV and file_sd."""


class ImportedTarget(NamedTuple):
    """Target as read from a file of another format."""

    place: str
    """Line or entry of the file."""
    source: str
    fields: dict[str, object]
    """The target as an entry of a fleet file."""


def load(path: Path, defaults: Mapping[str, object]) -> Fleet:
    """Loads the shareable targets of a fleet file, a CSV file or a file_sd file.

    Args:
        path: The file.
        defaults: Values of section `redfish` for targets of CSV and file_sd that do not set them.

    Raises:
        Misconfigured: The file is wrong; names every error with its line or entry.
    """
    text = config.read_text(path)
    if path.suffix.lower() == ".csv":
        return _build_fleet(path, _read_csv(text, path), defaults)
    try:
        document = yaml.load(text, config.LOADER)  # noqa: S506  a safe loader
    except yaml.YAMLError as error:
        raise Misconfigured(f"{path} is neither YAML nor JSON: {error}") from error
    if isinstance(document, list):
        return _build_fleet(path, _read_file_sd(document, path), defaults)
    if defaults:
        options = ", ".join(f"--{name}" for name in defaults)
        raise Misconfigured(f"{options}: only for CSV and file_sd; a fleet file sets this in its sections")
    return config.parse(text, path, shared=True)


def _build_fleet(path: Path, entries: list[ImportedTarget], defaults: Mapping[str, object]) -> Fleet:
    targets: dict[str, list[ImportedTarget]] = {source: [] for source in SHAREABLE_SOURCES}
    errors = []
    for entry in entries:
        if entry.source in targets:
            targets[entry.source].append(entry)
        else:
            errors.append(f"{entry.place}: source: {entry.source} is not one of {', '.join(targets)}")
    document = {
        source: {**(defaults if source == DEFAULT_SOURCE else {}), "targets": [entry.fields for entry in entries]}
        for source, entries in targets.items()
    }
    fleet, problems = config.validate(document, shared=True)
    for location, message in problems:
        place, path_in_entry = "options", location[1:]
        if len(location) > 2 and location[1] == "targets" and isinstance(location[2], int):
            place, path_in_entry = targets[str(location[0])][location[2]].place, location[3:]
        errors.append(f"{place}: {'.'.join(map(str, path_in_entry))}: {message}")
    if errors:
        raise Misconfigured("\n  ".join([f"{path}:", *errors]))
    return fleet


def _read_csv(text: str, path: Path) -> list[ImportedTarget]:
    """Reads a target per row.

    Columns have the names of fleet file keys; labels are in `label_<name>`.
    """
    rows = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    if not {"host"} <= set(rows.fieldnames or ()):
        raise Misconfigured(f"{path}: line 1: column names are expected: host, address, and any others")
    targets = []
    for row in rows:
        if None in row:
            raise Misconfigured(f"{path}: line {rows.line_num}: more values than columns")
        values = {name: value.strip() for name, value in row.items() if value and value.strip()}
        labels = {
            name.removeprefix(LABEL_PREFIX): values.pop(name) for name in list(values) if name.startswith(LABEL_PREFIX)
        }
        source = values.pop("source", DEFAULT_SOURCE)
        fields = {**values, **({"labels": labels} if labels else {})}
        targets.append(ImportedTarget(f"line {rows.line_num}", source, fields))
    return targets


def _read_file_sd(document: list[object], path: Path) -> list[ImportedTarget]:
    """Reads a target per address.

    The label `host` names the host of a group of one; default: the address's host.
    """
    targets = []
    for number, group in enumerate(document, 1):
        place = f"entry {number}"
        if not isinstance(group, dict) or not isinstance(group.get("targets"), list):
            raise Misconfigured(
                f"{path}: {place}: a target group with a list `targets` and optional `labels` is expected"
            )
        labels = {str(name): str(value) for name, value in (group.get("labels") or {}).items()}
        scheme = labels.get("__scheme__", "https")
        own_labels = {name: value for name, value in labels.items() if not name.startswith("__")}
        host_label = own_labels.pop("host", None) if len(group["targets"]) == 1 else None
        for target in group["targets"]:
            address = str(target) if "://" in str(target) else f"{scheme}://{target}"
            host = host_label or _host_of(address) or str(target)
            fields: dict[str, object] = {"host": host, "address": address, "labels": own_labels}
            targets.append(ImportedTarget(f"{place}, {target}", DEFAULT_SOURCE, fields))
    return targets


def _host_of(address: str) -> str | None:
    """Returns the host of an address; None if it is malformed, which its validation reports."""
    try:
        return urlsplit(address).hostname
    except ValueError:
        return None
