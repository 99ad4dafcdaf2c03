"""Reader of a target that this producer cannot poll; its polls fail with the reason."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from producers.fleet.targets import FleetTarget, RedfishTarget
from producers.reader import PollFailed, Sample, TargetFacts
from schemas.records import Target

USERINFO: Final = re.compile(r"//[^/]*@")
MAX_REASON_LENGTH: Final = 500
MAX_ADDRESS_LENGTH: Final = 256
CATEGORY: Final = "system"
INTERVAL_S: Final = 10.0


class RefusedTarget(FleetTarget):
    """Target of the topic that is not polled, because its record is invalid or not allowed."""

    address_field = "address"

    address: str
    reason: str

    @classmethod
    def from_record(cls, record: Target, reason: str) -> RefusedTarget:
        """Creates it from the fields that can be shown; the address without user and password."""
        address = USERINFO.sub("//", record["address"])[:MAX_ADDRESS_LENGTH]
        return cls(host=record["host"], address=_printable(address), reason=_printable(reason)[:MAX_REASON_LENGTH])


def _printable(text: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in text)


class UnavailableReader:
    """Implements `producers.reader.Reader`: each poll fails with the reason."""

    def __init__(self, source: str, target: FleetTarget, reason: str) -> None:
        self.source = source
        self.host = target.host
        self.address = target.location
        self.labels: Mapping[str, str] = target.labels
        self.intervals: Mapping[str, float] = {CATEGORY: INTERVAL_S}
        self._status = "auth_failed" if isinstance(target, RedfishTarget) else "unreachable"
        self._reason = reason

    def read(self, category: str, timeout_s: float) -> Sample:  # noqa: ARG002  the signature of a reader
        """Reads nothing.

        Raises:
            PollFailed: Always.
        """
        raise PollFailed(self._status, self._reason)

    def facts(self) -> TargetFacts:
        """Returns no facts."""
        return TargetFacts()

    def abort(self) -> None:
        """Does nothing: no poll is in progress."""

    def close(self) -> None:
        """Does nothing: nothing is open."""
