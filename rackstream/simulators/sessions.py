"""Sessions of one simulated BMC: a limited number, each with a time to live. Counts abandoned ones. Pure."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field


@dataclass(slots=True)
class SimulatedSession:
    """Session of one client."""

    token: str
    last_used_s: float
    closed: bool = False
    """Closed by its client. Only a BMC that leaks sessions keeps it nevertheless."""


@dataclass(slots=True)
class SimulatedSessions:
    """All sessions of one BMC. Times are seconds on any monotonic clock."""

    limit: int
    """Sessions that may be open at once."""
    ttl_s: float
    """A session that is unused for this long expires."""
    leaks: bool = False
    """Closed sessions are kept until they expire, as with some firmware."""
    opened: int = 0
    closed: int = 0
    expired: int = 0
    """Sessions that expired without being closed: abandoned by their client."""
    refused: int = 0
    """Logins refused because all sessions were in use."""
    max_open: int = 0
    """Maximum of sessions open at once so far."""
    _open: dict[str, SimulatedSession] = field(default_factory=dict)

    @property
    def ids(self) -> list[str]:
        """Ids of the open sessions."""
        return list(self._open)

    def open(self, now_s: float) -> tuple[str, str] | None:
        """Opens a session. Returns its id and token, or None if all sessions are in use."""
        self.expire(now_s)
        if len(self._open) >= self.limit:
            self.refused += 1
            return None
        self.opened += 1
        session_id, token = str(self.opened), secrets.token_hex(16)
        self._open[session_id] = SimulatedSession(token, now_s)
        self.max_open = max(self.max_open, len(self._open))
        return session_id, token

    def accepts(self, token: str, now_s: float) -> bool:
        """True if a request with this token is authorized. Extends the session."""
        self.expire(now_s)
        for session in self._open.values():
            if secrets.compare_digest(session.token, token):
                session.last_used_s = now_s
                return not session.closed
        return False

    def close(self, session_id: str) -> bool:
        """Closes a session. False if there is none with this id."""
        session = self._open.get(session_id)
        if session is None or session.closed:
            return False
        self.closed += 1
        session.closed = True
        if not self.leaks:
            del self._open[session_id]
        return True

    def expire(self, now_s: float) -> None:
        """Removes expired sessions."""
        for session_id, session in list(self._open.items()):
            if now_s - session.last_used_s >= self.ttl_s:
                del self._open[session_id]
                self.expired += not session.closed

    def clear(self) -> None:
        """Removes all sessions, as a restart of the BMC does."""
        self._open.clear()
