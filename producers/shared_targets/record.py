"""Conversion between targets of a fleet file and records of the targets topic. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from pydantic import ValidationError

from producers.fleet.sharing import find_shared_problems
from producers.fleet.targets import FleetTarget, RedfishTarget
from producers.registry import SOURCE_SPECS
from schemas.records import Target

VERIFY_VALUES: Final = {"true": True, "false": False}


def to_record(source: str, target: FleetTarget) -> Target:
    """Returns the record of a target whose defaults are filled in."""
    record: Target = {
        "source": source,
        "host": target.host,
        "address": target.location,
        "labels": dict(target.labels),
        "interval_s": target.interval,
        "intervals_s": {},
        "username": None,
        "password": None,
        "verify": "true",
        "proxy": None,
        "systems": {},
        "removed": False,
    }
    if isinstance(target, RedfishTarget):
        record["username"], record["password"], record["proxy"] = target.username, target.password, target.proxy
        record["systems"] = dict(target.systems)
        record["intervals_s"] = {str(category): interval_s for category, interval_s in target.intervals.items()}
        record["verify"] = str(target.verify) if isinstance(target.verify, Path) else str(target.verify).lower()
    return record


def to_entry(record: Target) -> dict[str, Any]:
    """Returns a record as an entry of a fleet file."""
    address_field = SOURCE_SPECS[record["source"]].target.address_field
    entry: dict[str, Any] = {"host": record["host"], "labels": record["labels"], address_field: record["address"]}
    if record["interval_s"] is not None:
        entry["interval"] = record["interval_s"]
    if record["source"] == "redfish":
        entry["verify"] = VERIFY_VALUES.get(record["verify"], record["verify"])
        entry["intervals"] = record["intervals_s"]
        optional = {
            "username": record["username"],
            "password": record["password"],
            "proxy": record["proxy"],
            "systems": record["systems"],
        }
        entry |= {name: value for name, value in optional.items() if value}
    return entry


def to_target(record: Target) -> FleetTarget:
    """Returns the target of a record.

    Raises:
        ValueError: The record is invalid, such as one written by hand, or has values that cannot be shared.
    """
    spec = SOURCE_SPECS.get(record["source"])
    if spec is None:
        raise ValueError(f"unknown source {record['source']}")
    try:
        target = spec.target.model_validate(to_entry(record))
    except ValidationError as error:
        raise ValueError("; ".join(_messages(error))) from None
    problems = [f"{field}: {message}" for field, message in find_shared_problems(target)]
    if problems:
        raise ValueError("; ".join(problems))
    return target


def _messages(error: ValidationError) -> Iterator[str]:
    """Yields field and message of each error, without the values, which may be secrets."""
    for problem in error.errors(include_input=False, include_url=False):
        location = ".".join(str(part)[:80] for part in problem["loc"])
        yield f"{location}: {problem['msg'].removeprefix('Value error, ')}"
