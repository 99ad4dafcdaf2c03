"""Records as they came: their bytes, packed, and the little that is read of them without decoding. Pure."""

from __future__ import annotations

import zlib
from typing import Final, NamedTuple

from schemas.avro.primitives import string, texts
from schemas.avro.varint import long, size
from schemas.codec import HEADER

WORTH_PACKING: Final = 400
"""Bytes from which packing saves more than it costs: 50 sensors shrink to an eighth in 22 µs."""
PACKED, PLAIN = b"z", b"-"


class Peeked(NamedTuple):
    """The first fields of every record of a host."""

    host: str
    category: str
    observed_us: int
    """Microseconds since 1970."""


def peek(value: bytes) -> Peeked:
    """Reads them.

    Raises:
        ValueError, LookupError: these bytes are no such record.
    """
    if len(value) <= HEADER.size or value[0] != 0:
        raise ValueError("not framed")
    length, at = size(value, HEADER.size)
    host, at = value[at : at + length], at + length
    length, at = size(value, at)
    category, at = value[at : at + length], at + length
    micros, _ = long(value, at)
    return Peeked(texts[host], texts[category], micros)


class Letter(NamedTuple):
    """What is read of a dead letter: not the bytes that could not be taken."""

    stage: str
    reason: str


def peek_letter(value: bytes) -> Letter:
    """Reads it.

    Raises:
        ValueError, LookupError: these bytes are no dead letter.
    """
    if len(value) <= HEADER.size or value[0] != 0:
        raise ValueError("not framed")
    _topic, at = string(value, HEADER.size)
    _partition, at = long(value, at)
    _offset, at = long(value, at)
    stage, at = string(value, at)
    reason, _ = string(value, at)
    return Letter(stage, reason)


def pack(value: bytes) -> bytes:
    """The bytes to keep of a record."""
    return PACKED + zlib.compress(value, 1) if len(value) >= WORTH_PACKING else PLAIN + value


def unpack(kept: bytes) -> bytes:
    """The record's bytes."""
    return zlib.decompress(kept[1:]) if kept[:1] == PACKED else kept[1:]
