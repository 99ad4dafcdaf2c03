"""Why figures are unknown: said once when a cause begins, whomever it concerns, and once when it has ended for all."""

from __future__ import annotations

from collections.abc import Collection

import structlog

log = structlog.get_logger()
Whose = tuple[str, ...]
"""UUID of a domain, and the device, if it is about one."""


class Causes:
    """The causes that hold now. For one thread at a time."""

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], set[Whose]] = {}

    def begin(self, what: str, why: str, whose: Whose, name: str) -> None:
        """A figure is unknown. `name`: of the domain."""
        concerned = self._open.get((what, why))
        if concerned is None:
            concerned = self._open[what, why] = set()
            log.warning("unknown figures are given as 0", what=what, why=why, first_seen_of=name)
        concerned.add(whose)

    def end(self, what: str, whose: Whose) -> None:
        """A figure is known."""
        for key in [key for key in self._open if key[0] == what]:
            self._leave(key, {whose})

    def keep(self, uuids: Collection[str]) -> None:
        """There are only these domains any more."""
        for key, concerned in list(self._open.items()):
            self._leave(key, {whose for whose in concerned if whose[0] not in uuids})

    def _leave(self, key: tuple[str, str], left: set[Whose]) -> None:
        self._open[key] -= left
        if not self._open[key]:
            del self._open[key]
            log.info("figures that were unknown are known again, or their domain is gone", what=key[0], why=key[1])
