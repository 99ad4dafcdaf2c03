"""What compiled readers are made of: functions that read one Avro value, but for records. Pure.

Each takes bytes and a position, and returns the value and the position after it. A position beyond the end stands for
bytes that are missing: the next read fails, or the caller compares at the end.
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
"""Raises anything at all where fastavro must be asked."""

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
MOST: Final = 1 << 16
"""Texts that are kept: names come again at every poll."""


class _Texts(dict[bytes, str]):
    def __missing__(self, token: bytes) -> str:
        if len(self) >= MOST:
            self.clear()
        found = self[token] = token.decode()
        return found


texts: Final = _Texts()


def raw(data: bytes, at: int) -> tuple[bytes, int]:
    """Bytes after their length."""
    length, at = size(data, at)
    return data[at : at + length], at + length


def string(data: bytes, at: int) -> tuple[str, int]:
    """UTF-8 after its length."""
    found, at = raw(data, at)
    return found.decode(), at


def boolean(data: bytes, at: int) -> tuple[bool, int]:
    """One byte."""
    return (False, True)[data[at]], at + 1


_double: Final = struct.Struct("<d")


def double(data: bytes, at: int) -> tuple[float, int]:
    """Eight bytes."""
    return _double.unpack_from(data, at)[0], at + 8


def instant(micros: int) -> datetime:
    """A time from microseconds since 1970."""
    return EPOCH + timedelta(microseconds=micros)


def timestamp(data: bytes, at: int) -> tuple[datetime, int]:
    """The same from bytes."""
    micros, at = long(data, at)
    return instant(micros), at


@cache
def nullable_doubles(count: int) -> Reader:
    """A run of fields, each a double or null."""
    present, width = b"\x02" * count, 9 * count
    unpack = struct.Struct("<" + "xd" * count).unpack_from
    match = re.compile(rb"(?:\x02(.{8})|\x00)" * count, re.DOTALL).match

    def read(data: bytes, at: int) -> tuple[Any, int]:
        if data[at : at + width : 9] == present:
            return unpack(data, at), at + width
        found = match(data, at)
        if found is None:
            raise ValueError("no nullable doubles")
        return [token and _double.unpack(token)[0] for token in found.groups()], found.end()

    return read


PRESENT: Final = {0: False, 2: True}
"""Whether a union with null has a value, by its first byte."""


def nullable(inner: Reader) -> Reader:
    """Reads a union with null, whose value `inner` reads."""

    def read(data: bytes, at: int) -> tuple[Any, int]:
        return inner(data, at + 1) if PRESENT[data[at]] else (None, at + 1)

    return read


def array(item: Reader) -> Reader:
    """Reads a list, in blocks as our writers make them."""

    def read(data: bytes, at: int) -> tuple[list[Any], int]:
        found = []
        length, at = size(data, at)
        while length:
            for _ in range(length):
                value, at = item(data, at)
                found.append(value)
            length, at = size(data, at)
        return found, at

    return read


def mapping(item: Reader) -> Reader:
    """Reads a dict, likewise."""

    def read(data: bytes, at: int) -> tuple[dict[str, Any], int]:
        found = {}
        length, at = size(data, at)
        while length:
            for _ in range(length):
                key, at = string(data, at)
                found[key], at = item(data, at)
            length, at = size(data, at)
        return found, at

    return read


PRIMITIVES: Final[Mapping[str, Reader]] = {
    "string": string,
    "long": long,
    "int": long,
    "double": double,
    "boolean": boolean,
    "bytes": raw,
}
