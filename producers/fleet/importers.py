"""Fleets as others keep them, as fleet files: CSV, and Prometheus's file_sd in JSON or YAML.

What is wrong is told with the line, or the entry, that it is of.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml

from producers.fleet import config
from producers.fleet.config import Fleet
from runtime.errors import Misconfigured

LABEL: Final = "label_"
"""What a CSV column of a label begins with; the label's name follows."""
Entry = tuple[str, str, dict[str, Any]]
"""(where it is in the file, source, entry of a fleet file)."""


def load(path: Path, defaults: Mapping[str, Any]) -> Fleet:
    """The fleet in a file of any form, complete; of sources that can be shared only what may be on a topic.

    `defaults`: what targets of CSV and file_sd do not say themselves, as in the section `redfish`.

    Raises:
        Misconfigured: names every error with its line or entry.
    """
    text = config.read(path)
    if path.suffix.lower() == ".csv":
        return _fleet(path, _csv(text, path), defaults)
    try:
        document = yaml.load(text, config.LOADER)  # noqa: S506  a safe loader
    except yaml.YAMLError as error:
        raise Misconfigured(f"{path} is neither YAML nor JSON: {error}") from error
    if isinstance(document, list):
        return _fleet(path, _file_sd(document, path), defaults)
    if defaults:
        said = ", ".join(f"--{name}" for name in defaults)
        raise Misconfigured(f"{said}: for CSV and file_sd; a fleet file says that in its sections")
    return config.parse(text, path, shared=True)


def _fleet(path: Path, entries: list[Entry], defaults: Mapping[str, Any]) -> Fleet:
    document: dict[str, Any] = {"redfish": {**defaults, "targets": []}, "libvirt": {"targets": []}}
    places: dict[str, list[str]] = {}
    wrong = []
    for where, source, entry in entries:
        if source not in document:
            wrong.append(f"{where}: source: {source} is neither redfish nor libvirt")
            continue
        document[source]["targets"].append(entry)
        places.setdefault(source, []).append(where)
    fleet, found = config.judged(document, shared=True)
    for at, what in found:
        of_entry = len(at) > 2 and at[1] == "targets" and isinstance(at[2], int)
        where = places[at[0]][at[2]] if of_entry else "options"
        wrong.append(f"{where}: {'.'.join(map(str, at[3:] if of_entry else at[1:]))}: {what}")
    if wrong:
        raise Misconfigured("\n  ".join([f"{path}:", *wrong]))
    return fleet


def _csv(text: str, path: Path) -> list[Entry]:
    """A row per target. Columns are called as in a fleet file, a label's `label_<name>`; `source` may say libvirt."""
    rows = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    if not {"host"} <= set(rows.fieldnames or ()):
        raise Misconfigured(f"{path}: line 1: names of columns are expected: host and address, and what else is known")
    found = []
    for row in rows:
        if None in row:
            raise Misconfigured(f"{path}: line {rows.line_num}: more values than columns")
        given = {name: value.strip() for name, value in row.items() if value and value.strip()}
        labels = {name.removeprefix(LABEL): given.pop(name) for name in list(given) if name.startswith(LABEL)}
        entry: dict[str, Any] = {**given, **({"labels": labels} if labels else {})}
        found.append((f"line {rows.line_num}", entry.pop("source", "redfish"), entry))
    return found


def _file_sd(document: list[Any], path: Path) -> list[Entry]:
    """A target per address. A group of one may name its host by the label `host`; else it is the address's."""
    found = []
    for number, group in enumerate(document, 1):
        where = f"entry {number}"
        if not isinstance(group, dict) or not isinstance(group.get("targets"), list):
            raise Misconfigured(f"{path}: {where}: a group of Prometheus has `targets`, a list, and may have `labels`")
        labels = {str(name): str(value) for name, value in (group.get("labels") or {}).items()}
        scheme = labels.get("__scheme__", "https")
        kept = {name: value for name, value in labels.items() if not name.startswith("__")}
        named = kept.pop("host", None) if len(group["targets"]) == 1 else None
        for target in group["targets"]:
            address = str(target) if "://" in str(target) else f"{scheme}://{target}"
            host = named or urlsplit(address).hostname or str(target)
            found.append((f"{where}, {target}", "redfish", {"host": host, "address": address, "labels": kept}))
    return found
