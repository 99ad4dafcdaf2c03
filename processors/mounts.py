"""Which processors there are: what the shell, the audit and a replay mount."""

from __future__ import annotations

from processors import alerts, health, power, presence, vms
from processors.steps import Step


def mounted() -> tuple[Step, ...]:
    """Every step. A new processor is a module and a word here."""
    return (vms.STEP, power.STEP, health.STEP, *alerts.STEPS, presence.STEP)
