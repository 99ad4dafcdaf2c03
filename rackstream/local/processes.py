"""Ends all processes that this one started, at once: for the second Ctrl-C."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from pathlib import Path
from typing import Final

KILL_TIMEOUT_S: Final = 5.0
"""A process in uninterruptible disk wait does not end: leave it."""


def descendants(pid: int) -> list[int]:
    """Returns the processes that a process started, and those that they started, as the kernel lists them."""
    pids: list[int] = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(OSError):  # a thread or process that has just ended
            for child in map(int, children.read_text().split()):
                pids += [child, *descendants(child)]
    return pids


def kill_descendants() -> None:
    """Sends SIGKILL to all descendants, again until none is left: one may have been starting another.

    Reads /proc instead of what the program knows: a signal may come between a fork and its bookkeeping.
    """
    deadline_s = time.monotonic() + KILL_TIMEOUT_S
    while (pids := descendants(os.getpid())) and time.monotonic() < deadline_s:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        time.sleep(0.01)
