"""Runs the parts of a pipeline as processes: readiness in order, restart with back-off, orderly stop. Knows no part."""

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
from runtime.settings import SUPERVISED

BACKOFF_S: Final = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
STEADY_S: Final = 60.0
"""A part that ran this long begins its back-off anew."""
NOT_AGAIN: Final = (2, 4)
"""Exit codes after which a start would end the same way: misconfigured, bad code."""


@dataclass
class Part:
    """One process of the pipeline."""

    name: str
    command: Sequence[str]
    log: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    ready_timeout_s: float = 30.0
    metrics_port: int | None = None
    """Where it serves metrics on 127.0.0.1; 0: chosen when it starts, and kept while it is free; None: it does not."""
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

    def last_lines(self, count: int = 5) -> str:
        """The end of its log."""
        try:
            with self.log.open(errors="replace") as lines:
                return "".join(deque(lines, count)).rstrip()
        except OSError:
            return ""


class Supervisor:
    """Starts parts, restarts those that die, stops them. To be used from one thread: children die with it."""

    def __init__(
        self, on_event: Callable[[str], None] = lambda _: None, on_parts: Callable[[], None] = lambda: None
    ) -> None:
        """`on_parts`: called when a part has been started or stopped."""
        self.parts: dict[str, Part] = {}
        self._on_parts = on_parts
        self.events: deque[tuple[datetime, str]] = deque(maxlen=200)
        self.on_event = on_event
        # A path of its own and short: socket addresses end at 107 bytes.
        self._sockets = tempfile.TemporaryDirectory(prefix="rackstream-")

    def say(self, text: str) -> None:
        """Notes an event for people."""
        self.events.append((datetime.now(UTC), text))
        self.on_event(text)

    def start(self, part: Part, *, wait: bool = True) -> None:
        """Starts a part; with `wait`, returns when it says it is ready.

        Raises:
            Misconfigured: it ended before it was ready, with what it said last.
        """
        self.parts[part.name] = part
        part.log.parent.mkdir(parents=True, exist_ok=True)
        self._spawn(part)
        if wait:
            self.await_ready(part)

    def await_ready(self, part: Part) -> None:
        """Waits for a part's READY.

        Raises:
            Misconfigured: it ended, or did not get ready in time.
        """
        deadline = time.monotonic() + part.ready_timeout_s
        while part.state != "ready":
            self._hear(part)
            if part.process is not None and part.process.poll() is not None:
                raise Misconfigured(f"{part.name} ended with code {part.process.returncode}:\n{part.last_lines()}")
            if time.monotonic() > deadline:
                raise Misconfigured(
                    f"{part.name} was not ready within {part.ready_timeout_s:.0f} s; "
                    f"see {part.log}\n{part.last_lines()}"
                )
            time.sleep(0.02)

    def tend(self) -> None:
        """One round: hears readiness, notes deaths, starts again what is due. Call it several times a second."""
        now_s = time.monotonic()
        for part in self.parts.values():
            self._hear(part)
            if part.state in ("starting", "ready") and part.process is not None:
                code = part.process.poll()
                if code is not None:
                    self._died(part, code, now_s)
            elif part.state == "waiting" and now_s >= part.next_start_s:
                self._spawn(part)

    def kill(self, name: str) -> int | None:
        """SIGKILL, for chaos; returns the pid."""
        pid = self.parts[name].pid
        if pid is not None:
            os.kill(pid, signal.SIGKILL)
        return pid

    def stop(self, names: Sequence[str], *, timeout_s: float = 30.0) -> None:
        """SIGTERM to these parts together; SIGKILL to those that are still there after `timeout_s`."""
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
                self.say(f"{part.name} did not stop in {timeout_s:.0f} s and was killed")
                part.process.kill()
                part.process.wait()
        if stopping:
            self._on_parts()

    def close(self) -> None:
        """Stops whatever still runs."""
        self.stop(list(self.parts))
        for part in self.parts.values():
            if part.socket is not None:
                part.socket.close()
        self._sockets.cleanup()

    def _spawn(self, part: Part) -> None:
        if part.socket is None:
            part.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
            part.socket.bind(f"{self._sockets.name}/{len(self.parts)}-{part.name}"[:100])
        environment = dict(os.environ) | dict(part.environment)
        environment |= {"NOTIFY_SOCKET": str(part.socket.getsockname()), SUPERVISED: "1"}
        if part.metrics_port is not None:
            part.metrics_port = self._metrics_port(part)
            environment |= {"RACKSTREAM_METRICS_HOST": "127.0.0.1", "RACKSTREAM_METRICS_PORT": str(part.metrics_port)}
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
        self._on_parts()

    def _metrics_port(self, part: Part) -> int:
        if part.metrics_port and ports.is_free(part.metrics_port):
            return part.metrics_port
        others = {each.metrics_port for each in self.parts.values()}  # some may not listen yet
        return next(port for port in iter(ports.free, None) if port not in others)

    def _hear(self, part: Part) -> None:
        if part.socket is None:
            return
        while True:
            try:
                told = part.socket.recv(4096).decode(errors="replace")
            except BlockingIOError:
                return
            if "READY=1" in told.split("\n") and part.state == "starting":
                part.state = "ready"
                took = time.monotonic() - part.started_s
                again = f" (start {part.starts})" if part.starts > 1 else ""
                self.say(f"{part.name} ready after {took:.1f} s{again}")

    def _died(self, part: Part, code: int, now_s: float) -> None:
        how = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with code {code}"
        if code in NOT_AGAIN:
            part.state = "failed"
            self.say(f"{part.name} ended {how} and is not started again: {part.last_lines(1)}")
            return
        part.failures = 0 if now_s - part.started_s > STEADY_S else part.failures + 1
        delay_s = BACKOFF_S[min(max(part.failures - 1, 0), len(BACKOFF_S) - 1)]
        part.state, part.next_start_s = "waiting", now_s + delay_s
        self.say(f"{part.name} ended {how}; starting again in {delay_s:g} s")
