"""Which domains hang, and for how long they are left out. Pure: times are arguments."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

JOB: Final = 1
OCCUPIED: Final = 2
ERROR: Final = 3
"""virDomainControlState."""
INTERNAL: Final = 3
"""virDomainControlErrorReason: a job that waits for something else than the hypervisor, such as a network disk."""
BUSY_MS: Final = 500
"""Milliseconds in one command after which a hypervisor process hangs, if it is still in it at the next look."""
SUSPECT_MS: Final = 200
"""The same from which on it may be about to: a command takes some."""
CALLS_MS: Final = 2000
"""Milliseconds that single calls on one domain may take; over a slow link they take some."""
LOOKS_OCCUPIED: Final = 2
LOOKS_OTHER: Final = 4
"""How many looks on end must find a domain busy. Those without a time of their own need more: at two looks a migrating
domain may just happen to be asked something."""
SLACK_MS: Final = 100
"""Two clocks' worth of tolerance."""
STRIKES_S: Final = 300.0
"""A domain that hangs again within this time is a relapse."""
HOLD_S: Final = 5.0
HOLD_MAX_S: Final = 60.0
"""How long a relapse is left out even if it seems free, doubled at each up to the maximum."""


class Busy(NamedTuple):
    """A domain that is not free (virDomainGetControlInfo)."""

    name: str
    state: int
    details: int
    since_ms: int


class Looks:
    """What looks during one round found."""

    def __init__(self) -> None:
        self._busy: dict[str, tuple[Busy, int]] = {}
        self._asking: tuple[str, int] | None = None

    def add(self, busy: Mapping[str, Busy], asking: tuple[str, int] | None) -> None:
        """One look: who is not free, and whom single calls ask since how many ms."""
        before, self._busy = self._busy, {}
        for uuid, now in busy.items():
            last, looks = before.get(uuid, (None, 0))
            same = last is not None and last.state == now.state and last.since_ms <= now.since_ms
            self._busy[uuid] = (now, looks + 1 if same else 1)
        self._asking = asking

    def suspects(self, round_ms: float) -> bool:
        """Whether the newest look found a domain that may soon count as one that the round waits for."""
        found = (busy.since_ms for busy, _ in self._busy.values() if busy.state == OCCUPIED)
        return any(SUSPECT_MS <= since_ms <= round_ms + SLACK_MS for since_ms in found)

    def hung(self, round_ms: float, out: Collection[str]) -> set[str]:
        """Domains that the round, begun `round_ms` ago, waits for, as far as the looks so far show it.

        With NOWAIT it does not wait for what was busy before it began, such as those left `out`.
        """
        found = {
            uuid
            for uuid, (busy, looks) in self._busy.items()
            if _hangs(busy, looks)
            and (busy.since_ms <= round_ms + SLACK_MS if busy.state == OCCUPIED else uuid not in out)
        }
        if self._asking is not None and self._asking[1] >= CALLS_MS:
            found.add(self._asking[0])
        return found


def _hangs(busy: Busy, looks: int) -> bool:
    if busy.state == OCCUPIED:
        return looks >= LOOKS_OCCUPIED and busy.since_ms >= BUSY_MS
    return looks >= LOOKS_OTHER and (busy.state == JOB or (busy.state, busy.details) == (ERROR, INTERNAL))


@dataclass
class _Case:
    strikes: int
    hold_until_s: float
    out: bool
    free_s: float


class Quarantine:
    """The domains of one connection that are left out, by UUID."""

    def __init__(self) -> None:
        self._cases: dict[str, _Case] = {}

    @property
    def out(self) -> list[str]:
        """Those left out."""
        return [uuid for uuid, case in self._cases.items() if case.out]

    def held(self, now_s: float) -> list[str]:
        """Those not to be asked even if they seem free."""
        return [uuid for uuid, case in self._cases.items() if case.out and now_s < case.hold_until_s]

    def put(self, uuid: str, now_s: float) -> None:
        """Leaves out a domain that was found to hang."""
        case = self._cases.get(uuid)
        strikes = case.strikes + 1 if case is not None else 1
        hold_s = 0.0 if strikes == 1 else min(HOLD_MAX_S, HOLD_S * 2.0 ** (strikes - 2))
        self._cases[uuid] = _Case(strikes, now_s + hold_s, out=True, free_s=now_s)

    def settle(self, silent: Collection[str], now_s: float) -> None:
        """After a round: exactly these were left out."""
        for uuid in set(silent).difference(self.out):
            self.put(uuid, now_s)
        for uuid, case in self._cases.items():
            if case.out and uuid not in silent:
                case.out, case.free_s = False, now_s
        self._cases = {uuid: case for uuid, case in self._cases.items() if case.out or now_s - case.free_s < STRIKES_S}
