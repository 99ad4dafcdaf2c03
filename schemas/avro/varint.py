"""Decodes many of Avro's zigzag varints at once.

The numbers become lanes of one large integer, so that a few operations move the groups of 7 bits of all lanes.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from functools import cache
from typing import Final

VARINT: Final = rb"([\x80-\xff]{0,9}[\x00-\x7f])"
"""Pattern of a varint."""
LANES: Final = 128
"""Numbers decoded at once."""


def _in_lanes(pattern: int, width: int) -> int:
    return sum(pattern << at for at in range(0, 64 * LANES, width))


LONG_LANES: Final = _in_lanes(0x80 << 56, 64)
"""Bit that is set in the lane of a number with more than eight bytes."""
ODD, EVEN = _in_lanes(0x7F, 16), _in_lanes(0x7F00, 16)
ODD_2, EVEN_2 = _in_lanes(0x3FFF, 32), _in_lanes(0x3FFF << 16, 32)
ODD_4, EVEN_4 = _in_lanes(0xFFF_FFFF, 64), _in_lanes(0xFFF_FFFF << 32, 64)
NEGATIVE: Final = _in_lanes(1, 64)


@cache
def _packed(count: int) -> tuple[Callable[..., bytes], Callable[[bytes], tuple[int, ...]]]:
    return struct.Struct("8s" * count).pack, struct.Struct(f"<{count}q").unpack


def _decode_lanes(tokens: Sequence[bytes]) -> Sequence[int]:
    """Decodes varints; tokens without bytes become 0."""
    pack, unpack = _packed(len(tokens))
    lanes = int.from_bytes(pack(*tokens), "little")
    if lanes & LONG_LANES:
        return [_decode_long(token) for token in tokens]
    lanes = lanes & ODD | (lanes & EVEN) >> 1
    lanes = lanes & ODD_2 | (lanes & EVEN_2) >> 2
    lanes = lanes & ODD_4 | (lanes & EVEN_4) >> 4
    if signs := lanes & NEGATIVE:
        lanes = (lanes ^ signs) >> 1 ^ (signs << 64) - signs  # all bits of the lanes whose last bit was set
    else:
        lanes >>= 1
    return unpack(lanes.to_bytes(8 * len(tokens), "little"))


def _decode_long(token: bytes) -> int:
    rest = 0
    for byte in reversed(token):
        rest = rest << 7 | byte & 0x7F
    if rest >> 64:
        raise OverflowError("number of more than 64 bits")
    return rest >> 1 ^ -(rest & 1)


def longs(tokens: list[bytes]) -> Sequence[int | None]:
    """Decodes varints; tokens without bytes become None."""
    numbers: Sequence[int | None]
    if len(tokens) <= LANES:
        numbers = _decode_lanes(tokens)
    else:
        numbers = [lane for at in range(0, len(tokens), LANES) for lane in _decode_lanes(tokens[at : at + LANES])]
    if b"" in tokens:
        return [value if token else None for value, token in zip(numbers, tokens, strict=True)]
    return numbers


_varint: Final = re.compile(VARINT).match


def long(data: bytes, at: int) -> tuple[int, int]:
    """Reads a zigzag varint."""
    match = _varint(data, at)
    if match is None:
        raise ValueError("not a varint")
    return _decode_long(match[0]), match.end()


def size(data: bytes, at: int) -> tuple[int, int]:
    """Reads the length of a value or block."""
    first = data[at]
    if not first & 0x81:
        return first >> 1, at + 1
    length, at = long(data, at)
    if length < 0:
        raise ValueError("negative size")
    return length, at
