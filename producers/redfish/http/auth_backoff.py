"""Backs off after refused credentials, because BMCs lock accounts after a few failures. No I/O."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import Final, NoReturn

from producers.redfish.http.errors import Unauthorized
from producers.redfish.http.transport import Clock

INITIAL_BACKOFF_S: Final = 60.0
MAX_BACKOFF_S: Final = 3600.0
"""No request is sent for this long after a refused login; the time doubles with each refusal, up to the maximum."""
TRIAL_TIMEOUT_S: Final = 30.0
"""After the back-off one request tries the credentials; others are rejected until it ends, for this long at most."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A refusal of one pair of credentials; another pair is tried at once."""

    credentials_key: int | None
    rejected_at_s: float
    until_s: float
    wait_s: float


class AuthBackoff:
    """Back-off of one BMC, which refuses one pair of credentials at a time. Safe for several threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._rejection: Rejection | None = None

    def check(self, credentials_key: int | None) -> None:
        """Raises an error if these credentials must not be sent yet.

        Raises:
            Unauthorized: They were refused recently.
        """
        last = self._rejection
        if last is not None and last.credentials_key == credentials_key and self._clock() < last.until_s:
            cause = f"credentials were refused (HTTP 401), not tried again for {last.wait_s:.0f} s"
            raise Unauthorized(cause).as_cached()

    def check_and_claim(self, credentials_key: int | None) -> None:
        """Checks like `check`, and lets only the calling thread try credentials that were refused before.

        Raises:
            Unauthorized: They were refused recently, or another thread is trying them.
        """
        with self._lock:
            self.check(credentials_key)
            last = self._rejection
            if last is not None and last.credentials_key == credentials_key:
                self._rejection = replace(last, until_s=self._clock() + TRIAL_TIMEOUT_S)

    def reject(self, credentials_key: int | None, sent_at_s: float) -> NoReturn:
        """Records a refusal of credentials that were sent at `sent_at_s`.

        Raises:
            Unauthorized: Always.
        """
        with self._lock:
            last, now_s = self._rejection, self._clock()
            if last is None or last.credentials_key != credentials_key:
                self._rejection = Rejection(credentials_key, now_s, now_s + INITIAL_BACKOFF_S, INITIAL_BACKOFF_S)
            elif sent_at_s > last.rejected_at_s:  # else the request was already in flight at the previous refusal
                wait_s = min(MAX_BACKOFF_S, last.wait_s * 2)
                self._rejection = Rejection(credentials_key, now_s, now_s + wait_s, wait_s)
        cause = "a login is needed (HTTP 401)" if credentials_key is None else "credentials refused (HTTP 401)"
        raise Unauthorized(cause)

    def record_success(self, credentials_key: int | None) -> None:
        """Ends the back-off: a resource that requires a login was served."""
        last = self._rejection
        if last is not None and last.credentials_key == credentials_key:
            self._rejection = None
