"""Words for people: what an alert says, and what libvirt's numbers mean. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

STATES: Final = {1: "running", 2: "blocked", 3: "paused", 4: "shutdown", 5: "shut off", 6: "crashed", 7: "suspended"}
"""State of a domain, by libvirt's number (virDomainState)."""


def sentence(alert: Mapping[str, Any]) -> str:
    """What an alert transition says to a person; a cleared one tells the value now."""
    now = alert["value"]
    told = str(alert["text"])
    return f"{told}; now {now:.1f}" if alert["transition"] == "cleared" and now is not None else told
