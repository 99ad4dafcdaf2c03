"""Circuit breaker: after some failures a BMC gets one request at a time, at growing pauses. No I/O.

A slow BMC must not be mistaken for a dead one: a time-out counts only if it exceeds what this BMC took for other
responses by far, and every response, whatever its status, resets the count.
"""

from __future__ import annotations

import threading
from typing import Final

from producers.redfish.http.errors import DeadlineExceeded, ResponseTimeout, Unreachable
from producers.redfish.http.transport import Clock

MAX_FAILURES: Final = 3
"""Consecutive failures that open the breaker."""
COSTLY_FAILURE_S: Final = 5.0
"""A single failure that took this long opens it if the BMC has never responded: the next ones would take as long."""
MIN_TIMEOUT_S: Final = 2.0
TIMEOUT_FACTOR: Final = 3.0
"""A time-out counts as a failure after this multiple of the slowest recent response, and MIN_TIMEOUT_S at least."""
SLOWEST_DECAY: Final = 0.9
"""The recorded slowest response time is multiplied by this with each faster response."""
INITIAL_PAUSE_S: Final = 2.0
MAX_PAUSE_S: Final = 60.0
"""The pause doubles with each failure, up to the maximum."""


class CircuitBreaker:
    """Decides whether a request is sent to a BMC. Safe for several threads.

    Each `admit` is followed by exactly one of `record_response`, `record_failure` and `release`.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._has_responded = False
        self._slowest_s = 0.0
        self._failures = 0
        self._cause: Unreachable | None = None
        self._pause_s = INITIAL_PAUSE_S
        self._open_until_s = 0.0
        self._trial_running = False

    def admit(self) -> bool:
        """Admits a request. True if it is the trial that finds out whether the BMC is back.

        Raises:
            Unreachable: The breaker is open; the cause is that of the last failure.
        """
        with self._lock:
            if self._cause is None:
                return False
            if self._trial_running or self._clock() < self._open_until_s:
                raise self._cause.as_cached()
            self._trial_running = True
            return True

    def record_response(self, duration_s: float) -> None:
        """Closes the breaker: the BMC responded after this many seconds."""
        with self._lock:
            self._has_responded, self._trial_running, self._failures, self._cause = True, False, 0, None
            self._pause_s = INITIAL_PAUSE_S
            self._slowest_s = max(duration_s, self._slowest_s * SLOWEST_DECAY)

    def record_failure(self, error: Unreachable, duration_s: float, *, trial: bool) -> None:
        """Counts a request that got no response within `duration_s` seconds."""
        with self._lock:
            if trial:
                self._trial_running = False
                if not isinstance(error, DeadlineExceeded):
                    self._pause_s = min(MAX_PAUSE_S, self._pause_s * 2)
                    self._open(error)
            elif self._counts(error, duration_s):
                self._failures += 1
                limit = 1 if not self._has_responded and duration_s >= COSTLY_FAILURE_S else MAX_FAILURES
                if self._failures >= limit and self._cause is None:
                    self._open(error)

    def release(self, *, trial: bool) -> None:
        """Ends a request that says nothing about the BMC."""
        with self._lock:
            self._trial_running = self._trial_running and not trial

    def _open(self, error: Unreachable) -> None:
        self._cause = error.as_cached()
        self._open_until_s = self._clock() + self._pause_s

    def _counts(self, error: Unreachable, duration_s: float) -> bool:
        if isinstance(error, ResponseTimeout):
            return duration_s >= max(MIN_TIMEOUT_S, TIMEOUT_FACTOR * self._slowest_s)
        return not isinstance(error, DeadlineExceeded)
