"""Limits the number of concurrent requests to one BMC."""

from __future__ import annotations

import threading
from typing import Final

MAX_CONCURRENT_REQUESTS: Final = 4
"""Limit for a BMC that accepts several requests at once."""


class ConcurrencyLimit:
    """Semaphore whose limit may change while requests are in flight."""

    def __init__(self, limit: int = MAX_CONCURRENT_REQUESTS) -> None:
        self.limit = limit
        self._in_flight = 0
        self._slot_free = threading.Condition()

    def acquire(self, timeout_s: float) -> int:
        """Waits for a slot, for `timeout_s` seconds at most.

        Returns:
            Number of requests in flight including this one; 0 if no slot became free in time.
        """
        with self._slot_free:
            if not self._slot_free.wait_for(lambda: self._in_flight < self.limit, max(0.0, timeout_s)):
                return 0
            self._in_flight += 1
            return self._in_flight

    def serialize(self, in_flight_at_start: int) -> bool:
        """Reduces the limit to one if the calling request was not alone. True if it was reduced.

        Args:
            in_flight_at_start: Result of `acquire` for the calling request.
        """
        with self._slot_free:
            if max(in_flight_at_start, self._in_flight) == 1:
                return False
            self.limit = 1
            return True

    def release(self) -> None:
        """Frees the slot of a request."""
        with self._slot_free:
            self._in_flight -= 1
            self._slot_free.notify()
