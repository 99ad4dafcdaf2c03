"""Adds a timeout to libvirt calls.

libvirt waits for a hung hypervisor forever, and cannot be interrupted.

Calls run one after the other in a daemon thread, as long as each returns in time. One that does not keeps its thread,
and its domain is not called again until it returns: so there is one thread per domain that hangs, however often it is
called, and one for all others.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable
from queue import SimpleQueue
from typing import TypeVar, cast

Result = TypeVar("Result")


class CallTimedOut(TimeoutError):
    """A call did not return in time, or an earlier call to the same domain is still running."""

    def __init__(self, message: str, *, is_new: bool) -> None:
        super().__init__(message)
        self.is_new = is_new
        """True if this call hung; False if an earlier one still does."""


class CallTimeout:
    """Runs calls with a timeout of `timeout_s` seconds each. For one caller at a time."""

    def __init__(self, timeout_s: float) -> None:
        self.timeout_s = timeout_s
        self._worker: _Worker | None = None
        """The thread for the next call."""
        self._overdue: dict[str, _Call] = {}
        """Key → the call that has not returned."""

    def call(self, key: str, function: Callable[[], Result]) -> Result:
        """Calls a function and returns its result, or raises its exception.

        Args:
            key: The domain that the function calls.
            function: The call.

        Raises:
            CallTimedOut: It did not return in time, or an earlier call of the same key has not returned yet.
        """
        if self._overdue:
            self._overdue = {key: call for key, call in self._overdue.items() if not call.wait()}
        if key in self._overdue:
            raise CallTimedOut("still waiting for an earlier call", is_new=False)
        if self._worker is None:
            self._worker = _Worker()
        call = _Call(function)
        self._worker.calls.put(call)
        if not call.wait(self.timeout_s):
            self._worker.stop()  # it ends when the call returns
            self._worker, self._overdue[key] = None, call
            raise CallTimedOut(f"no answer within {self.timeout_s:g} s", is_new=True)
        if call.error is not None:
            raise call.error
        return cast("Result", call.result)


class _Call:
    def __init__(self, function: Callable[[], object]) -> None:
        self._function = function
        self._running = threading.Lock()
        """Held until the call returns: cheaper to wait for than an Event."""
        self._running.acquire()
        self.result: object = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.result = self._function()
        except BaseException as error:  # noqa: BLE001  it is raised in the caller's thread
            self.error = error
        finally:
            self._running.release()

    def wait(self, timeout_s: float = 0.0) -> bool:
        """True if the call has returned, or does within this time."""
        if not self._running.acquire(timeout=timeout_s):
            return False
        self._running.release()
        return True


class _Worker:
    """A thread that ends when it is stopped or garbage-collected."""

    def __init__(self) -> None:
        self.calls: SimpleQueue[_Call | None] = SimpleQueue()
        self.stop = weakref.finalize(self, self.calls.put, None)
        threading.Thread(target=_serve, args=(self.calls,), daemon=True, name="libvirt-calls").start()


def _serve(calls: SimpleQueue[_Call | None]) -> None:
    while (call := calls.get()) is not None:
        call.run()
        del call  # its arguments would otherwise live until the next call
