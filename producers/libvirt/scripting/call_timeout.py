"""A deadline for calls that have none: libvirt waits for a hung hypervisor for ever, and cannot be interrupted.

Calls run in a daemon thread, one after the other, as long as each is back in time. One that is not keeps its thread,
and what hangs is not asked again before it is back: so there is one thread per thing that hangs, however often it is
asked, and one for all others.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
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
        self._worker: _Worker | None = None
        """The thread for the next call."""
        self._out: dict[str, _Call] = {}
        """Who is asked → the call that is not back."""

    def call(self, who: str, function: Callable[[], Answer]) -> Answer:
        """What the function returns or raises.

        Raises:
            Late: it did not return in time, or `who` has not answered an earlier call yet.
        """
        if self._out:
            self._out = {name: call for name, call in self._out.items() if not call.is_back()}
        if who in self._out:
            raise Late("still waiting for an earlier call", fresh=False)
        if self._worker is None:
            self._worker = _Worker()
        call = _Call(function)
        self._worker.calls.put(call)
        if not call.is_back(self.timeout_s):
            self._worker.leave()  # it ends when the call is back
            self._worker, self._out[who] = None, call
            raise Late(f"no answer within {self.timeout_s:g} s", fresh=True)
        if call.error is not None:
            raise call.error
        return call.answer  # type: ignore[no-any-return]


class _Call:
    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function
        self._out = threading.Lock()
        """Held until the call is back: cheaper to wait for than an Event."""
        self._out.acquire()
        self.answer: Any = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.answer = self._function()
        except BaseException as error:  # noqa: BLE001  it is raised in the caller's thread
            self.error = error
        finally:
            self._out.release()

    def is_back(self, timeout_s: float = 0.0) -> bool:
        """Whether it is, within this time."""
        if not self._out.acquire(timeout=timeout_s):
            return False
        self._out.release()
        return True


class _Worker:
    """A thread that ends when it is left, or forgotten."""

    def __init__(self) -> None:
        self.calls: SimpleQueue[_Call | None] = SimpleQueue()
        self.leave = weakref.finalize(self, self.calls.put, None)
        threading.Thread(target=_serve, args=(self.calls,), daemon=True, name="libvirt-calls").start()


def _serve(calls: SimpleQueue[_Call | None]) -> None:
    while (call := calls.get()) is not None:
        call.run()
        del call  # or what it asked would live until the next one
