"""The process that holds one libvirt connection, so that it can be killed when a call hangs. I/O.

It is started by `process` and ends with it: when nobody holds the other end of its socket any more. Requests are
(number, what, arguments), answers (number, None, answer) or (number, (status, message), None). Two threads answer,
each on a connection of its own: a round may hang, a look finds out on whom. It imports little, to start fast.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from producers.libvirt import events
from producers.libvirt.bulk_stats import OK, Inquiry
from producers.libvirt.connection import Connection, library
from producers.libvirt.device_cache import DeviceCache
from producers.libvirt.poll import Rounds
from producers.libvirt.stat_groups import survey
from producers.libvirt.worker.ipc import Wire

LOOK: Final = "look"


class Link:
    """The connection of the rounds."""

    def __init__(self, uri: str, ttl_s: float, libvirt: Any) -> None:
        cache = DeviceCache(ttl_s, time.monotonic)
        self.connection = Connection(uri, libvirt, lambda handle: events.watch(libvirt, handle, cache.changed))
        self.inquiry = Inquiry(self.connection)
        self._rounds = Rounds(self.connection, cache, self.inquiry)

    def open(self) -> dict[str, Any]:
        """What answers there."""
        self.connection.open()
        return {"hypervisor": self.connection.hypervisor}

    def describe(self) -> dict[str, Any]:
        """Which versions answer there."""
        handle = self.connection.open()
        return {
            "version": _version(self.connection, handle.getVersion),
            "libvirt": _version(self.connection, handle.getLibVersion),
        }

    def round(self, out: list[str], held: list[str], groups: int) -> dict[str, Any]:
        """One round, as plain data."""
        before = self.inquiry.calls
        domains, silent, problems = self._rounds.read(out, held, groups)
        return {
            "domains": domains,
            "silent": [tuple(each) for each in silent],
            "problems": [(*key, count, key in problems.whole) for key, count in problems.counts.items()],
            "calls": self.inquiry.calls - before,
        }

    def survey(self, out: list[str]) -> dict[str, Any]:
        """What each group of figures gives."""
        return survey(self.inquiry, self.connection.error_type, out)


class Lookout:
    """The connection that finds out what keeps a round."""

    def __init__(self, uri: str, libvirt: Any, watched: Inquiry) -> None:
        self.connection = Connection(uri, libvirt)
        self._inquiry = Inquiry(self.connection)
        self._watched = watched

    def look(self) -> dict[str, Any]:
        """Domains that are not free (virDomainGetControlInfo), by UUID; whom single calls are asking, for how long."""
        busy = {}
        for domain in self._inquiry.active():
            control = self._inquiry.control(domain)
            if control[0] != OK:
                busy[domain.UUIDString()] = (domain.name(), *control)
        asking = self._watched.asking
        if asking is None:
            return {"busy": busy, "asking": None}
        since_ms = int((time.monotonic() - asking.since_s) * 1000)
        return {"busy": busy, "asking": (asking.uuid, since_ms, asking.done, asking.of)}


def _version(connection: Connection, ask: Callable[[], int]) -> str | None:
    """A libvirt version number in words; None where the driver has none."""
    try:
        number = ask()
    except connection.error_type:
        return None
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


class Worker:
    """A thread that answers requests one after the other."""

    def __init__(self, wire: Wire, connection: Connection, methods: dict[str, Callable[..., Any]]) -> None:
        self.requests: queue.SimpleQueue[tuple[int, str, tuple[Any, ...]]] = queue.SimpleQueue()
        self._wire = wire
        self._connection = connection
        self._methods = methods
        threading.Thread(target=guarded, args=(self._run,), daemon=True, name="/".join(methods)).start()

    def _run(self) -> None:
        while True:
            number, what, arguments = self.requests.get()
            try:
                answer: tuple[int, Any, Any] = (number, None, self._methods[what](*arguments))
            except self._connection.error_type as error:
                self._connection.close()
                failure = self._connection.failure(error)
                answer = (number, (failure.status, str(failure)), None)
            self._wire.send(answer)


def guarded(run: Callable[[], None]) -> None:
    """Runs until the other end is gone, or something broke: then the whole process ends, though threads may hang."""
    try:
        run()
    except (EOFError, OSError):
        os._exit(0)
    except BaseException:  # noqa: BLE001  a thread that just ended would leave the reader waiting
        sys.excepthook(*sys.exc_info())
        os._exit(1)


def serve(wire: Wire) -> None:
    """Answers until the other end is gone."""
    uri, ttl_s = wire.receive()
    libvirt = library()
    events.start(libvirt)
    link = Link(uri, ttl_s, libvirt)
    lookout = Lookout(uri, libvirt, link.inquiry)
    rounds = Worker(
        wire,
        link.connection,
        {"open": link.open, "describe": link.describe, "round": link.round, "survey": link.survey},
    )
    looks = Worker(wire, lookout.connection, {LOOK: lookout.look})
    while True:
        request = wire.receive()
        (looks if request[1] == LOOK else rounds).requests.put(request)


def main() -> None:
    """Serves on the socket whose number is the argument."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: None)  # the reader decides; a handler is not handed on to a tunnel's ssh
    wire = Wire(socket.socket(fileno=int(sys.argv[1])))
    guarded(lambda: serve(wire))


if __name__ == "__main__":
    main()
