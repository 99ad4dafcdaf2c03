"""Log-ins of browsers with the API token, held in memory only."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Final

from pydantic import SecretStr

from rackstream.access.client_limit import ClientLimit
from runtime.settings import check_secret

SESSION_S: Final = 12 * 3600.0
"""A browser is logged out after this long without a change."""
MAX_FAILURES: Final = 5
FAILURE_WINDOW_S: Final = 30.0
"""After `MAX_FAILURES` wrong tokens of a client within this time, its attempts are refused until it is over."""


class LoginSessions:
    """Logged-in browsers, by the id in their signed cookie. The token is neither stored for them nor sent back."""

    def __init__(self, token: SecretStr, clock: Callable[[], float] = time.monotonic) -> None:
        self._token = check_secret(token).get_secret_value().encode()
        self._clock = clock
        self._expires_s: dict[str, float] = {}
        """Browser → when its session ends."""
        self._failures = ClientLimit(MAX_FAILURES, FAILURE_WINDOW_S, clock)

    def log_in(self, browser: str, token: str, address: str) -> str:
        """Logs a browser in.

        Args:
            browser: Id of the browser. Anyone gets new ones, so it does not limit attempts.
            token: What was typed.
            address: Address of the client, whose wrong tokens are counted.

        Returns:
            An empty string on success, else the error message.
        """
        now_s = self._clock()
        if self._failures.is_exceeded(address):
            return f"Too many wrong tokens; wait {FAILURE_WINDOW_S:.0f} seconds."
        if not secrets.compare_digest(token.strip().encode(), self._token):
            self._failures.record(address)
            return "That is not the token."
        self._expires_s = {browser: expires_s for browser, expires_s in self._expires_s.items() if expires_s > now_s}
        self._expires_s[browser] = now_s + SESSION_S
        return ""

    def is_logged_in(self, browser: str) -> bool:
        """True if a browser may make changes. Calling this extends its session."""
        now_s = self._clock()
        if self._expires_s.get(browser, 0.0) <= now_s:
            return False
        self._expires_s[browser] = now_s + SESSION_S
        return True

    def log_out(self, browser: str) -> None:
        """Logs a browser out."""
        self._expires_s.pop(browser, None)
