"""Supervises the pipeline's processes: readiness, restart with back-off, orderly stop."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rackstream.local import ports
from runtime.errors import Misconfigured
from runtime.private_files import make_private_directory, make_private_file
from runtime.settings import SUPERVISED

BACKOFF_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
STABLE_AFTER_S: Final = 60.0
"""A part that ran this long starts again from the shortest back-off."""
FATAL_EXIT_CODES: Final = (2, 4)
"""Exit codes that a restart would only repeat: misconfigured, faulty code."""


@dataclass
class PipelinePart:
    """A process of the pipeline."""

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    ready_timeout_s: float = 30.0
    metrics_port: int | None = None
    """Port of its metrics on 127.0.0.1. 0: chosen at start, and kept while it is free. None: it serves none."""
    process: subprocess.Popen[bytes] | None = None
    state: str = "new"
    """new, starting, ready, waiting (for its next start), stopped, failed."""
    starts: int = 0
    failures: int = 0
    started_s: float = 0.0
    next_start_s: float = 0.0
    socket: socket.socket | None = None

    @property
    def pid(self) -> int | None:
        """Process id while it runs."""
        return self.process.pid if self.process is not None and self.process.poll() is None else None

    def log_tail(self, count: int = 5) -> str:
        """The last lines of its log."""
        try:
            with self.log.open(errors="replace") as lines:
                return "".join(deque(lines, count)).rstrip()
        except OSError:
            return ""


class Supervisor:
    """Starts, restarts and stops parts. Use it from one thread: children die with that thread."""

    def __init__(
        self, on_event: Callable[[str], None] = lambda _: None, on_change: Callable[[], None] = lambda: None
    ) -> None:
        """Starts with no parts.

        Args:
            on_event: Receives each event as text.
            on_change: Called after a part was started or stopped.
        """
        self.parts: dict[str, PipelinePart] = {}
        self._on_change = on_change
        self.events: deque[tuple[datetime, str]] = deque(maxlen=200)
        self.on_event = on_event
        self.stopping: Callable[[], bool] = lambda: False
        """True if a stop is asked for: nothing is waited for that only starts."""
        # A short path of its own: socket addresses are limited to 107 bytes.
        self._sockets = tempfile.TemporaryDirectory(prefix="rackstream-")

    def report(self, text: str) -> None:
        """Records an event and passes it to `on_event`."""
        self.events.append((datetime.now(UTC), text))
        self.on_event(text)

    def start(self, part: PipelinePart, *, wait: bool = True) -> None:
        """Starts a part; with `wait`, returns once it reports that it is ready.

        Raises:
            Misconfigured: It exited before it was ready; the message has the end of its log.
        """
        self.parts[part.name] = part
        make_private_directory(part.log.parent)
        self._spawn(part)
        if wait:
            self.await_ready(part)

    def await_ready(self, part: PipelinePart) -> None:
        """Waits for a part's READY notification, or until a stop is asked for.

        Raises:
            Misconfigured: It exited, or was not ready in time.
        """
        deadline = time.monotonic() + part.ready_timeout_s
        while part.state != "ready":
            self._read_notifications(part)
            if part.process is not None and part.process.poll() is not None:
                raise Misconfigured(f"{part.name} exited with code {part.process.returncode}:\n{part.log_tail()}")
            if self.stopping():
                return
            if time.monotonic() > deadline:
                raise Misconfigured(
                    f"{part.name} was not ready within {part.ready_timeout_s:.0f} s; see {part.log}\n{part.log_tail()}"
                )
            time.sleep(0.02)

    def run_periodic(self) -> None:
        """Reads notifications, handles exits and restarts parts that are due.

        Call it several times a second.
        """
        now_s = time.monotonic()
        for part in self.parts.values():
            self._read_notifications(part)
            if part.state in ("starting", "ready") and part.process is not None:
                code = part.process.poll()
                if code is not None:
                    self._handle_exit(part, code, now_s)
            elif part.state == "waiting" and now_s >= part.next_start_s:
                self._spawn(part)

    def kill(self, name: str) -> int | None:
        """Sends SIGKILL, for chaos tests; returns the pid."""
        pid = self.parts[name].pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        return pid

    def stop(self, names: Sequence[str], *, timeout_s: float = 30.0) -> None:
        """Sends SIGTERM to the parts together, and SIGKILL to those still running after `timeout_s`."""
        stopping = [self.parts[name] for name in names if name in self.parts]
        for part in stopping:
            part.state = "stopped"
            if part.pid is not None:
                part.process.terminate()  # type: ignore[union-attr]  # it has a pid
        deadline = time.monotonic() + timeout_s
        for part in stopping:
            if part.process is None:
                continue
            try:
                part.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.report(f"{part.name} did not stop in {timeout_s:.0f} s and was killed")
                part.process.kill()
                part.process.wait()
        if stopping:
            self._on_change()

    def close(self) -> None:
        """Stops all parts."""
        self.stop(list(self.parts))
        for part in self.parts.values():
            if part.socket is not None:
                part.socket.close()
        self._sockets.cleanup()

    def _spawn(self, part: PipelinePart) -> None:
        if part.socket is None:
            part.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            part.socket.bind(f"{self._sockets.name}/{len(self.parts)}-{part.name}"[:100])
        environment = dict(os.environ) | dict(part.environment)
        environment |= {"NOTIFY_SOCKET": str(part.socket.getsockname()), SUPERVISED: "1"}
        if part.metrics_port is not None:
            part.metrics_port = self._metrics_port(part)
            environment |= {"RACKSTREAM_METRICS_HOST": "127.0.0.1", "RACKSTREAM_METRICS_PORT": str(part.metrics_port)}
        make_private_file(part.log)
        with part.log.open("ab") as log:
            part.process = subprocess.Popen(
                part.command,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the supervisor, which stops the parts in order
            )
        part.starts += 1
        part.state = "starting"
        part.started_s = time.monotonic()
        self._on_change()

    def _metrics_port(self, part: PipelinePart) -> int:
        if part.metrics_port and ports.is_free(part.metrics_port):
            return part.metrics_port
        others = {other.metrics_port for other in self.parts.values()}  # some may not listen yet
        return next(port for port in iter(ports.free_port, None) if port not in others)

    def _read_notifications(self, part: PipelinePart) -> None:
        if part.socket is None:
            return
        while True:
            try:
                notification = part.socket.recv(4096).decode(errors="replace")
            except BlockingIOError:
                return
            if "READY=1" in notification.split("\n") and part.state == "starting":
                part.state = "ready"
                took = time.monotonic() - part.started_s
                restart = f" (start {part.starts})" if part.starts > 1 else ""
                self.report(f"{part.name} ready after {took:.1f} s{restart}")

    def _handle_exit(self, part: PipelinePart, code: int, now_s: float) -> None:
        reason = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
        if code in FATAL_EXIT_CODES:
            part.state = "failed"
            self.report(f"{part.name} exited {reason} and is not restarted: {part.log_tail(1)}")
            return
        part.failures = 0 if now_s - part.started_s > STABLE_AFTER_S else part.failures + 1
        delay_s = BACKOFF_S[min(max(part.failures - 1, 0), len(BACKOFF_S) - 1)]
        part.state, part.next_start_s = "waiting", now_s + delay_s
        self.report(f"{part.name} exited {reason}; restarting in {delay_s:g} s")
