"""Records for tests: complete according to their schema, with only the fields that a test is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

from schemas import catalog
from schemas.catalog import AvroType

START_TIME: Final = datetime(2026, 1, 1, tzinfo=UTC)
ZERO_VALUES: Final = {"string": "", "long": 0, "int": 0, "double": 0.0, "float": 0.0, "boolean": False, "bytes": b""}


@cache
def _named_types() -> dict[str, AvroType]:
    named_types: dict[str, AvroType] = {}

    def collect(avro: AvroType) -> None:
        if isinstance(avro, list):
            for member in avro:
                collect(member)
        elif isinstance(avro, dict):
            if avro.get("type") in ("record", "enum"):
                named_types[avro["name"]] = avro
            for field in avro.get("fields", ()):
                collect(field["type"])
            collect(avro.get("items"))

    for name in catalog.schema_names():
        collect(catalog.schema(name).definition)
    return named_types


def _zero_value(avro: AvroType) -> Any:  # noqa: PLR0911  one return per Avro type
    if isinstance(avro, list):
        return None
    if isinstance(avro, str):
        return ZERO_VALUES[avro] if avro in ZERO_VALUES else _zero_value(_named_types()[avro])
    match avro["type"]:
        case "array":
            return []
        case "map":
            return {}
        case "enum":
            return avro["symbols"][0]
        case "record":
            return {field["name"]: _zero_value(field["type"]) for field in avro["fields"]}
        case _:
            return START_TIME if "logicalType" in avro else ZERO_VALUES[avro["type"]]


def make_record(kind: str, /, **fields: Any) -> dict[str, Any]:
    """Makes a record or nested record of a type; fields not given are null, empty or 0.

    Raises:
        KeyError: The type has no such field.
    """
    record: dict[str, Any] = _zero_value(_named_types()[kind])
    unknown = fields.keys() - record.keys()
    if unknown:
        raise KeyError(f"{kind} has no {', '.join(sorted(unknown))}")
    return record | fields


def make_raw_record(kind: str, /, *, at_s: float = 0, **fields: Any) -> dict[str, Any]:
    """Makes a raw record observed `at_s` seconds after START_TIME, with matching sequence and monotonic time."""
    defaults = {
        "host": "h1",
        "epoch": "0-a",
        "sequence": int(at_s),
        "monotonic_s": 1000.0 + at_s,
        "observed_at": START_TIME + timedelta(seconds=at_s),
        "interval_s": 1.0,
    }
    return make_record(kind, **(defaults | fields))
