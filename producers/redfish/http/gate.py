"""How many requests one BMC is asked at once."""

from __future__ import annotations

import threading
from typing import Final

AT_ONCE: Final = 4
"""Requests under way at one BMC, where it takes several at all."""


class Gate:
    """Lets `limit` requests through at a time; the limit may change while they are under way."""

    def __init__(self, limit: int = AT_ONCE) -> None:
        self.limit = limit
        self._inside = 0
        self._open = threading.Condition()

    def enter(self, timeout_s: float) -> bool:
        """Waits for its turn, `timeout_s` seconds at most; whether it came."""
        with self._open:
            if not self._open.wait_for(lambda: self._inside < self.limit, max(0.0, timeout_s)):
                return False
            self._inside += 1
            return True

    def leave(self) -> None:
        """Lets the next one in."""
        with self._open:
            self._inside -= 1
            self._open.notify()
