"""Rates from cumulative counters, and their angles. Pure and total: nothing raises or gives NaN or infinity.

What two readings can say and what they cannot:

- a reset, a wrap and another device under the same name look alike (the counter fell): none of them is a rate;
- a reading that is unknown, NaN or infinite is no reading; nor is an elapsed time that is not a positive number;
- a quotient beyond what a double holds (a counter over 10⁻³²⁰ s) is no rate.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from functools import cache
from math import atan
from typing import Final

Reading = int | float | None
Counters = Sequence[Reading]
LARGEST: Final = sys.float_info.max
DEGREES: Final = 180 / math.pi


def rate(before: Reading, now: Reading, elapsed_s: float) -> float | None:
    """Units per second between two readings of a cumulative counter.

    None where there is nothing to say: a reading is unknown, no time has passed, or the counter went backwards (a
    reset, a wrap or another device under the same name; the three cannot be told apart, so none is guessed).
    """
    if before is None or now is None or now < before:
        return None
    return _per_s(now - before, elapsed_s)


def change(before: Reading, now: Reading, elapsed_s: float) -> float | None:
    """Units per second between two readings of a quantity that may also fall, such as memory in use."""
    if before is None or now is None:
        return None
    return _per_s(now - before, elapsed_s)


def _per_s(difference: float, elapsed_s: float) -> float | None:
    if not 0 < elapsed_s < math.inf:
        return None
    found = difference / elapsed_s
    return found if math.isfinite(found) else None


def angle(rate_per_s: float | None) -> float | None:
    """The slope of a rate in degrees: atan(rate)."""
    return None if rate_per_s is None else atan(rate_per_s) * DEGREES


@cache
def _fields(names: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    return tuple((f"{name}_rate", f"{name}_angle") for name in names)


def rates(names: tuple[str, ...], before: Counters, now: Counters, elapsed_s: float) -> dict[str, float | None]:
    """`<name>_rate` and `<name>_angle` of each counter.

    The hot loop of all rates: it says the same as `rate` and `angle`, without their calls.
    """
    fields: dict[str, float | None] = {}
    if not 0 < elapsed_s < math.inf:
        return fields | dict.fromkeys(each for pair in _fields(names) for each in pair)
    for (rate_name, angle_name), was, is_ in zip(_fields(names), before, now, strict=True):
        if was is None or is_ is None or is_ < was or not (per_s := (is_ - was) / elapsed_s) <= LARGEST:
            fields[rate_name] = fields[angle_name] = None
        else:
            fields[rate_name] = per_s
            fields[angle_name] = atan(per_s) * DEGREES
    return fields
