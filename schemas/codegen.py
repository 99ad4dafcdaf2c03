"""What is generated from the catalogue: `records.py`, the topic table of docs/, the published versions. No I/O."""

from __future__ import annotations

from typing import Any

from schemas import catalog

PRIMITIVES = {
    "string": "str",
    "long": "int",
    "int": "int",
    "double": "float",
    "float": "float",
    "boolean": "bool",
    "bytes": "bytes",
    "null": "None",
}
HEAD = '''"""Record types, generated from `avsc/` by `python -m schemas`; change the `.avsc` files, not this one."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypedDict
'''


def _type(avro: Any) -> str:  # noqa: PLR0911  one return per Avro type
    if isinstance(avro, list):
        return " | ".join(_type(each) for each in sorted(avro, key=lambda each: each == "null"))
    if isinstance(avro, str):
        return PRIMITIVES.get(avro, avro)
    match avro:
        case {"logicalType": "timestamp-micros"}:
            return "datetime"
        case {"type": "array"}:
            return f"list[{_type(avro['items'])}]"
        case {"type": "map"}:
            return f"dict[str, {_type(avro['values'])}]"
        case {"type": "record" | "enum"}:
            return str(avro["name"])
        case _:
            return _type(avro["type"])


def _named(avro: Any, found: dict[str, dict[str, Any]]) -> None:
    """Collects named types, inner ones first."""
    if isinstance(avro, list):
        for each in avro:
            _named(each, found)
    elif isinstance(avro, dict):
        for field in avro.get("fields", ()):
            _named(field["type"], found)
        for inner in ("items", "values"):
            _named(avro.get(inner), found)
        if avro.get("type") in ("record", "enum"):
            _named_once(avro, found)


def _named_once(avro: dict[str, Any], found: dict[str, dict[str, Any]]) -> None:
    bare = {key: value for key, value in avro.items() if key != "namespace"}
    if found.setdefault(avro["name"], bare) != bare:
        raise ValueError(f"two different types are named {avro['name']}; give one of them another name")


def records() -> str:
    """The text of `records.py`."""
    found: dict[str, dict[str, Any]] = {}
    for name in catalog.names():
        _named(catalog.schema(name).definition, found)
    parts = [HEAD]
    for name, avro in found.items():
        if avro["type"] == "enum":
            symbols = ", ".join(f'"{symbol}"' for symbol in avro["symbols"])
            parts.append(f'{name} = Literal[{symbols}]\n"""{avro["doc"]}"""\n')
            continue
        lines = [f"class {name}(TypedDict):", f'    """{avro["doc"]}"""', ""]
        for field in avro["fields"]:
            unit = f" [{field['unit']}]" if "unit" in field else ""
            lines += [f"    {field['name']}: {_type(field['type'])}", f'    """{field["doc"]}{unit}"""']
        parts.append("\n".join(lines) + "\n")
    return "\n\n".join(parts)


def topic_table() -> str:
    """The topic table of docs/reference/topics.md, in Markdown."""
    rows = ["| topic | key | record | kept | what |", "|---|---|---|---|---|"]
    for topic in catalog.load().topics.values():
        kept = f"{topic.retention.days} d" if topic.retention else "newest per key"
        key = ":".join(f"`{part}`" for part in topic.key)
        rows.append(f"| `{topic.name}` | {key} | {topic.schema} | {kept} | {topic.doc} |")
    return "\n".join(rows) + "\n"


def between_markers(text: str, name: str, content: str) -> str:
    """`text` with what stands between `<!-- name -->` and `<!-- /name -->` replaced.

    Raises:
        ValueError: the markers are not there.
    """
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, found, rest = text.partition(start)
    _, closed, after = rest.partition(end)
    if not found or not closed:
        raise ValueError(f"no lines `<!-- {name} -->` and `<!-- /{name} -->` to put the {name} between")
    return before + start + content + end + after
