"""Leaves a dead BMC alone: after some failures one request at a time goes out, at growing pauses. No I/O.

A BMC that is slow must not be taken for a dead one: only an answer that is overdue by what this BMC took for others
counts, and every answer, whatever it says, ends the count.
"""

from __future__ import annotations

import threading
from typing import Final

from producers.redfish.http.errors import Late, Silent, Unreachable
from producers.redfish.http.transport import Clock

FAILURES: Final = 3
"""One after another, without an answer between them."""
COSTLY_S: Final = 5.0
"""A failure that took this long is enough, where the BMC has never answered: others would wait as long."""
PATIENCE_S: Final = 2.0
SLOWER: Final = 3.0
"""No answer counts as a failure after this many times the slowest answer of late, and PATIENCE_S."""
FADES: Final = 0.9
"""What is left of the slowest answer's time at each later answer."""
PAUSE_S: Final = 2.0
"""The first pause; doubled at each failure up to LONGEST_S."""
LONGEST_S: Final = 60.0


class Breaker:
    """Whether a BMC is asked. Safe for several threads. Each `admit` is followed by one of the other three."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._heard = False
        self._slowest_s = 0.0
        self._failures = 0
        self._cause: Unreachable | None = None
        self._pause_s = PAUSE_S
        self._until_s = 0.0
        self._trying = False

    def admit(self) -> bool:
        """Lets a request go out; whether it is the one that tries if the BMC is back.

        Raises:
            Unreachable: it should not; the cause is that of the last one that did.
        """
        with self._lock:
            if self._cause is None:
                return False
            if self._trying or self._clock() < self._until_s:
                raise self._cause.remembered()
            self._trying = True
            return True

    def answered(self, took_s: float) -> None:
        """The BMC answered, after this many seconds."""
        with self._lock:
            self._heard, self._trying, self._failures, self._cause = True, False, 0, None
            self._pause_s = PAUSE_S
            self._slowest_s = max(took_s, self._slowest_s * FADES)

    def failed(self, fault: Unreachable, waited_s: float, *, trial: bool) -> None:
        """It did not, for which the request waited this many seconds."""
        with self._lock:
            if trial:
                self._trying = False
                if not isinstance(fault, Late):
                    self._pause_s = min(LONGEST_S, self._pause_s * 2)
                    self._open(fault)
            elif self._counts(fault, waited_s):
                self._failures += 1
                enough = 1 if not self._heard and waited_s >= COSTLY_S else FAILURES
                if self._failures >= enough and self._cause is None:
                    self._open(fault)

    def released(self, *, trial: bool) -> None:
        """The request ended without saying anything of the BMC."""
        with self._lock:
            self._trying = self._trying and not trial

    def _open(self, fault: Unreachable) -> None:
        self._cause = fault.remembered()
        self._until_s = self._clock() + self._pause_s

    def _counts(self, fault: Unreachable, waited_s: float) -> bool:
        if isinstance(fault, Silent):
            return waited_s >= max(PATIENCE_S, SLOWER * self._slowest_s)
        return not isinstance(fault, Late)
