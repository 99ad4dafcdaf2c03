"""Rates of cumulative counters, and their angles. Pure; no input raises or yields NaN or infinity.

Limits of what two readings show:

- A reset, a wrap and another device under the same name look alike (the counter fell), so none of them gives a rate.
- An unknown, NaN or infinite reading, and an elapsed time that is not a positive number, give no rate.
- A quotient beyond the range of a double (a counter over 10⁻³²⁰ s) gives no rate.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from functools import cache
from math import atan
from typing import Final

CounterValue = int | float | None
Counters = Sequence[CounterValue]
MAX_DOUBLE: Final = sys.float_info.max
DEGREES_PER_RADIAN: Final = 180 / math.pi


def rate(before: CounterValue, now: CounterValue, elapsed_s: float) -> float | None:
    """Returns the units per second between two readings of a cumulative counter.

    None if a reading is unknown, no time has passed, or the counter went backwards: a reset, a wrap and another device
    under the same name cannot be distinguished, so none of them is guessed.
    """
    if before is None or now is None or now < before:
        return None
    return _per_second(now - before, elapsed_s)


def change(before: CounterValue, now: CounterValue, elapsed_s: float) -> float | None:
    """Returns the units per second between two readings of a quantity that may also fall, such as memory in use."""
    if before is None or now is None:
        return None
    return _per_second(now - before, elapsed_s)


def _per_second(difference: float, elapsed_s: float) -> float | None:
    if not 0 < elapsed_s < math.inf:
        return None
    quotient = difference / elapsed_s
    return quotient if math.isfinite(quotient) else None


def angle(rate_per_s: float | None) -> float | None:
    """Returns the slope of a rate in degrees: atan(rate)."""
    return None if rate_per_s is None else atan(rate_per_s) * DEGREES_PER_RADIAN


@cache
def _field_names(counters: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Returns (field of the rate, field of the angle) of each counter."""
    return tuple((f"{name}_rate", f"{name}_angle") for name in counters)


def unknown_rates(counters: tuple[str, ...]) -> dict[str, float | None]:
    """Returns `<name>_rate` and `<name>_angle` of each counter, all None."""
    return dict.fromkeys(field for pair in _field_names(counters) for field in pair)


def rates(counters: tuple[str, ...], before: Counters, now: Counters, elapsed_s: float) -> dict[str, float | None]:
    """Returns `<name>_rate` and `<name>_angle` of each counter.

    The hot loop of all rates: equivalent to `rate` and `angle`, without their calls.
    """
    if not 0 < elapsed_s < math.inf:
        return unknown_rates(counters)
    fields: dict[str, float | None] = {}
    for (rate_name, angle_name), old, new in zip(_field_names(counters), before, now, strict=True):
        if old is None or new is None or new < old or not (per_s := (new - old) / elapsed_s) <= MAX_DOUBLE:
            fields[rate_name] = fields[angle_name] = None
        else:
            fields[rate_name] = per_s
            fields[angle_name] = atan(per_s) * DEGREES_PER_RADIAN
    return fields
