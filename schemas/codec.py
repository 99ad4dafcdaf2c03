"""The wire format: magic 0, a 4-byte schema id, Avro. Pure: looking an unknown id up is the caller's function.

It is the framing of Confluent's serialisers, so everyone's tools read the topics.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from functools import cache
from io import BytesIO
from typing import Any, Final

from fastavro import schemaless_reader, schemaless_writer
from fastavro.schema import parse_schema

from schemas import catalog
from schemas.avro import reader as readers
from schemas.avro import writer as writers
from schemas.avro.primitives import Reader

Record = dict[str, Any]
Resolve = Callable[[int], dict[str, Any] | None]
"""Finds the definition of a schema id that this code does not know, or None."""

HEADER: Final = struct.Struct(">bI")
_given: dict[int, int] = {}
"""Our id of a schema → the id that a registry gave it."""


def use_ids(given: Mapping[int, int]) -> None:
    """From now on this process writes a registry's ids of these schemas (our id → its id), in place of ours."""
    _given.update(given)


def wire_id(schema: catalog.Schema) -> int:
    """The id that records of a schema are written with."""
    return _given.get(schema.id, schema.id)


class Undecodable(Exception):
    """These bytes are not a record of this topic. `reason` is a fixed word for counting, the message says the rest."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


def encode(schema: catalog.Schema, record: Record) -> bytes:
    """The record's bytes.

    Raises:
        ValueError: the record does not fit its schema.
    """
    header = HEADER.pack(0, wire_id(schema))
    write = _writer(schema.name, schema.id)
    if write is not None:
        try:
            return header + write(record)
        except Exception:  # noqa: BLE001, S110  a field left out, or one that does not fit: fastavro says
            pass
    buffer = BytesIO()
    buffer.write(header)
    try:
        schemaless_writer(buffer, schema.parsed, record)
    except Exception as error:
        # fastavro raises whatever the wrong value made it trip over (TypeError, KeyError, OverflowError, …).
        raise ValueError(f"not a {schema.name}: {error!r}") from error
    return buffer.getvalue()


@cache
def _writer(name: str, schema_id: int) -> writers.Writer | None:
    """The compiled writer of a version that this code knows, or None."""
    known = catalog.published().get(schema_id)
    return writers.compiled(known.definition) if known is not None and known.name == name else None


@cache
def _reader(name: str, schema_id: int) -> Reader | None:
    """The compiled reader of a version that this code knows, or None."""
    known = catalog.published().get(schema_id)
    return readers.compiled(known.definition) if known is not None and known.name == name else None


class Decoder:
    """Reads records of one type, whichever published version they were written with."""

    def __init__(self, schema: catalog.Schema, resolve: Resolve | None = None) -> None:
        self.schema = schema
        self._resolve = resolve
        self._writers: dict[int, tuple[Any, Any]] = {schema.id: (schema.parsed, None)}
        """By id: the schema written with, and the one to read it as; None: the same."""
        self._own = {schema.id}
        """Ids of this very schema: ours, and a registry's."""

    def decode(self, value: bytes | None) -> Record:
        """The record.

        Raises:
            Undecodable: with reason `empty`, `not-framed`, `unknown-schema`, `foreign-schema` or `truncated`.
        """
        if not value:
            raise Undecodable("empty", "no bytes")
        if len(value) <= HEADER.size or value[0] != 0:
            raise Undecodable("not-framed", f"{len(value)} bytes that do not begin with 0 and a schema id")
        schema_id = HEADER.unpack_from(value)[1]
        if schema_id in self._own and (read := _reader(self.schema.name, self.schema.id)) is not None:
            record: Record
            try:
                record, end = read(value, HEADER.size)
            except Exception:  # noqa: BLE001, S110  bytes that are no record, or unusual ones: fastavro says
                pass
            else:
                if end == len(value):
                    return record
        return self._by_fastavro(schema_id, value)

    def _by_fastavro(self, schema_id: int, value: bytes) -> Record:
        writer, reader = self._writers.get(schema_id) or self._learn(schema_id)
        buffer = BytesIO(value)
        buffer.seek(HEADER.size)
        record: Record
        try:
            record = schemaless_reader(buffer, writer, reader)
        except Exception as error:
            # Random bytes make fastavro raise EOFError, IndexError, UnicodeDecodeError, ValueError and others.
            raise Undecodable("truncated", f"bytes are not a whole {self.schema.name}: {error!r}") from error
        if buffer.tell() != len(value):
            raise Undecodable("truncated", f"{len(value) - buffer.tell()} bytes left over after a {self.schema.name}")
        return record

    def _learn(self, schema_id: int) -> tuple[Any, Any]:
        known = catalog.published().get(schema_id)
        definition = known.definition if known else self._resolve(schema_id) if self._resolve else None
        if definition is None:
            raise Undecodable("unknown-schema", f"no schema has the id {schema_id}")
        if definition.get("name") != self.schema.name:
            raise Undecodable("foreign-schema", f"a {definition.get('name')} where a {self.schema.name} belongs")
        # Under a registry's id it may be the very schema that this code knows.
        if catalog.fingerprint_id(definition) == self.schema.id:
            self._own.add(schema_id)
        own = schema_id in self._own
        writer = (self.schema.parsed, None) if own else (parse_schema(definition), self.schema.parsed)
        self._writers[schema_id] = writer
        return writer
