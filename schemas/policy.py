"""Rules for schemas and topics; each check returns a list of violations."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from schemas import catalog
from schemas.catalog import AvroType

NUMBER_TYPES: Final = {"int", "long", "float", "double"}
RAW_HEADER: Final = (
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
"""First fields of every raw record, in this order."""


def problems() -> list[str]:
    """Checks all topics, all schemas, and each schema against its published versions.

    Raises:
        ValueError: A schema file is not an Avro schema.
    """
    violations = topic_problems(catalog.load())
    for name in catalog.schema_names():
        current = catalog.schema(name)
        violations += schema_problems(current)
        for path in sorted(catalog.PUBLISHED_DIR.glob(f"{name}.*.avsc")):
            violations += evolution_problems(catalog.read_schema(path), current)
    return violations


def iter_fields(avro: AvroType, path: str = "") -> Iterator[tuple[str, dict[str, AvroType]]]:
    """Yields all fields of a type, nested ones included, with their dotted paths."""
    if isinstance(avro, list):
        for member in avro:
            yield from iter_fields(member, path)
    elif isinstance(avro, dict):
        for field in avro.get("fields", ()):
            field_path = f"{path}.{field['name']}" if path else field["name"]
            yield field_path, field
            yield from iter_fields(field["type"], field_path)
        for inner in ("items", "values"):
            yield from iter_fields(avro.get(inner), path)


def _union_members(avro: AvroType) -> list[AvroType]:
    return avro if isinstance(avro, list) else [avro]


def _is_number(avro: AvroType) -> bool:
    if isinstance(avro, list):
        return any(_is_number(member) for member in avro)
    if isinstance(avro, dict):
        inner = avro.get("items", avro.get("values", avro["type"]))
        return "logicalType" not in avro and avro["type"] not in ("record", "enum") and _is_number(inner)
    return avro in NUMBER_TYPES


def schema_problems(schema: catalog.Schema) -> list[str]:
    """Requires a `doc` for each field, a `unit` for each number, and a default for each enum.

    An enum's default lets old readers accept new symbols.
    """
    violations = [] if schema.definition.get("doc") else [f"{schema.name}: no doc"]
    for path, field in iter_fields(schema.definition):
        if not field.get("doc"):
            violations.append(f"{schema.name}.{path}: no doc; describe the field")
        if _is_number(field["type"]) and not field.get("unit"):
            violations.append(f"{schema.name}.{path}: number without unit; add a UCUM unit such as By, s, W, 1")
        if any(
            isinstance(member, dict) and member["type"] == "enum" and "default" not in member
            for member in _union_members(field["type"])
        ):
            violations.append(f"{schema.name}.{path}: enum without default")
    return violations


def _hidden_properties(definition: AvroType) -> dict[str, tuple[object, ...]]:
    """Returns the properties of each field that must not change although the fingerprint does not cover them."""
    properties: dict[str, tuple[object, ...]] = {}
    for path, field in iter_fields(definition):
        members = [member for member in _union_members(field["type"]) if isinstance(member, dict)]
        logical_types = tuple((member.get("logicalType"), member.get("scale")) for member in members)
        properties[path] = ("default" in field, repr(field.get("default")), logical_types)
    return properties


def evolution_problems(old: catalog.Schema, new: catalog.Schema) -> list[str]:
    """Requires that each version of a schema can read records of the other."""
    from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType  # a development package
    from avro.schema import make_avsc_object

    violations = []
    parsed_old, parsed_new = (make_avsc_object(schema.definition, validate_enum_symbols=False) for schema in (old, new))
    for reader, writer, direction in (
        (parsed_new, parsed_old, "new code cannot read old records"),
        (parsed_old, parsed_new, "old code cannot read new records"),
    ):
        result = ReaderWriterCompatibilityChecker().get_compatibility(reader, writer)
        if result.compatibility is not SchemaCompatibilityType.compatible:
            violations.append(
                f"{new.name}: {direction}: {'; '.join(sorted(result.messages))} "
                f"at {', '.join(sorted(result.locations))}; "
                "give new fields a default and keep old ones, or create a new topic …-v2"
            )
    before, after = _hidden_properties(old.definition), _hidden_properties(new.definition)
    violations += [
        f"{new.name}.{path}: default or logicalType changed, which the fingerprint does not cover; add a new field"
        for path in before.keys() & after.keys()
        if before[path] != after[path]
    ]
    return violations


def topic_problems(topics: catalog.Catalog) -> list[str]:
    """Requires legal names, keys and identities, the raw header, a topic for each schema, and unique schema ids."""
    violations = []
    for topic in topics.topics.values():
        if not re.fullmatch(r"fleet(\.[a-z][a-z0-9]*(-[a-z0-9]+)*)+", topic.name):
            violations.append(
                f"{topic.name}: topic names are fleet.<stage>.<name> in a-z, 0-9, - (. and _ collide in metric names)"
            )
        if topic.retention is None and "compact" not in topic.cleanup:
            violations.append(f"{topic.name}: only a compacted topic may keep records forever")
        if not topic.doc or not topic.owner:
            violations.append(f"{topic.name}: no doc or owner")
        if topic.schema == "json":
            continue
        if topic.schema not in catalog.schema_names():
            violations.append(f"{topic.name}: there is no avsc/{topic.schema}.avsc")
            continue
        names = [field["name"] for field in catalog.schema(topic.schema).definition["fields"]]
        violations += [
            f"{topic.name}: {topic.schema} has no field {field}, which key or identity contains"
            for field in {*topic.key, *topic.identity} - set(names)
        ]
        if topic.alias.startswith("raw-") and tuple(names[: len(RAW_HEADER)]) != RAW_HEADER:
            violations.append(f"{topic.schema}: a raw record must begin with the fields {', '.join(RAW_HEADER)}")
    unused = set(catalog.schema_names()) - {topic.schema for topic in topics.topics.values()}
    violations += [f"avsc/{name}.avsc: no topic uses it" for name in sorted(unused)]
    names_by_id: dict[int, str] = {}
    for schema in catalog.published_schemas().values():
        other = names_by_id.setdefault(schema.id, schema.name)
        if other != schema.name:
            violations.append(f"{schema.name} and {other} share the id {schema.id}; rename a field of one")
    return violations
