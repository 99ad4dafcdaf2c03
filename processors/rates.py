"""Rates from cumulative counters, and their angles. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence

Counters = Sequence[int | None]


def rate(before: int | None, now: int | None, elapsed_s: float) -> float | None:
    """Units per second between two readings of a cumulative counter.

    None where there is nothing to say: a reading is unknown, no time has passed, or the counter went backwards (a
    reset, a wrap or another device under the same name; the three cannot be told apart, so none is guessed).
    """
    if before is None or now is None or elapsed_s <= 0 or now < before:
        return None
    return (now - before) / elapsed_s


def change(before: int | None, now: int | None, elapsed_s: float) -> float | None:
    """Units per second between two readings of a quantity that may also fall, such as memory in use."""
    if before is None or now is None or elapsed_s <= 0:
        return None
    return (now - before) / elapsed_s


def angle(rate_per_s: float | None) -> float | None:
    """The slope of a rate in degrees: atan(rate)."""
    return None if rate_per_s is None else math.degrees(math.atan(rate_per_s))


def rates(names: Sequence[str], before: Counters, now: Counters, elapsed_s: float) -> dict[str, float | None]:
    """`<name>_rate` and `<name>_angle` of each counter."""
    fields: dict[str, float | None] = {}
    for name, was, is_ in zip(names, before, now, strict=True):
        per_s = rate(was, is_, elapsed_s)
        fields[f"{name}_rate"] = per_s
        fields[f"{name}_angle"] = angle(per_s)
    return fields
