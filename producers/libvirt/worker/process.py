"""Starts a worker process, exchanges requests and responses with it, and kills it."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
import weakref
from pathlib import Path
from typing import Final, cast

from producers.libvirt.worker.ipc import MessageSocket, WorkerRequest, WorkerResponse
from producers.reader import PollFailed

ROOT: Final = Path(__file__).resolve().parents[3]
"""Directory of the packages, independent of the working directory."""
PROGRAM: Final = "producers.libvirt.worker.main"


class WorkerEnded(Exception):
    """The worker process is gone; its pending requests get no response."""


class WorkerProcess:
    """A worker process. For a single thread, except `kill`.

    The process exits when this object is killed or garbage-collected, because it lives as long as its socket is open.
    """

    def __init__(self, uri: str, device_cache_ttl_s: float) -> None:
        parent_end, child_end = socket.socketpair()
        path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
        with child_end:
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", PROGRAM, str(child_end.fileno())],
                pass_fds=[child_end.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                start_new_session=True,  # no terminal: neither Ctrl-C nor a tunnel's password prompt
                env=os.environ | {"PYTHONPATH": path},
            )
        self._process = process
        self._socket = MessageSocket(parent_end)
        self._last_number = 0
        self._responses: dict[int, WorkerResponse] = {}
        self._end = weakref.finalize(self, _end, process, self._socket)
        self._send((uri, device_cache_ttl_s))  # not as arguments, which every user of the machine can see

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def request(self, method: str, *arguments: object) -> int:
        """Sends a request and returns its number, for `response`.

        Raises:
            WorkerEnded: The worker process is gone.
        """
        self._last_number += 1
        self._send(tuple(WorkerRequest(self._last_number, method, arguments)))
        return self._last_number

    def wait(self, deadline_s: float) -> bool:
        """Waits for a response until `time.monotonic()` is `deadline_s`.

        Returns True if one arrived.

        Raises:
            WorkerEnded: The worker process is gone.
        """
        try:
            frame = self._socket.receive(max(0.0, deadline_s - time.monotonic()))
        except TimeoutError:
            return False
        except (EOFError, OSError, ValueError) as error:
            raise WorkerEnded(self._exit_reason()) from error
        response = WorkerResponse(*cast("tuple[int, tuple[str, str] | None, object]", frame))
        self._responses[response.number] = response
        return True

    def response(self, number: int) -> object:
        """Returns the result of the request of this number; None if there is no response yet.

        Raises:
            PollFailed: libvirt failed.
        """
        response = self._responses.pop(number, None)
        if response is None:
            return None
        if response.failure is not None:
            raise PollFailed(*response.failure)
        return response.result

    def kill(self) -> None:
        """Kills the process, from any thread. Pending calls raise `WorkerEnded`."""
        self._end()

    def _send(self, message: object) -> None:
        try:
            self._socket.send(message)
        except OSError as error:
            raise WorkerEnded(self._exit_reason()) from error

    def _exit_reason(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            code = self._process.wait(1.0)
            return f"signal {-code}" if code < 0 else f"exit code {code}"
        return "it closed its socket"


def _end(process: subprocess.Popen[bytes], channel: MessageSocket) -> None:
    process.kill()
    process.wait()
    channel.close()
