"""Sentences about alerts, and names for libvirt's domain states. Pure."""

from __future__ import annotations

from typing import Final

from schemas.records import Alert

DOMAIN_STATES: Final = {
    1: "running",
    2: "blocked",
    3: "paused",
    4: "shutdown",
    5: "shut off",
    6: "crashed",
    7: "suspended",
}
"""Domain state by libvirt's number (virDomainState)."""


def alert_sentence(alert: Alert) -> str:
    """The text of an alert transition; for a cleared alert it ends with the current value."""
    now = alert["value"]
    text = alert["text"]
    return f"{text}; now {now:.1f}" if alert["transition"] == "cleared" and now is not None else text
