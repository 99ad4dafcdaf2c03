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

    def enter(self, timeout_s: float) -> int:
        """Waits for its turn, `timeout_s` seconds at most. How many are inside then; 0 if its turn did not come."""
        with self._open:
            if not self._open.wait_for(lambda: self._inside < self.limit, max(0.0, timeout_s)):
                return 0
            self._inside += 1
            return self._inside

    def narrow(self, at_first: int) -> bool:
        """Lets one through at a time from now on, if somebody inside was not alone; `at_first`: what `enter` said."""
        with self._open:
            if max(at_first, self._inside) == 1:
                return False
            self.limit = 1
            return True

    def leave(self) -> None:
        """Lets the next one in."""
        with self._open:
            self._inside -= 1
            self._open.notify()
