"""Readings of one simulated BMC at one time, as functions of its number and the time. No I/O, no Redfish."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

LOAD_PERIOD_S: Final = 120.0
INLET_PERIOD_S: Final = 900.0
COOL_CELSIUS: Final = 52.0
HOT_CELSIUS: Final = 98.0
CPU_CRITICAL_CELSIUS: Final = 100.0
CPU_WARNING_CELSIUS: Final = 92.0
PEAK_CLIPPING: Final = 1.2
"""The heat cycle is scaled by this and clipped at 1, so that it stays hot from 0.31 to 0.69 of the period: long enough
for several polls."""
GOLDEN_SECTION: Final = 0.381966
"""Multiples of it modulo 1 spread any number of BMCs evenly over a cycle."""


@dataclass(frozen=True, slots=True)
class SimulatedReadings:
    """Readings of one BMC at one time."""

    number: int
    """Number of the BMC, from 0."""
    elapsed_s: float
    """Time since the BMC started."""
    heat_period_s: float
    """Length of the heat cycle. The first BMC starts it at 0, the others within one period after that."""

    @property
    def load(self) -> float:
        """Load of the server, from 0.2 to 0.7."""
        return 0.45 - 0.25 * math.cos(2 * math.pi * (self.elapsed_s / LOAD_PERIOD_S + self.number * GOLDEN_SECTION))

    @property
    def heat(self) -> float:
        """Position in the heat cycle, from 0 (cool) to 1 (hot)."""
        cycle_s = self.elapsed_s - (self.number * GOLDEN_SECTION % 1.0) * self.heat_period_s
        if cycle_s <= 0:
            return 0.0
        return min(1.0, PEAK_CLIPPING * (1 - math.cos(2 * math.pi * cycle_s / self.heat_period_s)) / 2)

    @property
    def cpu_celsius(self) -> float:
        """Temperature of the first CPU, which follows the heat cycle."""
        return COOL_CELSIUS + (HOT_CELSIUS - COOL_CELSIUS) * self.heat

    @property
    def other_celsius(self) -> float:
        """Temperature of the other CPUs."""
        return 42.0 + 20 * self.load

    @property
    def inlet_celsius(self) -> float:
        """Temperature of the intake air."""
        return 22.0 + math.sin(2 * math.pi * self.elapsed_s / INLET_PERIOD_S)

    @property
    def exhaust_celsius(self) -> float:
        """Temperature of the exhaust air."""
        return self.inlet_celsius + 8 + 12 * self.load

    @property
    def gpu_celsius(self) -> float:
        """Temperature of a GPU."""
        return 40 + 40 * self.load

    def dimm_celsius(self, number: int) -> float:
        """Temperature of a DIMM, numbered from 1."""
        return 34.0 + number / 2 + 14 * self.load

    def fan_rpm(self, number: int) -> int:
        """Speed of a fan, numbered from 0."""
        return round(4200 + 6000 * max(self.heat, self.load / 2) + 60 * number)

    def fan_percent(self, number: int) -> int:
        """Speed of a fan as a percentage of its maximum."""
        return round(self.fan_rpm(number) / 120)

    @property
    def watts(self) -> float:
        """Power of the whole server."""
        return 180.0 + 320.0 * self.load

    @property
    def cpu_watts(self) -> float:
        """Power of all CPUs together."""
        return 60 + 220 * self.load

    @property
    def memory_watts(self) -> float:
        """Power of all DIMMs together."""
        return 25 + 30 * self.load

    @property
    def efficiency(self) -> float:
        """Efficiency of the power supplies, as a percentage."""
        return 91.0 + 3 * self.load

    @property
    def cpu_health(self) -> str:
        """Health that the BMC reports for the first CPU's temperature."""
        return "Warning" if self.cpu_celsius >= CPU_WARNING_CELSIUS else "OK"
