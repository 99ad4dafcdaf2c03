"""The reader's end of a libvirt process (`child`): starts it, asks it, kills it. Knows no libvirt. I/O."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import Any, Final

from producers.libvirt.worker.ipc import Wire
from producers.reader import PollFailed

ROOT: Final = Path(__file__).resolve().parents[3]
"""Where the packages are, whatever directory the reader's process was started in."""
PROGRAM: Final = "producers.libvirt.worker.main"


class Ended(Exception):
    """The process is gone; what was asked of it gets no answer."""


class Process:
    """One libvirt process. For one thread, but for `end`.

    It ends when this is closed, forgotten or killed, for it lives as long as somebody holds its socket.
    """

    def __init__(self, uri: str, device_cache_ttl_s: float) -> None:
        ours, theirs = socket.socketpair()
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        with theirs:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", PROGRAM, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # no terminal: neither Ctrl-C nor a tunnel's question for a password
                env=os.environ | {"PYTHONPATH": path},
            )
        self._process = process
        self._wire = Wire(ours)
        self._numbers = 0
        self._answers: dict[int, tuple[Any, Any]] = {}
        self._end = weakref.finalize(self, _end, process, self._wire)
        self._send((uri, device_cache_ttl_s))  # not as arguments, which everyone can see

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def ask(self, what: str, *arguments: Any) -> int:
        """Asks; the number returned is for `answer`.

        Raises:
            Ended: the process is gone.
        """
        self._numbers += 1
        self._send((self._numbers, what, arguments))
        return self._numbers

    def wait(self, until_s: float) -> bool:
        """Waits until something was answered, or `time.monotonic()` is `until_s`; whether something was.

        Raises:
            Ended: the process is gone.
        """
        try:
            number, failure, answer = self._wire.receive(max(0.0, until_s - time.monotonic()))
        except TimeoutError:
            return False
        except (EOFError, OSError, ValueError) as error:
            raise Ended(self._how()) from error
        self._answers[number] = (failure, answer)
        return True

    def answer(self, number: int) -> Any:
        """The answer to what was asked under this number; None: there is none yet.

        Raises:
            PollFailed: libvirt failed.
        """
        failure, answer = self._answers.pop(number, (None, None))
        if failure is not None:
            raise PollFailed(*failure)
        return answer

    def end(self) -> None:
        """Kills it, from any thread. What waits for it gets `Ended`."""
        self._end()

    def _send(self, message: Any) -> None:
        try:
            self._wire.send(message)
        except OSError as error:
            raise Ended(self._how()) from error

    def _how(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(1.0)
            return f"signal {-code}" if code < 0 else f"exit code {code}"
        return "it closed its socket"


def _end(process: subprocess.Popen[bytes], wire: Wire) -> None:
    process.kill()
    process.wait()
    wire.close()
