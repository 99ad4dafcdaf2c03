"""What may be wrong with a simulated BMC, and which BMC has what: the same for the same arguments. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from rackstream.simulators.readings import GOLDEN

KINDS: Final = {
    "dead": "refuses connections",
    "hang": "takes requests and never answers",
    "latency": "answers VALUE seconds later",
    "slow": "answers VALUE times slower than --latency",
    "drip": "spreads each body over VALUE seconds",
    "truncated": "ends the connection in the middle of each body",
    "reset": "resets the connection instead of answering",
    "garbage": "answers with what is not JSON",
    "empty": "answers with no body",
    "401": "refuses every login",
    "404": "has nothing",
    "5xx": "answers with HTTP VALUE",
    "sessions": "has room for VALUE sessions only",
    "leak": "keeps sessions that were closed until they expire",
    "expiry": "forgets sessions after VALUE seconds",
}
"""Kind → what a BMC that has it does."""
VALUES: Final = {"latency": 1.0, "slow": 20.0, "drip": 30.0, "5xx": 503.0, "sessions": 0.0, "expiry": 5.0}
"""Kind → its value by default; the others have none."""
WHOLE: Final = frozenset({"dead", "sessions", "leak", "expiry"})
"""Kinds that are not a matter of single paths."""
SPELLING: Final = re.compile(r"(?P<kind>\w+)=(?P<share>[\d.]+)(?P<percent>%?)(:(?P<value>[\d.]+))?(@(?P<path>.+))?")


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a BMC."""

    kind: str
    value: float = 0.0
    path: str = ""
    """Only requests whose path holds this have it."""

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ValueError(f"{self.kind!r} is no fault: choose one of {', '.join(KINDS)}")
        if self.path and self.kind in WHOLE:
            raise ValueError(f"{self.kind} is a matter of the whole BMC: leave @{self.path} out")
        if self.kind == "5xx" and not 500 <= self.value <= 599:
            raise ValueError("5xx: its value is an HTTP status from 500 to 599")

    def __str__(self) -> str:
        value = f":{self.value:g}" if self.kind in VALUES else ""
        return self.kind + value + (f"@{self.path}" if self.path else "")

    @classmethod
    def of(cls, kind: str, value: float | None = None, path: str = "") -> Self:
        """With the kind's own value where none is given.

        Raises:
            ValueError: there is no such fault, or it takes no such value.
        """
        if value is not None and kind not in VALUES and kind in KINDS:
            raise ValueError(f"{kind} takes no value")
        return cls(kind, VALUES.get(kind, 0.0) if value is None else value, path)


@dataclass(frozen=True, slots=True)
class Share:
    """A fault of some of the BMCs."""

    fault: Fault
    of: float
    """Their number, or their part of all."""
    percent: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """From KIND=SHARE[:VALUE][@PATH], where SHARE is `10%` or a number of BMCs.

        Raises:
            ValueError: says what is wrong with it.
        """
        match = SPELLING.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not KIND=SHARE[:VALUE][@PATH], such as slow=10%:20 or 404=3@/Thermal")
        try:
            share, value = float(match["share"]), float(match["value"]) if match["value"] else None
        except ValueError:
            raise ValueError(f"{text!r}: share and value are numbers") from None
        percent = bool(match["percent"])
        if not percent and share != int(share):
            raise ValueError(f"{text!r}: give a part of the BMCs as a percentage")
        return cls(Fault.of(match["kind"], value, match["path"] or ""), share, percent)

    def count(self, bmcs: int) -> int:
        """How many of so many BMCs have it."""
        return round(bmcs * self.of / 100) if self.percent else int(self.of)


def assign(bmcs: int, shares: Sequence[Share]) -> dict[int, Fault]:
    """BMC's number → its fault, for those that have one. Each has one at most, spread over all.

    Raises:
        ValueError: there are fewer BMCs than faults.
    """
    wanted = sum(share.count(bmcs) for share in shares)
    if wanted > bmcs:
        raise ValueError(f"{wanted} BMCs would have a fault, and there are only {bmcs}")
    spread = iter(sorted(range(bmcs), key=lambda number: (number + 1) * GOLDEN % 1.0))
    return {next(spread): share.fault for share in shares for _ in range(share.count(bmcs))}
