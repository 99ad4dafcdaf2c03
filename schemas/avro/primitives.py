"""Functions that read single Avro values, of which compiled readers consist.

Each takes bytes and a position, and returns the value and the position after it. A position beyond the end means that
bytes are missing: the next read fails, or the caller compares the final position with the length.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, Final

from schemas.avro.varint import long, size

Reader = Callable[[bytes, int], tuple[Any, int]]
"""Raises any exception for data that fastavro must decode."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MAX_CACHED_STRINGS: Final = 1 << 16
"""Number of cached strings: names recur at every poll."""


class _StringCache(dict[bytes, str]):
    def __missing__(self, token: bytes) -> str:
        if len(self) >= MAX_CACHED_STRINGS:
            self.clear()
        text = self[token] = token.decode()
        return text


string_cache: Final = _StringCache()


def raw(data: bytes, at: int) -> tuple[bytes, int]:
    """Reads bytes after their length."""
    length, at = size(data, at)
    return data[at : at + length], at + length


def string(data: bytes, at: int) -> tuple[str, int]:
    """Reads UTF-8 after its length."""
    token, at = raw(data, at)
    return token.decode(), at


def boolean(data: bytes, at: int) -> tuple[bool, int]:
    """Reads a boolean, one byte."""
    return (False, True)[data[at]], at + 1


_double: Final = struct.Struct("<d")


def double(data: bytes, at: int) -> tuple[float, int]:
    """Reads a double, eight bytes."""
    return _double.unpack_from(data, at)[0], at + 8


def datetime_from_micros(micros: int) -> datetime:
    """Returns the time that lies `micros` microseconds after 1970."""
    return EPOCH + timedelta(microseconds=micros)


def timestamp(data: bytes, at: int) -> tuple[datetime, int]:
    """Reads a time in microseconds since 1970."""
    micros, at = long(data, at)
    return datetime_from_micros(micros), at


@cache
def nullable_doubles(count: int) -> Reader:
    """Returns a reader for `count` consecutive fields, each a double or null."""
    present, width = b"\x02" * count, 9 * count
    unpack = struct.Struct("<" + "xd" * count).unpack_from
    match = re.compile(rb"(?:\x02(.{8})|\x00)" * count, re.DOTALL).match

    def read(data: bytes, at: int) -> tuple[Any, int]:
        if data[at : at + width : 9] == present:
            return unpack(data, at), at + width
        values = match(data, at)
        if values is None:
            raise ValueError("no nullable doubles")
        return [token and _double.unpack(token)[0] for token in values.groups()], values.end()

    return read


NULL_FLAGS: Final = {0: False, 2: True}
"""First byte of a union with null → True if it has a value."""


def nullable(inner: Reader) -> Reader:
    """Returns a reader for a union with null, whose value `inner` reads."""

    def read(data: bytes, at: int) -> tuple[Any, int]:
        return inner(data, at + 1) if NULL_FLAGS[data[at]] else (None, at + 1)

    return read


def array(item: Reader) -> Reader:
    """Returns a reader for arrays, in blocks without byte sizes."""

    def read(data: bytes, at: int) -> tuple[list[Any], int]:
        items = []
        length, at = size(data, at)
        while length:
            for _ in range(length):
                value, at = item(data, at)
                items.append(value)
            length, at = size(data, at)
        return items, at

    return read


def mapping(item: Reader) -> Reader:
    """Returns a reader for maps, in blocks without byte sizes."""

    def read(data: bytes, at: int) -> tuple[dict[str, Any], int]:
        entries = {}
        length, at = size(data, at)
        while length:
            for _ in range(length):
                key, at = string(data, at)
                entries[key], at = item(data, at)
            length, at = size(data, at)
        return entries, at

    return read


PRIMITIVES: Final[Mapping[str, Reader]] = {
    "string": string,
    "long": long,
    "int": long,
    "double": double,
    "boolean": boolean,
    "bytes": raw,
}
