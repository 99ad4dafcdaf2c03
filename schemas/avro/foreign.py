"""Checks Avro schemas that came from outside: parses them under limits and keeps only what a reader may believe.

A writer schema directs the decoder. One that refers to itself, or has array items of no bytes, makes a decoder loop or
crash on a record of a few bytes. So every value must take at least one byte, and every schema must be a finite tree:
the work for a record is then bounded by its length.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from schemas.catalog import AvroType

MAX_SCHEMA_BYTES: Final = 512 * 1024
"""Longest JSON text; our longest has less than a tenth."""
MAX_DEPTH: Final = 32
MAX_NODES: Final = 10_000
"""Types of a schema, where a type that is named again counts again with all its parts."""
MAX_NAME_LENGTH: Final = 500
MAX_FIXED_BYTES: Final = 64 * 1024
MAX_SYMBOLS: Final = 1000
PRIMITIVE_TYPES: Final = frozenset({"boolean", "int", "long", "float", "double", "bytes", "string"})
"""Types that take at least one byte: all but `null`, which is accepted in unions only."""
LOGICAL_TYPES: Final = frozenset({"timestamp-micros", "timestamp-millis"})
"""Others are ignored: a decimal of megabytes takes minutes to convert."""
NAME_PATTERN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*")


class BadSchema(ValueError):
    """A definition is not a schema, or not one that a reader may use."""


class _Checker:
    """Checks one definition and copies it, with known attributes only."""

    def __init__(self) -> None:
        self._nodes = 0
        self._sizes: dict[str, int] = {}
        """Name of a complete type → its number of nodes."""

    def check(self, avro: AvroType, depth: int, namespace: str) -> AvroType:  # noqa: PLR0911  one per Avro type
        """Returns a copy of a type that takes at least one byte.

        Raises:
            BadSchema: It may not be used.
        """
        self._count(1)
        if depth > MAX_DEPTH:
            raise BadSchema(f"nested more than {MAX_DEPTH} deep")
        match avro:
            case str():
                return self._check_name(avro, namespace)
            case list():
                return self._check_union(avro, depth, namespace)
            case {"type": "array", "items": items}:
                return {"type": "array", "items": self.check(items, depth + 1, namespace)}
            case {"type": "map", "values": values}:
                return {"type": "map", "values": self.check(values, depth + 1, namespace)}
            case {"type": "record" | "enum" | "fixed"}:
                return self._check_definition(avro, depth, namespace)
            case {"type": str() as name, "logicalType": str() as logical} if (
                name == "long" and logical in LOGICAL_TYPES
            ):
                return {"type": "long", "logicalType": logical}
            case {"type": kind}:
                return self.check(kind, depth + 1, namespace)
        raise BadSchema(f"{repr(avro)[:100]} is no type")

    def _count(self, nodes: int) -> None:
        self._nodes += nodes
        if self._nodes > MAX_NODES:
            raise BadSchema(f"more than {MAX_NODES} types")

    def _check_name(self, name: str, namespace: str) -> str:
        if name in PRIMITIVE_TYPES:
            return name
        if name == "null":
            raise BadSchema("null outside a union: its values have no bytes")
        full_name = _full_name(name, namespace)
        if full_name not in self._sizes:
            raise BadSchema(f"{full_name[:100]!r} refers to itself or to nothing")
        self._count(self._sizes[full_name])
        return full_name

    def _check_union(self, members: list[AvroType], depth: int, namespace: str) -> list[AvroType]:
        if not members or any(isinstance(member, list) for member in members):
            raise BadSchema("a union of nothing, or of unions")
        return [member if member == "null" else self.check(member, depth + 1, namespace) for member in members]

    def _check_definition(self, avro: Mapping[str, Any], depth: int, namespace: str) -> AvroType:
        own_namespace = avro.get("namespace", namespace)
        if own_namespace != "":
            _check_text(own_namespace)
        full_name = _full_name(_check_text(avro.get("name")), own_namespace)
        if full_name in self._sizes or full_name in PRIMITIVE_TYPES | {"null"}:
            raise BadSchema(f"{full_name} is defined twice")
        nodes = self._nodes
        copied: dict[str, AvroType] = {"type": avro["type"], "name": full_name}
        if avro["type"] == "record":
            copied["fields"] = self._check_fields(avro.get("fields"), depth, full_name.rpartition(".")[0])
        elif avro["type"] == "enum":
            symbols = avro.get("symbols")
            if not isinstance(symbols, list) or not 0 < len(symbols) <= MAX_SYMBOLS:
                raise BadSchema(f"{full_name} has no symbols, or more than {MAX_SYMBOLS}")
            copied["symbols"] = [_check_text(symbol) for symbol in symbols]
        else:
            size = avro.get("size")
            if type(size) is not int or not 0 < size <= MAX_FIXED_BYTES:
                raise BadSchema(f"{full_name} has no size between 1 and {MAX_FIXED_BYTES}")
            copied["size"] = size
        self._sizes[full_name] = self._nodes - nodes + 1
        return copied

    def _check_fields(self, fields: object, depth: int, namespace: str) -> list[AvroType]:
        if not isinstance(fields, list) or not fields:
            raise BadSchema("a record without fields: its values have no bytes")
        copied: dict[str, AvroType] = {}
        for field in fields:
            if not isinstance(field, dict):
                raise BadSchema(f"{repr(field)[:100]} is no field")
            name = _check_text(field.get("name"))
            if name in copied:
                raise BadSchema(f"two fields {name}")
            copied[name] = {"name": name, "type": self.check(field.get("type"), depth + 1, namespace)}
        return list(copied.values())


def check_schema(definition: object) -> dict[str, AvroType]:
    """Returns a copy of a record's definition, with only what decoding needs; its fingerprint is the same.

    Raises:
        BadSchema: It is no record, refers to itself, has values of no bytes, or exceeds a limit.
    """
    if not isinstance(definition, dict) or definition.get("type") != "record":
        raise BadSchema("not the definition of a record")
    copied: dict[str, AvroType] = _Checker().check(definition, 0, "")
    return copied


def _check_text(name: object) -> str:
    if not isinstance(name, str) or len(name) > MAX_NAME_LENGTH or not NAME_PATTERN.fullmatch(name):
        raise BadSchema(f"{repr(name)[:100]} is no name")
    return name


def _full_name(name: str, namespace: str) -> str:
    return name if "." in name or not namespace else f"{namespace}.{name}"
