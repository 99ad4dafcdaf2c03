"""Warns about unavailable statistics, once per cause.

Logs when a cause first occurs, and when it has ended for all domains.
"""

from __future__ import annotations

from collections.abc import Collection

import structlog

log = structlog.get_logger()
StatOwner = tuple[str, ...]
"""UUID of a domain and, for a device's statistics, the device."""


class StatWarnings:
    """Tracks the causes that currently apply. For one thread at a time."""

    def __init__(self) -> None:
        self._owners: dict[tuple[str, str], set[StatOwner]] = {}
        """Call or field, and cause → the domains and devices affected."""

    def add(self, call: str, cause: str, owner: StatOwner, domain: str) -> None:
        """Records that a statistic is unavailable, and warns if the cause is new.

        Args:
            call: The libvirt call or the record's field.
            cause: The reason.
            owner: The domain or device affected.
            domain: Name of the domain, for the log.
        """
        owners = self._owners.get((call, cause))
        if owners is None:
            owners = self._owners[call, cause] = set()
            log.warning("counters unavailable, reported as 0", call=call, reason=cause, domain=domain)
        owners.add(owner)

    def resolve(self, call: str, owner: StatOwner) -> None:
        """Records that a statistic is available."""
        for key in [key for key in self._owners if key[0] == call]:
            self._remove(key, {owner})

    def retain(self, uuids: Collection[str]) -> None:
        """Drops all domains but these."""
        for key, owners in list(self._owners.items()):
            self._remove(key, {owner for owner in owners if owner[0] not in uuids})

    def _remove(self, key: tuple[str, str], owners: set[StatOwner]) -> None:
        self._owners[key] -= owners
        if not self._owners[key]:
            del self._owners[key]
            log.info("counters available again, or their domain is gone", call=key[0], reason=key[1])
