"""Faults that are injected into simulated BMCs, and their assignment: deterministic for equal arguments. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Self

from rackstream.simulators.readings import GOLDEN_SECTION

FAULT_KINDS: Final = {
    "dead": "refuses connections",
    "hang": "accepts requests and never responds",
    "latency": "responds VALUE seconds later",
    "slow": "responds VALUE times slower than --latency",
    "drip": "sends each body over VALUE seconds",
    "truncated": "closes the connection in the middle of each body",
    "reset": "resets the connection instead of responding",
    "garbage": "sends a body that is not JSON",
    "empty": "sends no body",
    "401": "refuses every login",
    "404": "has no resources",
    "5xx": "responds with HTTP status VALUE",
    "sessions": "allows VALUE sessions only",
    "leak": "keeps closed sessions until they expire",
    "expiry": "ends unused sessions after VALUE seconds",
}
"""Kind → behaviour of a BMC with this fault."""
DEFAULT_VALUES: Final = {"latency": 1.0, "slow": 20.0, "drip": 30.0, "5xx": 503.0, "sessions": 0.0, "expiry": 5.0}
"""Kind → default value; the other kinds take no value."""
WHOLE_BMC_KINDS: Final = frozenset({"dead", "sessions", "leak", "expiry"})
"""Kinds that cannot be limited to single paths."""
FAULT_SYNTAX: Final = re.compile(r"(?P<kind>\w+)=(?P<share>[\d.]+)(?P<percent>%?)(:(?P<value>[\d.]+))?(@(?P<path>.+))?")


@dataclass(frozen=True, slots=True)
class InjectedFault:
    """A fault of a simulated BMC."""

    kind: str
    value: float = 0.0
    path: str = ""
    """Applies only to requests whose path contains this."""

    def __post_init__(self) -> None:
        if self.kind not in FAULT_KINDS:
            raise ValueError(f"{self.kind!r} is no fault: choose one of {', '.join(FAULT_KINDS)}")
        if self.path and self.kind in WHOLE_BMC_KINDS:
            raise ValueError(f"{self.kind} applies to the whole BMC: remove @{self.path}")
        if self.kind == "5xx" and not 500 <= self.value <= 599:
            raise ValueError("5xx: the value is an HTTP status from 500 to 599")

    def __str__(self) -> str:
        value = f":{self.value:g}" if self.kind in DEFAULT_VALUES else ""
        return self.kind + value + (f"@{self.path}" if self.path else "")

    @classmethod
    def create(cls, kind: str, value: float | None = None, path: str = "") -> Self:
        """Creates a fault, with the default value of its kind unless one is given.

        Raises:
            ValueError: The kind does not exist, or does not take this value.
        """
        if value is not None and kind not in DEFAULT_VALUES and kind in FAULT_KINDS:
            raise ValueError(f"{kind} takes no value")
        return cls(kind, DEFAULT_VALUES.get(kind, 0.0) if value is None else value, path)


@dataclass(frozen=True, slots=True)
class FaultShare:
    """A fault, and the number of BMCs that have it."""

    fault: InjectedFault
    amount: float
    """Number or percentage of BMCs."""
    is_percentage: bool

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parses KIND=SHARE[:VALUE][@PATH], where SHARE is `10%` or a number of BMCs.

        Raises:
            ValueError: The text is malformed; the message says how.
        """
        match = FAULT_SYNTAX.fullmatch(text)
        if match is None:
            raise ValueError(f"{text!r} is not KIND=SHARE[:VALUE][@PATH], such as slow=10%:20 or 404=3@/Thermal")
        try:
            share, value = float(match["share"]), float(match["value"]) if match["value"] else None
        except ValueError:
            raise ValueError(f"{text!r}: share and value are numbers") from None
        is_percentage = bool(match["percent"])
        if not is_percentage and share != int(share):
            raise ValueError(f"{text!r}: give a fraction of the BMCs as a percentage")
        return cls(InjectedFault.create(match["kind"], value, match["path"] or ""), share, is_percentage)

    def count(self, bmcs: int) -> int:
        """Returns how many of `bmcs` BMCs have the fault."""
        return round(bmcs * self.amount / 100) if self.is_percentage else int(self.amount)


def assign_faults(bmcs: int, shares: Sequence[FaultShare]) -> dict[int, InjectedFault]:
    """Returns number of the BMC → fault, for those that have one. Faults are spread evenly, one per BMC at most.

    Raises:
        ValueError: There are fewer BMCs than faults.
    """
    faulty = sum(share.count(bmcs) for share in shares)
    if faulty > bmcs:
        raise ValueError(f"{faulty} BMCs would have a fault, and there are only {bmcs}")
    numbers = iter(sorted(range(bmcs), key=lambda number: (number + 1) * GOLDEN_SECTION % 1.0))
    return {next(numbers): share.fault for share in shares for _ in range(share.count(bmcs))}
