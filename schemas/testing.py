"""Records for tests: whole by construction, from the schemas themselves, with just the fields a test is about. Pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

from schemas import catalog

START: Final = datetime(2026, 1, 1, tzinfo=UTC)
ZERO: Final = {"string": "", "long": 0, "int": 0, "double": 0.0, "float": 0.0, "boolean": False, "bytes": b""}


@cache
def _definitions() -> dict[str, Any]:
    found: dict[str, Any] = {}

    def walk(avro: Any) -> None:
        if isinstance(avro, list):
            for each in avro:
                walk(each)
        elif isinstance(avro, dict):
            if avro.get("type") in ("record", "enum"):
                found[avro["name"]] = avro
            for field in avro.get("fields", ()):
                walk(field["type"])
            walk(avro.get("items"))

    for name in catalog.names():
        walk(catalog.schema(name).definition)
    return found


def _empty(avro: Any, named: dict[str, Any]) -> Any:  # noqa: PLR0911  one return per Avro type
    if isinstance(avro, list):
        return None
    if isinstance(avro, str):
        return ZERO[avro] if avro in ZERO else _empty(named[avro], named)
    match avro["type"]:
        case "array":
            return []
        case "map":
            return {}
        case "enum":
            return avro["symbols"][0]
        case "record":
            return {field["name"]: _empty(field["type"], named) for field in avro["fields"]}
        case _:
            return START if "logicalType" in avro else ZERO[avro["type"]]


def item(kind: str, /, **fields: Any) -> dict[str, Any]:
    """A record or nested record of this kind: null, empty or 0, but for `fields`.

    Raises:
        KeyError: a field the schema does not have.
    """
    named = _definitions()
    whole: dict[str, Any] = _empty(named[kind], named)
    unknown = fields.keys() - whole.keys()
    if unknown:
        raise KeyError(f"{kind} has no {', '.join(sorted(unknown))}")
    return whole | fields


def raw(kind: str, /, *, at_s: float = 0, **fields: Any) -> dict[str, Any]:
    """A raw record observed `at_s` seconds after START, its number and monotonic clock following from that."""
    defaults = {
        "host": "h1",
        "epoch": "0-a",
        "sequence": int(at_s),
        "monotonic_s": 1000.0 + at_s,
        "observed_at": START + timedelta(seconds=at_s),
        "interval_s": 1.0,
    }
    return item(kind, **(defaults | fields))
