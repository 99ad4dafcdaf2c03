"""Errors named after what happens next. Raised at the edges, handled in one place per process.

Failure
├── Retry          the same work may succeed later: keep the offset, pause, back off
├── Reject         these records will never succeed: send them to the dead-letter topic, continue with the rest
└── Misconfigured  an operator must act: one message, exit code 2
"""

from __future__ import annotations

from collections.abc import Mapping


class Failure(Exception):
    """Base class of the three."""


class Retry(Failure):
    """The destination cannot accept the work at the moment."""

    def __init__(self, message: str, *, after_s: float | None = None, progress: bool = False) -> None:
        """Creates the error.

        Args:
            message: Text for the log.
            after_s: Wait that the destination asked for, in seconds.
            progress: True if part of the work has been accepted since the previous attempt, so that the back-off need
                not grow.
        """
        super().__init__(message)
        self.after_s, self.progress = after_s, progress


class Reject(Failure):
    """Some records of a batch will never be accepted; the others were."""

    def __init__(self, reasons: Mapping[int, str]) -> None:
        """Creates the error. `reasons`: index within the batch → reason."""
        super().__init__(f"{len(reasons)} records refused, first: {next(iter(reasons.values()), '')}")
        self.reasons = dict(reasons)


class Misconfigured(Failure):
    """Settings, ACLs or files are wrong. The message names all of them and the remedy."""
