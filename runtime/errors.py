"""Errors that say what happens next. Raised at the edge, decided on in one place.

Failure
├── Retry          the same work may succeed later: keep the offset, pause, back off
├── Reject         these records never will: dead letter, go on with the rest
└── Misconfigured  a person must act: one message, exit code 2
"""

from __future__ import annotations

from collections.abc import Mapping


class Failure(Exception):
    """Base of the three."""


class Retry(Failure):
    """The destination cannot take it now.

    `after_s`: what the destination asked us to wait, in seconds. `progress`: it has taken a part of the work since it
    was tried last, so that there is no reason to wait longer than the last time.
    """

    def __init__(self, message: str, *, after_s: float | None = None, progress: bool = False) -> None:
        super().__init__(message)
        self.after_s, self.progress = after_s, progress


class Reject(Failure):
    """Some records of a batch will never be taken; the others were. `reasons`: index in the batch → why."""

    def __init__(self, reasons: Mapping[int, str]) -> None:
        super().__init__(f"{len(reasons)} records refused, first: {next(iter(reasons.values()), '')}")
        self.reasons = dict(reasons)


class Misconfigured(Failure):
    """Settings, rights or files are wrong. The message names everything that is, and what to do."""
