"""Decides which domains hang, from inspections, and for how long they are skipped.

Pure: times are arguments.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

JOB: Final = 1
OCCUPIED: Final = 2
ERROR: Final = 3
"""virDomainControlState."""
INTERNAL: Final = 3
"""virDomainControlErrorReason: a job that waits for something other than the hypervisor, such as a network disk."""
BUSY_MS: Final = 500
"""If a monitor is still in the same command after this long at the next inspection, its domain hangs."""
SUSPECT_MS: Final = 200
"""If a monitor has been in one command for this long, its domain may be about to hang."""
CALLS_MS: Final = 2000
"""If single calls on one domain take longer than this, it hangs; over a slow link they take a while."""
INSPECTIONS_OCCUPIED: Final = 2
INSPECTIONS_OTHER: Final = 4
"""Consecutive inspections that must find a domain busy. States without a duration need more: at two inspections a
migrating domain may happen to be executing a command."""
TOLERANCE_MS: Final = 100
"""Allowed difference of the two clocks."""
FORGET_S: Final = 300.0
"""If a domain hangs again within this time, it is a relapse."""
HOLD_S: Final = 5.0
MAX_HOLD_S: Final = 60.0
"""How long a domain is skipped after a relapse even if it seems free; doubled at each, up to the maximum."""


class MonitorState(NamedTuple):
    """State of a domain's monitor that is not free (virDomainGetControlInfo)."""

    name: str
    state: int
    details: int
    state_ms: int
    """Milliseconds in this state."""


class InspectionHistory:
    """The inspections made during one poll."""

    def __init__(self) -> None:
        self._busy: dict[str, tuple[MonitorState, int]] = {}
        """UUID → newest state, and for how many inspections in a row it was found."""
        self._current_call: tuple[str, int] | None = None

    def add(self, busy: Mapping[str, MonitorState], current_call: tuple[str, int] | None) -> None:
        """Adds an inspection.

        Args:
            busy: UUID → monitor state, of domains that are not free.
            current_call: UUID of the domain being read by single calls, and the milliseconds spent on it.
        """
        before, self._busy = self._busy, {}
        for uuid, state in busy.items():
            last, inspections = before.get(uuid, (None, 0))
            is_same = last is not None and last.state == state.state and last.state_ms <= state.state_ms
            self._busy[uuid] = (state, inspections + 1 if is_same else 1)
        self._current_call = current_call

    def has_suspect(self, poll_ms: float) -> bool:
        """True if the newest inspection found a domain that may soon be reported hung.

        Args:
            poll_ms: Milliseconds since the poll began.
        """
        occupied_ms = (state.state_ms for state, _ in self._busy.values() if state.state == OCCUPIED)
        return any(SUSPECT_MS <= state_ms <= poll_ms + TOLERANCE_MS for state_ms in occupied_ms)

    def find_hung(self, poll_ms: float, quarantined: Collection[str]) -> set[str]:
        """Returns the UUIDs of the domains that block the poll, as far as the inspections show it.

        With NOWAIT the poll does not wait for domains that were busy before it began, such as quarantined ones.

        Args:
            poll_ms: Milliseconds since the poll began.
            quarantined: UUIDs of domains that this poll skips.
        """
        hung = {
            uuid
            for uuid, (state, inspections) in self._busy.items()
            if _hangs(state, inspections)
            and (state.state_ms <= poll_ms + TOLERANCE_MS if state.state == OCCUPIED else uuid not in quarantined)
        }
        if self._current_call is not None and self._current_call[1] >= CALLS_MS:
            hung.add(self._current_call[0])
        return hung


def _hangs(state: MonitorState, inspections: int) -> bool:
    if state.state == OCCUPIED:
        return inspections >= INSPECTIONS_OCCUPIED and state.state_ms >= BUSY_MS
    return inspections >= INSPECTIONS_OTHER and (
        state.state == JOB or (state.state, state.details) == (ERROR, INTERNAL)
    )


@dataclass
class _Entry:
    hang_count: int
    held_until_s: float
    is_quarantined: bool
    released_s: float


class Quarantine:
    """The domains of one connection that polls skip, by UUID."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}

    @property
    def quarantined(self) -> list[str]:
        """UUIDs of the skipped domains."""
        return [uuid for uuid, entry in self._entries.items() if entry.is_quarantined]

    def held(self, now_s: float) -> list[str]:
        """Returns the UUIDs of the domains to skip even if their monitor is free."""
        return [uuid for uuid, entry in self._entries.items() if entry.is_quarantined and now_s < entry.held_until_s]

    def add(self, uuid: str, now_s: float) -> None:
        """Quarantines a domain that was found to hang."""
        entry = self._entries.get(uuid)
        hang_count = entry.hang_count + 1 if entry is not None else 1
        hold_s = 0.0 if hang_count == 1 else min(MAX_HOLD_S, HOLD_S * 2.0 ** (hang_count - 2))
        self._entries[uuid] = _Entry(hang_count, now_s + hold_s, is_quarantined=True, released_s=now_s)

    def update(self, skipped: Collection[str], now_s: float) -> None:
        """Applies the result of a poll, which skipped exactly these domains."""
        for uuid in set(skipped).difference(self.quarantined):
            self.add(uuid, now_s)
        for uuid, entry in self._entries.items():
            if entry.is_quarantined and uuid not in skipped:
                entry.is_quarantined, entry.released_s = False, now_s
        self._entries = {
            uuid: entry
            for uuid, entry in self._entries.items()
            if entry.is_quarantined or now_s - entry.released_s < FORGET_S
        }
