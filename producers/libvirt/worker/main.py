"""Worker process that holds the libvirt connections of one target.

A process, so that it can be killed when a call hangs. Started by `process`; it exits when the other end of its socket
is closed. Two threads serve requests, each on a connection of its own: while a poll hangs on one, an inspection over
the other finds the domain that blocks it. Imports little, to start fast.
"""

from __future__ import annotations

import os
import queue
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final, cast

from producers.libvirt import events
from producers.libvirt.bulk_stats import OK, LibvirtCalls
from producers.libvirt.connection import LibvirtConnection, LibvirtModule, load_libvirt
from producers.libvirt.device_cache import DeviceCache
from producers.libvirt.poll import DomainPoller
from producers.libvirt.stat_groups import GroupSurvey, survey
from producers.libvirt.worker.ipc import Inspection, MessageSocket, PollResult, ServerInfo, WorkerRequest

if TYPE_CHECKING:
    Methods = Mapping[str, Callable[..., object]]

INSPECT: Final = "inspect"


class PollService:
    """Serves polls over the first connection."""

    def __init__(self, uri: str, device_cache_ttl_s: float, libvirt: LibvirtModule) -> None:
        cache = DeviceCache(device_cache_ttl_s, time.monotonic)
        self.connection = LibvirtConnection(
            uri, libvirt, lambda handle: events.watch(libvirt, handle, cache.invalidate)
        )
        self.calls = LibvirtCalls(self.connection)
        self._poller = DomainPoller(self.connection, cache, self.calls)

    def open(self) -> ServerInfo:
        """Opens the connection."""
        self.connection.open()
        return {"hypervisor": self.connection.hypervisor}

    def describe(self) -> ServerInfo:
        """Reads the versions of hypervisor and libvirt."""
        handle = self.connection.open()
        return {
            "version": _version(self.connection, handle.getVersion),
            "libvirt": _version(self.connection, handle.getLibVersion),
        }

    def poll(self, quarantined: list[str], held: list[str], groups: int) -> PollResult:
        """Polls all active domains (`DomainPoller.poll`)."""
        calls_before = self.calls.count
        domains, unresponsive, problems = self._poller.poll(quarantined, held, groups)
        return {
            "domains": domains,
            "unresponsive": [(domain.name, domain.uuid, domain.domain_id) for domain in unresponsive],
            "problems": [(*key, count, key in problems.whole) for key, count in problems.counts.items()],
            "calls": self.calls.count - calls_before,
        }

    def survey(self, skipped: list[str]) -> dict[str, GroupSurvey]:
        """Reads every group of statistics, except of the skipped domains."""
        return survey(self.calls, self.connection.error_type, skipped)


class InspectionService:
    """Inspects over the second connection what delays a poll on the first."""

    def __init__(self, uri: str, libvirt: LibvirtModule, polled: LibvirtCalls) -> None:
        self.connection = LibvirtConnection(uri, libvirt)
        self._calls = LibvirtCalls(self.connection)
        self._polled = polled

    def inspect(self) -> Inspection:
        """Reads the monitor state of all active domains, and the progress of the poll."""
        busy = {}
        for domain in self._calls.list_active():
            control_info = self._calls.control_info(domain)
            if control_info[0] != OK:
                busy[domain.UUIDString()] = (domain.name(), *control_info)
        current = self._polled.current_call
        if current is None:
            return Inspection(busy, None)
        elapsed_ms = int((time.monotonic() - current.started_s) * 1000)
        return Inspection(busy, (current.uuid, elapsed_ms, current.domains_done, current.domains_total))


def _version(connection: LibvirtConnection, read: Callable[[], int]) -> str | None:
    """Formats a libvirt version number; None if the driver has none."""
    try:
        number = read()
    except connection.error_type:
        return None
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"


class RequestThread:
    """A thread that serves requests one after the other."""

    def __init__(self, channel: MessageSocket, connection: LibvirtConnection, methods: Methods) -> None:
        self.requests: queue.SimpleQueue[WorkerRequest] = queue.SimpleQueue()
        self._channel = channel
        self._connection = connection
        self._methods = methods
        threading.Thread(target=exit_on_failure, args=(self._run,), daemon=True, name="/".join(methods)).start()

    def _run(self) -> None:
        while True:
            number, method, arguments = self.requests.get()
            try:
                result = self._methods[method](*arguments)
            except self._connection.error_type as error:
                self._connection.close()
                failure = self._connection.poll_failure(error)
                self._channel.send((number, (failure.status, str(failure)), None))
            else:
                # marshal encodes plain tuples only, no named ones.
                self._channel.send((number, None, tuple(result) if isinstance(result, tuple) else result))


def exit_on_failure(run: Callable[[], None]) -> None:
    """Runs a function and exits the whole process when it raises.

    Other threads may hang in libvirt, and would keep the process alive. Exit code 0 if the reader closed the socket, 1
    after any other exception.
    """
    try:
        run()
    except (EOFError, OSError):
        os._exit(0)
    except BaseException:  # noqa: BLE001  a thread that just ended would leave the reader waiting
        sys.excepthook(*sys.exc_info())
        os._exit(1)


def serve(channel: MessageSocket) -> None:
    """Dispatches requests until the socket is closed."""
    uri, device_cache_ttl_s = cast("tuple[str, float]", channel.receive())
    libvirt = load_libvirt()
    events.start(libvirt)
    polls = PollService(uri, device_cache_ttl_s, libvirt)
    inspections = InspectionService(uri, libvirt, polls.calls)
    poll_thread = RequestThread(
        channel,
        polls.connection,
        {"open": polls.open, "describe": polls.describe, "poll": polls.poll, "survey": polls.survey},
    )
    inspection_thread = RequestThread(channel, inspections.connection, {INSPECT: inspections.inspect})
    while True:
        request = WorkerRequest(*cast("tuple[int, str, tuple[object, ...]]", channel.receive()))
        (inspection_thread if request.method == INSPECT else poll_thread).requests.put(request)


def main() -> None:
    """Serves on the socket whose file descriptor is the only argument."""
    for number in (signal.SIGINT, signal.SIGTERM):
        # The reader decides when to end. A handler, unlike SIG_IGN, is not inherited by a tunnel's ssh.
        signal.signal(number, lambda *_: None)
    channel = MessageSocket(socket.socket(fileno=int(sys.argv[1])))
    exit_on_failure(lambda: serve(channel))


if __name__ == "__main__":
    main()
