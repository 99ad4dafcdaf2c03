"""A deadline for calls that have none: libvirt waits for a hung hypervisor for ever, and cannot be interrupted.

Each call runs in a daemon thread. One that is not back in time is left to itself, and what hangs is not asked again
before it is back: so there is one thread per thing that hangs, however often it is asked.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

Answer = TypeVar("Answer")


class Late(TimeoutError):
    """No answer in time, or an earlier call to the same is still out. `fresh`: this very call was the one that hung."""

    def __init__(self, message: str, *, fresh: bool) -> None:
        super().__init__(message)
        self.fresh = fresh


class Deadline:
    """Gives calls `timeout_s` seconds each. For one caller at a time."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._out: dict[str, threading.Thread] = {}
        """Who is asked → the thread that waits for the answer."""

    def call(self, who: str, function: Callable[[], Answer]) -> Answer:
        """What the function returns or raises.

        Raises:
            Late: it did not return in time, or `who` has not answered an earlier call yet.
        """
        self._out = {name: thread for name, thread in self._out.items() if thread.is_alive()}
        if who in self._out:
            raise Late("still waiting for an earlier call", fresh=False)
        results: list[tuple[Answer | None, BaseException | None]] = []
        thread = threading.Thread(target=_run, args=(function, results), daemon=True, name="libvirt-call")
        thread.start()
        thread.join(self.timeout_s)
        if not results:
            self._out[who] = thread
            raise Late(f"no answer within {self.timeout_s:g} s", fresh=True)
        answer, error = results[0]
        if error is not None:
            raise error
        return answer  # type: ignore[return-value]  # None only where Answer has it


def _run(function: Callable[[], Any], results: list[tuple[Any, BaseException | None]]) -> None:
    try:
        results.append((function(), None))
    except BaseException as error:  # noqa: BLE001  it is raised in the caller's thread
        results.append((None, error))
