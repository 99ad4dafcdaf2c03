"""Wire format of records: a zero byte, a 4-byte schema id, Avro.

This is the framing of Confluent's serializers, so standard tools can read the topics. The module does no I/O: callers
pass a function that looks up unknown schema ids.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from functools import cache
from io import BytesIO
from typing import Any, Final

from fastavro import schemaless_reader, schemaless_writer
from fastavro.read import SchemaResolutionError
from fastavro.schema import parse_schema

from schemas import catalog
from schemas.avro import reader as readers
from schemas.avro import writer as writers
from schemas.avro.foreign import check_schema
from schemas.avro.primitives import Reader
from schemas.catalog import AvroType

SchemaResolver = Callable[[int], Mapping[str, AvroType] | None]
"""Looks up the definition of a schema id that is not published in `schemas/published/`; None if there is none."""

HEADER: Final = struct.Struct(">bI")
MAX_REASON_LENGTH: Final = 300
_registry_ids: dict[int, int] = {}
"""Fingerprint id of a schema → its id in the schema registry."""


def use_registry_ids(ids: Mapping[int, int]) -> None:
    """Makes this process write the ids of a schema registry. `ids`: fingerprint id → id in the registry."""
    _registry_ids.update(ids)


def wire_id(schema: catalog.Schema) -> int:
    """Returns the id that this process writes in records of a schema."""
    return _registry_ids.get(schema.id, schema.id)


class DecodeError(Exception):
    """Bytes are not a record of the expected type. `reason` is a fixed word for metrics; the message has details."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def encode(schema: catalog.Schema, record: Mapping[str, object]) -> bytes:
    """Encodes a record.

    Raises:
        ValueError: The record does not match its schema.
    """
    header = HEADER.pack(0, wire_id(schema))
    write = _compiled_writer(schema.name, schema.id)
    if write is not None:
        try:
            return header + write(record)
        except Exception:  # noqa: BLE001, S110  a missing or wrong field: fastavro decides
            pass
    buffer = BytesIO()
    buffer.write(header)
    try:
        schemaless_writer(buffer, schema.parsed, record)
    except Exception as error:
        # fastavro raises many types for a wrong value: TypeError, KeyError, OverflowError and others.
        raise ValueError(f"not a {schema.name}: {error!r}") from error
    return buffer.getvalue()


@cache
def _compiled_writer(name: str, schema_id: int) -> writers.Writer | None:
    """Returns the compiled writer of a published schema version, or None."""
    version = catalog.published_schemas().get(schema_id)
    return writers.compile_writer(version.definition) if version is not None and version.name == name else None


@cache
def _compiled_reader(name: str, schema_id: int) -> Reader | None:
    """Returns the compiled reader of a published schema version, or None."""
    version = catalog.published_schemas().get(schema_id)
    return readers.compile_reader(version.definition) if version is not None and version.name == name else None


class Decoder:
    """Decodes records of one type, written with any published version of its schema."""

    def __init__(self, schema: catalog.Schema, resolve: SchemaResolver | None = None) -> None:
        self.schema = schema
        self._resolve = resolve
        self._writer_schemas: dict[int, tuple[AvroType, AvroType | None]] = {schema.id: (schema.parsed, None)}
        """Schema id → schema of the writer, and schema of the reader; None if it is the same."""
        self._current_ids = {schema.id}
        """Ids of the current version: the fingerprint id, and its ids in schema registries."""

    def decode(self, value: bytes | None) -> dict[str, Any]:
        """Decodes the value of a Kafka record.

        Raises:
            DecodeError: With reason `empty`, `not-framed`, `unknown-schema`, `foreign-schema`, `bad-schema` or
                `truncated`.
        """
        if not value:
            raise DecodeError("empty", "no bytes")
        if len(value) <= HEADER.size or value[0] != 0:
            raise DecodeError("not-framed", f"{len(value)} bytes without the prefix of a zero byte and a schema id")
        schema_id = HEADER.unpack_from(value)[1]
        if schema_id in self._current_ids and (read := _compiled_reader(self.schema.name, self.schema.id)) is not None:
            record: dict[str, Any]
            try:
                record, end = read(value, HEADER.size)
            except Exception:  # noqa: BLE001, S110  invalid or unusual bytes: fastavro decides
                pass
            else:
                if end == len(value):
                    return record
        return self._decode_with_fastavro(schema_id, value)

    def _decode_with_fastavro(self, schema_id: int, value: bytes) -> dict[str, Any]:
        writer_schema, reader_schema = self._writer_schemas.get(schema_id) or self._resolve_schemas(schema_id)
        buffer = BytesIO(value)
        buffer.seek(HEADER.size)
        record: dict[str, Any]
        try:
            record = schemaless_reader(buffer, writer_schema, reader_schema)
        except Exception as error:
            # Random bytes make fastavro raise EOFError, IndexError, UnicodeDecodeError, ValueError and others.
            is_unresolved = isinstance(error, SchemaResolutionError)
            raise DecodeError(
                "bad-schema" if is_unresolved else "truncated",
                f"bytes are not a complete {self.schema.name}: {repr(error)[:MAX_REASON_LENGTH]}",
            ) from error
        if buffer.tell() != len(value):
            raise DecodeError("truncated", f"{len(value) - buffer.tell()} extra bytes after a {self.schema.name}")
        return record

    def _resolve_schemas(self, schema_id: int) -> tuple[AvroType, AvroType | None]:
        version = catalog.published_schemas().get(schema_id)
        definition = version.definition if version else self._resolve(schema_id) if self._resolve else None
        if definition is None:
            raise DecodeError("unknown-schema", f"no schema has the id {schema_id}")
        try:
            checked = check_schema(definition)
            name = checked["name"].rpartition(".")[2]
            if name == self.schema.name:
                # A registry's id may belong to the current version.
                is_current = catalog.fingerprint_id(checked) == self.schema.id
                schemas = (self.schema.parsed, None) if is_current else (parse_schema(checked), self.schema.parsed)
        except Exception as error:
            # BadSchema, and whatever fastavro raises for a definition that it does not accept.
            raise DecodeError("bad-schema", f"schema {schema_id}: {str(error)[:MAX_REASON_LENGTH]}") from error
        if name != self.schema.name:
            raise DecodeError("foreign-schema", f"a {name} instead of a {self.schema.name}")
        if is_current:
            self._current_ids.add(schema_id)
        self._writer_schemas[schema_id] = schemas
        return schemas
