"""Waiting for what other threads do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


def until(done: Callable[[], object], *, timeout_s: float = 30.0) -> None:
    """Returns when `done()` is true; fails after `timeout_s`."""
    deadline_s = time.monotonic() + timeout_s
    pause = threading.Event()
    while not done():
        assert time.monotonic() < deadline_s, "not done in time"
        pause.wait(0.01)
