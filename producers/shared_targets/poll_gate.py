"""Whether a shared producer may begin polls: only while it is known to be in its group. Pure: it is told the time."""

from __future__ import annotations

from typing import Final

FRESH_S: Final = 4.0
"""Its membership is looked at more often than this, or it does not poll: its last heartbeat may be 1.5 s older, and at
6 s without one the group gives its targets to others."""
PROOF_S: Final = 4.0
"""After a longer pause: by then a heartbeat has been answered, and the group has said if it had given them away."""


class Gate:
    """Closed at first. Written by the thread that looks, read by the loop's."""

    def __init__(self) -> None:
        self._seen_s = self._opens_s = float("-inf")

    def seen(self, now_s: float) -> bool:
        """Membership was looked at; whether that was in time."""
        fresh = now_s - self._seen_s < FRESH_S
        if not fresh:
            self._opens_s = now_s + PROOF_S
        self._seen_s = now_s
        return fresh

    def confirmed(self) -> None:
        """The group has just said what is ours."""
        self._opens_s = float("-inf")

    def is_open(self, now_s: float) -> bool:
        """Whether a poll may begin."""
        return self._opens_s <= now_s < self._seen_s + FRESH_S
