"""Refused credentials are tried less and less: BMCs lock accounts after a few failures. No I/O."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Final, NoReturn

from producers.redfish.http.errors import Denied
from producers.redfish.http.transport import Clock

BARRED_S: Final = 60.0
LONGEST_BARRED_S: Final = 3600.0
"""No request after a refused login for so long: doubled at each refusal, up to the second."""
TRIAL_S: Final = 30.0
"""After that time one request tries, and the others wait for what comes of it, but not longer than this."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Of one pair of credentials; another pair is tried at once."""

    who: int | None
    since_s: float
    until_s: float
    wait_s: float


class Refusals:
    """Of one BMC, which refuses one pair at a time. Safe for several threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._last: Refusal | None = None

    def check(self, who: int | None) -> None:
        """Whether these credentials may be shown.

        Raises:
            Denied: they were refused lately.
        """
        last = self._last
        if last is not None and last.who == who and self._clock() < last.until_s:
            raise Denied(f"credentials were refused (HTTP 401), not tried again for {last.wait_s:.0f} s").remembered()

    def trial(self, who: int | None) -> None:
        """The same, and lets one thread through where they were refused before.

        Raises:
            Denied: they were refused lately, or another thread tries them.
        """
        with self._lock:
            self.check(who)
            last = self._last
            if last is not None and last.who == who:
                self._last = replace(last, until_s=self._clock() + TRIAL_S)

    def refuse(self, who: int | None, shown_s: float) -> NoReturn:
        """Notes that credentials were refused, which were shown at that time.

        Raises:
            Denied: always.
        """
        with self._lock:
            last, now_s = self._last, self._clock()
            if last is None or last.who != who:
                self._last = Refusal(who, now_s, now_s + BARRED_S, BARRED_S)
            elif shown_s > last.since_s:  # else one of several under way when the first was refused
                wait_s = min(LONGEST_BARRED_S, last.wait_s * 2)
                self._last = Refusal(who, now_s, now_s + wait_s, wait_s)
        raise Denied("a login is needed (HTTP 401)" if who is None else "credentials refused (HTTP 401)")

    def accept(self, who: int | None) -> None:
        """Notes that they were let in, by something that is not open to everyone."""
        last = self._last
        if last is not None and last.who == who:
            self._last = None
