"""Avro's numbers: zigzag varints, many at once. Pure.

The numbers are put together as lanes of one large integer, whose groups of 7 bits a few operations move for all lanes.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from functools import cache
from typing import Final

VARINT: Final = rb"([\x80-\xff]{0,9}[\x00-\x7f])"
"""A pattern that finds one."""
LANES: Final = 128
"""Numbers put together at once."""


def _in_lanes(pattern: int, width: int) -> int:
    return sum(pattern << at for at in range(0, 64 * LANES, width))


CONTINUED: Final = _in_lanes(0x80 << 56, 64)
"""Set in a lane whose number has more than eight bytes."""
ODD, EVEN = _in_lanes(0x7F, 16), _in_lanes(0x7F00, 16)
ODD_2, EVEN_2 = _in_lanes(0x3FFF, 32), _in_lanes(0x3FFF << 16, 32)
ODD_4, EVEN_4 = _in_lanes(0xFFF_FFFF, 64), _in_lanes(0xFFF_FFFF << 32, 64)
NEGATIVE: Final = _in_lanes(1, 64)


@cache
def _packed(count: int) -> tuple[Callable[..., bytes], Callable[[bytes], tuple[int, ...]]]:
    return struct.Struct("8s" * count).pack, struct.Struct(f"<{count}q").unpack


def _lanes(tokens: Sequence[bytes]) -> Sequence[int]:
    """The numbers that varints stand for, 0 for one without bytes: the lanes' groups of 7 bits are moved together."""
    pack, unpack = _packed(len(tokens))
    lanes = int.from_bytes(pack(*tokens), "little")
    if lanes & CONTINUED:
        return [_long(token) for token in tokens]
    lanes = lanes & ODD | (lanes & EVEN) >> 1
    lanes = lanes & ODD_2 | (lanes & EVEN_2) >> 2
    lanes = lanes & ODD_4 | (lanes & EVEN_4) >> 4
    if signs := lanes & NEGATIVE:
        lanes = (lanes ^ signs) >> 1 ^ (signs << 64) - signs  # all bits of the lanes whose last bit was set
    else:
        lanes >>= 1
    return unpack(lanes.to_bytes(8 * len(tokens), "little"))


def _long(token: bytes) -> int:
    rest = 0
    for byte in reversed(token):
        rest = rest << 7 | byte & 0x7F
    if rest >> 64:
        raise OverflowError("a number beyond 64 bits")
    return rest >> 1 ^ -(rest & 1)


def longs(tokens: list[bytes]) -> Sequence[int | None]:
    """The numbers of varints; None for one without bytes."""
    found: Sequence[int | None]
    if len(tokens) <= LANES:
        found = _lanes(tokens)
    else:
        found = [lane for at in range(0, len(tokens), LANES) for lane in _lanes(tokens[at : at + LANES])]
    if b"" in tokens:
        return [value if token else None for value, token in zip(found, tokens, strict=True)]
    return found


_varint: Final = re.compile(VARINT).match


def long(data: bytes, at: int) -> tuple[int, int]:
    """A zigzag varint."""
    found = _varint(data, at)
    if found is None:
        raise ValueError("no number")
    return _long(found[0]), found.end()


def size(data: bytes, at: int) -> tuple[int, int]:
    """The length of what follows."""
    first = data[at]
    if not first & 0x81:
        return first >> 1, at + 1
    found, at = long(data, at)
    if found < 0:
        raise ValueError("a negative size")
    return found, at
