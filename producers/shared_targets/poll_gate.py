"""Membership lease: a shared producer polls only while it is in its group. Pure."""

from __future__ import annotations

from typing import Final

LEASE_S: Final = 4.0
"""Membership must be renewed more often than this. The last heartbeat may be 1.5 s older, and after 6 s without one the
group assigns the targets to others."""
PROBATION_S: Final = 4.0
"""Wait after an expired lease: by then a heartbeat has been answered, and the group has revoked the targets if it gave
them to others."""


class MembershipLease:
    """Lease that starts expired; renewed by the membership's thread, read by the poll loop's."""

    def __init__(self) -> None:
        self._renewed_s = self._valid_from_s = float("-inf")

    def renew(self, now_s: float) -> bool:
        """Renews the lease. Returns True if it had not expired."""
        was_valid = now_s - self._renewed_s < LEASE_S
        if not was_valid:
            self._valid_from_s = now_s + PROBATION_S
        self._renewed_s = now_s
        return was_valid

    def confirm(self) -> None:
        """Ends the probation: the group has just assigned targets."""
        self._valid_from_s = float("-inf")

    def allows_polls(self, now_s: float) -> bool:
        """True if a poll may start."""
        return self._valid_from_s <= now_s < self._renewed_s + LEASE_S
