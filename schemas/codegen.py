"""Text generated from the catalogue: `records.py`, published schema versions, the topic table of the documentation."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from schemas import catalog
from schemas.catalog import AvroType

PYTHON_TYPES: Final = {
    "string": "str",
    "long": "int",
    "int": "int",
    "double": "float",
    "float": "float",
    "boolean": "bool",
    "bytes": "bytes",
    "null": "None",
}
RECORDS_HEADER: Final = '''"""Record types. Made by `scripts/generate` from `avsc/`: change the `.avsc` files."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, TypedDict
'''


def generated_files() -> dict[Path, str]:
    """Returns `records.py` and the published version of each current schema."""
    files = {catalog.SCHEMAS_DIR / "records.py": records_module()}
    for name in catalog.schema_names():
        schema = catalog.schema(name)
        text = json.dumps(schema.definition, indent=1, ensure_ascii=False) + "\n"
        files[catalog.PUBLISHED_DIR / f"{name}.{schema.id:08x}.avsc"] = text
    return files


def _python_type(avro: AvroType) -> str:  # noqa: PLR0911  one return per Avro type
    if isinstance(avro, list):
        return " | ".join(_python_type(member) for member in sorted(avro, key=lambda member: member == "null"))
    if isinstance(avro, str):
        return PYTHON_TYPES.get(avro, avro)
    match avro:
        case {"logicalType": "timestamp-micros"}:
            return "datetime"
        case {"type": "array"}:
            return f"list[{_python_type(avro['items'])}]"
        case {"type": "map"}:
            return f"dict[str, {_python_type(avro['values'])}]"
        case {"type": "record" | "enum"}:
            return str(avro["name"])
        case _:
            return _python_type(avro["type"])


def _collect_named_types(avro: AvroType, named_types: dict[str, dict[str, AvroType]]) -> None:
    """Adds all records and enums within a type to `named_types`, inner ones first."""
    if isinstance(avro, list):
        for member in avro:
            _collect_named_types(member, named_types)
    elif isinstance(avro, dict):
        for field in avro.get("fields", ()):
            _collect_named_types(field["type"], named_types)
        for inner in ("items", "values"):
            _collect_named_types(avro.get(inner), named_types)
        if avro.get("type") in ("record", "enum"):
            definition = {key: value for key, value in avro.items() if key != "namespace"}
            if named_types.setdefault(avro["name"], definition) != definition:
                raise ValueError(f"two different types are named {avro['name']}; rename one of them")


def records_module() -> str:
    """Returns the text of `records.py`: a TypedDict per record, a Literal per enum."""
    named_types: dict[str, dict[str, AvroType]] = {}
    for name in catalog.schema_names():
        _collect_named_types(catalog.schema(name).definition, named_types)
    parts = [RECORDS_HEADER]
    for name, avro in named_types.items():
        if avro["type"] == "enum":
            symbols = ", ".join(f'"{symbol}"' for symbol in avro["symbols"])
            parts.append(f'{name} = Literal[{symbols}]\n"""{avro["doc"]}"""\n')
            continue
        lines = [f"class {name}(TypedDict):", f'    """{avro["doc"]}"""', ""]
        for field in avro["fields"]:
            unit = f" [{field['unit']}]" if "unit" in field else ""
            lines += [f"    {field['name']}: {_python_type(field['type'])}", f'    """{field["doc"]}{unit}"""']
        parts.append("\n".join(lines) + "\n")
    return "\n\n".join(parts)


def topic_table() -> str:
    """Returns the topic table of docs/reference/topics.md, in Markdown."""
    rows = ["| topic | key | record | retention | description |", "|---|---|---|---|---|"]
    for topic in catalog.load().topics.values():
        retention = f"{topic.retention.days} d" if topic.retention else "latest per key"
        key = ":".join(f"`{field}`" for field in topic.key)
        rows.append(f"| `{topic.name}` | {key} | {topic.schema} | {retention} | {topic.doc} |")
    return "\n".join(rows) + "\n"


def replace_between_markers(text: str, name: str, content: str) -> str:
    """Replaces the part of a page between the lines `<!-- name -->` and `<!-- /name -->`.

    Raises:
        ValueError: The page has no such lines.
    """
    start, end = f"<!-- {name} -->\n", f"<!-- /{name} -->"
    before, has_start, rest = text.partition(start)
    _, has_end, after = rest.partition(end)
    if not has_start or not has_end:
        raise ValueError(f"no lines `<!-- {name} -->` and `<!-- /{name} -->` for the generated part")
    return before + start + content + end + after
