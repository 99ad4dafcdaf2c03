"""The rules every schema and topic keeps, each as a list of what breaks it. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from schemas import catalog

NUMBERS = {"int", "long", "float", "double"}
RAW_HEADER = (
    "host",
    "category",
    "observed_at",
    "monotonic_s",
    "producer",
    "epoch",
    "sequence",
    "previous_epoch",
    "previous_sequence",
    "dropped",
    "duration_s",
    "interval_s",
    "errors",
    "labels",
)


def fields(avro: Any, path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every field of a schema, nested ones too, with its dotted path."""
    if isinstance(avro, list):
        for each in avro:
            yield from fields(each, path)
    elif isinstance(avro, dict):
        for field in avro.get("fields", ()):
            where = f"{path}.{field['name']}" if path else field["name"]
            yield where, field
            yield from fields(field["type"], where)
        for inner in ("items", "values"):
            yield from fields(avro.get(inner), path)


def _is_number(avro: Any) -> bool:
    if isinstance(avro, list):
        return any(_is_number(each) for each in avro)
    if isinstance(avro, dict):
        inner = avro.get("items", avro.get("values", avro["type"]))
        return "logicalType" not in avro and avro["type"] not in ("record", "enum") and _is_number(inner)
    return avro in NUMBERS


def schema_problems(schema: catalog.Schema) -> list[str]:
    """Every field has a `doc`, every number a `unit`, every enum a default (an old reader survives a new symbol)."""
    problems = [] if schema.definition.get("doc") else [f"{schema.name}: no doc"]
    for path, field in fields(schema.definition):
        if not field.get("doc"):
            problems.append(f"{schema.name}.{path}: no doc; say what it is")
        if _is_number(field["type"]) and not field.get("unit"):
            problems.append(f"{schema.name}.{path}: a number without unit; give it in UCUM, such as By, s, W, 1")
        types = field["type"] if isinstance(field["type"], list) else [field["type"]]
        if any(isinstance(each, dict) and each["type"] == "enum" and "default" not in each for each in types):
            problems.append(f"{schema.name}.{path}: an enum without default")
    return problems


def _shape(avro: Any) -> dict[str, tuple[Any, ...]]:
    """What the fingerprint does not see of each field, and must not change all the same."""
    shape: dict[str, tuple[Any, ...]] = {}
    for path, field in fields(avro):
        inner = [
            each
            for each in (field["type"] if isinstance(field["type"], list) else [field["type"]])
            if isinstance(each, dict)
        ]
        logical = tuple((each.get("logicalType"), each.get("scale")) for each in inner)
        shape[path] = ("default" in field, repr(field.get("default")), logical)
    return shape


def evolution_problems(old: catalog.Schema, new: catalog.Schema) -> list[str]:
    """What keeps readers of one version from reading the other, in both directions."""
    from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType  # a tool of the check only
    from avro.schema import make_avsc_object

    problems = []
    parsed_old, parsed_new = (make_avsc_object(each.definition, validate_enum_symbols=False) for each in (old, new))
    for reader, writer, direction in (
        (parsed_new, parsed_old, "new code cannot read old records"),
        (parsed_old, parsed_new, "old code cannot read new records"),
    ):
        result = ReaderWriterCompatibilityChecker().get_compatibility(reader, writer)
        if result.compatibility is not SchemaCompatibilityType.compatible:
            problems.append(
                f"{new.name}: {direction}: {'; '.join(sorted(result.messages))} "
                f"at {', '.join(sorted(result.locations))}; "
                "give new fields a default and keep old ones, or make a new topic …-v2"
            )
    before, after = _shape(old.definition), _shape(new.definition)
    problems += [
        f"{new.name}.{path}: default or logicalType changed, unseen by the fingerprint; add a new field instead"
        for path in before.keys() & after.keys()
        if before[path] != after[path]
    ]
    return problems


def topic_problems(topics: catalog.Catalog) -> list[str]:
    """Names, keys and identities are legal; no schema is an orphan; raw records carry the whole header in its order."""
    problems = []
    for topic in topics.topics.values():
        if not re.fullmatch(r"fleet(\.[a-z][a-z0-9]*(-[a-z0-9]+)*)+", topic.name):
            problems.append(f"{topic.name}: topic names are fleet.<stage>.<what> in a-z, 0-9, - (brokers fold . and _)")
        if topic.retention is None and "compact" not in topic.cleanup:
            problems.append(f"{topic.name}: only a compacted topic may keep records forever")
        if not topic.doc or not topic.owner:
            problems.append(f"{topic.name}: no doc or owner")
        if topic.schema == "json":
            continue
        if topic.schema not in catalog.names():
            problems.append(f"{topic.name}: there is no avsc/{topic.schema}.avsc")
            continue
        have = [field["name"] for field in catalog.schema(topic.schema).definition["fields"]]
        problems += [
            f"{topic.name}: {topic.schema} has no field {field}, which key or identity names"
            for field in {*topic.key, *topic.identity} - set(have)
        ]
        if topic.alias.startswith("raw-") and tuple(have[: len(RAW_HEADER)]) != RAW_HEADER:
            problems.append(f"{topic.schema}: a raw record begins with the fields {', '.join(RAW_HEADER)}")
    orphans = set(catalog.names()) - {topic.schema for topic in topics.topics.values()}
    problems += [f"avsc/{name}.avsc: no topic uses it" for name in sorted(orphans)]
    ids: dict[int, str] = {}
    for each in catalog.published().values():
        if ids.setdefault(each.id, each.name) != each.name:
            problems.append(f"{each.name} and {ids[each.id]} share the id {each.id}; change a field name of one")
    return problems
