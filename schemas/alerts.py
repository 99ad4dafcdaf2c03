"""Alert rules that the alert engine raises by itself, as opposed to those of a rule pack.

Alerts about producers and targets suppress alerts raised from their readings, so both the engine and the sinks that
deliver alerts depend on these names. `component` and `severity` of each are set where it is raised.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

HEARTBEAT_CATEGORY: Final = "heartbeats"
"""Category of alerts about producers and targets; also the alias of the topic that they are raised from."""
PRODUCER_SILENT: Final = "producer-silent"
"""A producer's heartbeats are overdue: none of its targets is read."""
TARGETS_FAILING: Final = "targets-failing"
"""Many targets of one producer cannot be read; replaces their individual alerts."""
TARGET_RULES: Final[Mapping[str, str]] = MappingProxyType(
    {"unreachable": "target-unreachable", "auth_failed": "target-auth-failed"}
)
"""Status of a target that cannot be read → rule of its alert."""
TARGET_FAILING: Final = "target-failing"
"""Rule for a target with any other failure status."""
TARGET_FAILURE_RULES: Final = (*TARGET_RULES.values(), TARGET_FAILING)
"""Every rule about a single target that cannot be read."""
TOO_MANY_ALERTS: Final = "too-many-alerts"
"""A host has more breaches than the engine keeps; stands for those without an alert of their own."""
