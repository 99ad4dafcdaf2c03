"""Who may change things from the page: browsers that gave the API token, remembered here and nowhere else."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from typing import Final

from pydantic import SecretStr

LASTS_S: Final = 12 * 3600.0
"""How long a browser stays logged in without changing anything."""
TRIES: Final = 5
TRIES_S: Final = 30.0
"""So many wrong tokens within so many seconds, from whomever, and none is looked at until they are over."""


class Logins:
    """Browsers by the id in their signed cookie. The token itself is never kept for them, nor sent back."""

    def __init__(self, expected: SecretStr, clock: Callable[[], float] = time.monotonic) -> None:
        self._expected = expected.get_secret_value().encode()
        self._clock = clock
        self._until: dict[str, float] = {}
        self._wrong: list[float] = []

    def enter(self, browser: str, given: str) -> str:
        """Logs a browser in; empty if that went well, else why not."""
        now_s = self._clock()
        self._wrong = [each for each in self._wrong if each > now_s - TRIES_S]
        if len(self._wrong) >= TRIES:
            return f"Too many wrong tokens; wait {TRIES_S:.0f} seconds."
        if not secrets.compare_digest(given.strip().encode(), self._expected):
            self._wrong.append(now_s)
            return "That is not the token."
        self._until = {each: until for each, until in self._until.items() if until > now_s}
        self._until[browser] = now_s + LASTS_S
        return ""

    def knows(self, browser: str) -> bool:
        """Whether a browser may change things now. Asking so keeps it logged in."""
        now_s = self._clock()
        if self._until.get(browser, 0.0) <= now_s:
            return False
        self._until[browser] = now_s + LASTS_S
        return True

    def leave(self, browser: str) -> None:
        """Logs a browser out."""
        self._until.pop(browser, None)
