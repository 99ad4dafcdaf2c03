"""One simulated BMC at one time, and what its documents have in common. No I/O, no clock."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

Document = dict[str, Any]

ROOT: Final = "/redfish/v1"
SYSTEM: Final = f"{ROOT}/Systems/System.Embedded.1"
CHASSIS: Final = f"{ROOT}/Chassis/System.Embedded.1"
LOAD_PERIOD_S: Final = 120.0
COOL_CELSIUS: Final = 52.0
HOT_CELSIUS: Final = 98.0
CPU_CRITICAL_CELSIUS: Final = 100.0
CPU_WARNING_CELSIUS: Final = 92.0
PLATEAU: Final = 1.2
"""The cycle is cut off at its top by this factor, so that a breach lasts some polls: 0.31 to 0.69 of the period."""
GOLDEN: Final = 0.381966
"""Spreads any number of BMCs over the cycle."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One BMC at one time."""

    number: int
    """From 0."""
    at_s: float
    """Since its start."""
    heat_period_s: float
    """Length of the temperature's cycle; the first BMC begins it at 0, the others within one period after it."""

    @property
    def load(self) -> float:
        """From 0.2 to 0.7."""
        return 0.45 - 0.25 * math.cos(2 * math.pi * (self.at_s / LOAD_PERIOD_S + self.number * GOLDEN))

    @property
    def heat(self) -> float:
        """From 0, cool, to 1, hot."""
        into_s = self.at_s - (self.number * GOLDEN % 1.0) * self.heat_period_s
        if into_s <= 0:
            return 0.0
        return min(1.0, PLATEAU * (1 - math.cos(2 * math.pi * into_s / self.heat_period_s)) / 2)

    @property
    def cpu_celsius(self) -> float:
        """The temperature that goes round the cycle."""
        return COOL_CELSIUS + (HOT_CELSIUS - COOL_CELSIUS) * self.heat

    @property
    def watts(self) -> float:
        """Of the whole server."""
        return 180.0 + 320.0 * self.load


def status(health: str = "OK") -> Document:
    """Status of something that is there."""
    return {"State": "Enabled", "Health": health}


def link(uri: str) -> Document:
    """A link."""
    return {"@odata.id": uri}


def collection(uri: str, kind: str, ids: Sequence[str]) -> Document:
    """A collection of members under its own URI."""
    return {
        "@odata.id": uri,
        "@odata.type": f"#{kind}Collection.{kind}Collection",
        "Name": f"{kind} Collection",
        "Members": [link(f"{uri}/{each}") for each in ids],
        "Members@odata.count": len(ids),
    }
