"""Every topic, and every record with its fields, units and documentation, from the catalogue. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from schemas import catalog, codegen

HEAD: Final = """\
# Topics and records

Made by `python -m rackstream.reference` from `schemas/`; `make check` says when it is stale.

A record holds one category of one host at one poll; it is never split into one record per sensor. `fleet.` at the start
of the names is replaced by `RACKSTREAM_TOPIC_PREFIX`. The framing is Confluent's: a 0 byte, four bytes of schema id,
Avro.

"""


def text() -> str:
    """The page."""
    parts = [
        HEAD,
        codegen.topic_table(),
        "\nA record is the same fact as another of its topic where these fields are equal:\n\n",
    ]
    parts.append("| topic | identity | partition group | written by |\n|---|---|---|---|\n")
    for topic in catalog.load().topics.values():
        identity = ", ".join(f"`{name}`" for name in topic.identity)
        parts.append(f"| `{topic.name}` | {identity} | {topic.group} | `{topic.owner}` |\n")
    shown: set[str] = set()
    for name in catalog.names():
        parts += _record(catalog.schema(name).definition, shown, "##")
    return "".join(parts)


def _record(avro: dict[str, Any], shown: set[str], level: str) -> Iterator[str]:
    """A record's table, and those of the records in it after it."""
    if avro["name"] in shown:
        return
    shown.add(avro["name"])
    yield f"\n{level} {avro['name']}\n\n{avro['doc']}\n\n| field | type | unit | what |\n|---|---|---|---|\n"
    inner: list[dict[str, Any]] = []
    for field in avro["fields"]:
        unit = f"`{field['unit']}`" if "unit" in field else ""
        yield f"| `{field['name']}` | {_type(field['type'], inner)} | {unit} | {field['doc']} |\n"
    for each in inner:
        yield from _record(each, shown, "###")


def _type(avro: Any, inner: list[dict[str, Any]]) -> str:  # noqa: PLR0911  one return per Avro type
    if isinstance(avro, list):
        return " or ".join(_type(each, inner) for each in sorted(avro, key=lambda each: each == "null"))
    if isinstance(avro, str):
        return avro
    match avro["type"]:
        case "array":
            return f"array of {_type(avro['items'], inner)}"
        case "map":
            return f"map of {_type(avro['values'], inner)}"
        case "record":
            inner.append(avro)
            return str(avro["name"])
        case "enum":
            return ", ".join(f"`{symbol}`" for symbol in avro["symbols"])
        case _:
            return str(avro.get("logicalType", avro["type"]))
