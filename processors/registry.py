"""The processors: every step and join that the worker, the audit and a replay run."""

from __future__ import annotations

from typing import Final

from processors import health, hosts, power, presence, vm_power, vms
from processors.alerting import step as alerting
from processors.engine.step import AnyJoin, AnyStep

STEPS: Final[tuple[AnyStep, ...]] = (
    vms.STEP,
    hosts.STEP,
    power.STEP,
    health.STEP,
    *alerting.STEPS,
    presence.STEP,
)
"""Every step. To add a processor, write its module and list its step here."""
JOINS: Final[tuple[AnyJoin, ...]] = (vm_power.JOIN,)
"""Every join."""
