"""One simulated BMC at one time: what its readings follow. No I/O, no clock, no Redfish."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

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
        """The temperature that goes round the cycle: of the first CPU."""
        return COOL_CELSIUS + (HOT_CELSIUS - COOL_CELSIUS) * self.heat

    @property
    def other_celsius(self) -> float:
        """Of the other CPUs."""
        return 42.0 + 20 * self.load

    @property
    def inlet_celsius(self) -> float:
        """Of the air coming in."""
        return 22.0 + math.sin(2 * math.pi * self.at_s / 900)

    @property
    def exhaust_celsius(self) -> float:
        """Of the air going out."""
        return self.inlet_celsius + 8 + 12 * self.load

    @property
    def gpu_celsius(self) -> float:
        """Of a GPU."""
        return 40 + 40 * self.load

    def dimm_celsius(self, number: int) -> float:
        """Of a DIMM, from 1."""
        return 34.0 + number / 2 + 14 * self.load

    def fan_rpm(self, number: int) -> int:
        """Of a fan, from 0."""
        return round(4200 + 6000 * max(self.heat, self.load / 2) + 60 * number)

    def fan_percent(self, number: int) -> int:
        """The same of its most."""
        return round(self.fan_rpm(number) / 120)

    @property
    def watts(self) -> float:
        """Of the whole server."""
        return 180.0 + 320.0 * self.load

    @property
    def cpu_watts(self) -> float:
        """Of all CPUs together."""
        return 60 + 220 * self.load

    @property
    def memory_watts(self) -> float:
        """Of all DIMMs together."""
        return 25 + 30 * self.load

    @property
    def efficiency(self) -> float:
        """Of the power supplies, as a percentage."""
        return 91.0 + 3 * self.load

    @property
    def cpu_health(self) -> str:
        """What a BMC says of the first CPU's temperature."""
        return "Warning" if self.cpu_celsius >= CPU_WARNING_CELSIUS else "OK"
