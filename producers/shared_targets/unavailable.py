"""A target that cannot be polled as its producer is set up, such as for a secret that is not there: it says so."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from producers.fleet.config import AnyTarget, RedfishTarget
from producers.reader import Facts, PollFailed, Sample

CATEGORY: Final = "system"
INTERVAL_S: Final = 10.0


class Unready:
    """Implements `producers.reader.Reader`: each poll fails with the reason."""

    def __init__(self, source: str, target: AnyTarget, why: str) -> None:
        self.source = source
        self.host = target.host
        self.address = getattr(target, "address", "") or getattr(target, "uri", "")
        self.labels: Mapping[str, str] = target.labels
        self.intervals: Mapping[str, float] = {CATEGORY: INTERVAL_S}
        self._failed = ("auth_failed" if isinstance(target, RedfishTarget) else "unreachable", why)

    def read(self, category: str, timeout_s: float) -> Sample:  # noqa: ARG002  the signature of a reader
        """Reads nothing.

        Raises:
            PollFailed: always.
        """
        raise PollFailed(*self._failed)

    def facts(self) -> Facts:
        """Nothing."""
        return Facts()

    def hurry(self) -> None:
        """Nothing is under way."""

    def close(self) -> None:
        """Nothing is held."""
