"""Which processors there are: what the shell, the audit and a replay mount."""

from __future__ import annotations

from processors import health, hosts, power, presence, vm_power, vms
from processors.alerting import step
from processors.engine.step import Join, Step


def mounted() -> tuple[Step, ...]:
    """Every step. A new processor is a module and a word here."""
    return (vms.STEP, hosts.STEP, power.STEP, health.STEP, *step.STEPS, presence.STEP)


def joined() -> tuple[Join, ...]:
    """Every join."""
    return (vm_power.JOIN,)
