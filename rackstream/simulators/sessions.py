"""The sessions of one simulated BMC: few, each with a time to live; what clients leave behind is counted. Pure."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field


@dataclass(slots=True)
class Session:
    """One login."""

    token: str
    used_s: float
    """When it was used last."""
    closed: bool = False
    """Closed by its client; a BMC that leaks keeps it all the same."""


@dataclass(slots=True)
class Sessions:
    """All logins of one BMC. Times are on any one clock."""

    limit: int
    """How many there may be at once."""
    ttl_s: float
    """One that is unused for so long ends."""
    leaks: bool = False
    """Closed sessions are kept until their time is over, as some firmware does."""
    opened: int = 0
    closed: int = 0
    expired: int = 0
    """Ended by their time, not by their client: what a client leaked."""
    refused: int = 0
    """Logins refused since all sessions were in use."""
    most: int = 0
    """Most at once."""
    _open: dict[str, Session] = field(default_factory=dict)

    @property
    def ids(self) -> list[str]:
        """Those that are open."""
        return list(self._open)

    def open(self, now_s: float) -> tuple[str, str] | None:
        """Id and token of a new one; None: there are as many as may be."""
        self.expire(now_s)
        if len(self._open) >= self.limit:
            self.refused += 1
            return None
        self.opened += 1
        ident, token = str(self.opened), secrets.token_hex(16)
        self._open[ident] = Session(token, now_s)
        self.most = max(self.most, len(self._open))
        return ident, token

    def accepts(self, token: str, now_s: float) -> bool:
        """Whether a request with this token is let in; it keeps its session alive."""
        self.expire(now_s)
        for session in self._open.values():
            if secrets.compare_digest(session.token, token):
                session.used_s = now_s
                return not session.closed
        return False

    def close(self, ident: str) -> bool:
        """Ends one; false: there is none of this id."""
        session = self._open.get(ident)
        if session is None or session.closed:
            return False
        self.closed += 1
        session.closed = True
        if not self.leaks:
            del self._open[ident]
        return True

    def expire(self, now_s: float) -> None:
        """Ends those whose time is over."""
        for ident in [ident for ident, each in self._open.items() if now_s - each.used_s >= self.ttl_s]:
            self.expired += not self._open.pop(ident).closed

    def forget(self) -> None:
        """Ends all, as a restart of the BMC does."""
        self._open.clear()
