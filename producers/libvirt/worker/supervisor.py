"""Runs the polls of one connection in a worker process: a hung VM affects only itself.

A poll that exceeds its soft timeout is inspected over a second connection: if a domain hangs, the worker is killed and
the poll repeated without it; if none does, the host is slow and is waited for. The replacement worker starts as soon as
a domain is suspected, because on a busy machine its start takes longer than the poll. A poll that is still running when
the caller's time is up continues, and the next call picks it up.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from producers.libvirt.poll import GROUPS_WITHOUT_MONITOR, POLLED_GROUPS
from producers.libvirt.worker.hang_detector import HangDetector
from producers.libvirt.worker.process import WorkerEnded, WorkerProcess
from producers.libvirt.worker.quarantine import Quarantine
from producers.reader import PollFailed

if TYPE_CHECKING:
    from producers.libvirt.stat_groups import GroupSurvey
    from producers.libvirt.worker.ipc import PollResult, ServerInfo

SOFT_TIMEOUT_S: Final = 1.0
"""If a poll takes longer than this, or than a shorter interval, it is suspected of hanging. Includes opening."""
RETRY_TIMEOUT_S: Final = 0.5
"""The soft timeout of a poll that is repeated after a hang; no poll gets less, however long the opening took."""
MAX_HUNG: Final = 5
"""Each hung domain blocks one of libvirtd's 20 threads. From this many on, polls no longer query any hypervisor."""


class WorkerLimits(NamedTuple):
    """Limits of a worker, in seconds."""

    soft_timeout_s: float
    hard_timeout_s: float
    device_cache_ttl_s: float


@dataclass
class _PendingRequest:
    number: int
    method: str
    started_s: float
    hang_detector: HangDetector | None = None
    """Set for a poll, which a domain may block."""


class _DomainsHung(Exception):
    """Domains were found to hang; the worker has been killed."""


class _ConnectionLost(PollFailed):
    """The connection was lost, or could not be opened."""


class WorkerSupervisor:
    """Supervises the worker of one connection. For a single thread, except `close`."""

    def __init__(self, uri: str, address: str, limits: WorkerLimits) -> None:
        self._uri = uri
        self._address = address
        self._limits = limits
        self._process: WorkerProcess | None = None
        self._pending: _PendingRequest | None = None
        self._spare: tuple[WorkerProcess, _PendingRequest] | None = None
        """A worker that opens its connection while the other's poll is suspected of hanging."""
        self._is_open = self._is_closing = False
        self.quarantine = Quarantine()
        self._describe_request: int | None = None
        """Request for the versions; None: not sent since the connection was opened."""
        self.server_info: ServerInfo = {}
        """`hypervisor`; from the second poll on also `version` and `libvirt`."""

    def poll(self, timeout_s: float) -> PollResult:
        """Polls all active domains.

        Raises:
            PollFailed: `unreachable`, `auth_failed`, or `late`: no result within `timeout_s`, but one may follow.
        """
        started_s = time.monotonic()
        deadline_s, report_from_s = started_s + timeout_s, started_s + self._limits.soft_timeout_s
        was_open, self._is_closing = self._is_open, False
        self._discard_stale_response()
        try:
            while True:
                try:
                    self._connect(deadline_s)
                    result = self._finish(self._pending or self._start_poll(report_from_s), deadline_s)
                    self._update_versions()
                    return cast("PollResult", result)
                except _DomainsHung:
                    continue
                except WorkerEnded as ended:
                    self._end_worker()
                    if self._is_closing or not was_open:
                        raise self._process_ended(ended) from None
                    was_open = False
                except _ConnectionLost:
                    # If it was lost since the last poll, a new one may succeed.
                    if not was_open:
                        raise
                    was_open = False
        finally:
            if self._pending is None:
                self._end_spare()

    def survey(self, timeout_s: float) -> dict[str, GroupSurvey]:
        """Reads every group of statistics (`stat_groups`), without quarantined domains.

        Raises:
            PollFailed: As for `poll`.
        """
        deadline_s = time.monotonic() + timeout_s
        try:
            self._connect(deadline_s)
            result = self._finish(self._request("survey", self.quarantine.quarantined), deadline_s)
            self._update_versions()
        except WorkerEnded as ended:
            raise self._process_ended(ended) from None
        return cast("dict[str, GroupSurvey]", result)

    def close(self) -> None:
        """Ends the worker, from any thread; a later `poll` starts another."""
        self._is_closing = True
        self._end_worker()
        self._end_spare()

    def _process_ended(self, ended: WorkerEnded) -> PollFailed:
        return PollFailed("unreachable", f"libvirt {self._address}: its process ended: {ended}")

    def _end_spare(self) -> None:
        spare, self._spare = self._spare, None
        if spare is not None:
            spare[0].kill()

    def _end_worker(self) -> None:
        process, self._process, self._pending, self._is_open = self._process, None, None, False
        if process is not None:
            process.kill()

    def _discard_stale_response(self) -> None:
        """Discards the result of a poll that completed after its caller gave up: its values are old."""
        process, pending = self._process, self._pending
        if process is None or pending is None or pending.method != "poll":
            return
        try:
            while process.wait(0.0):
                pass
            if process.response(pending.number) is not None:
                self._pending = None
        except PollFailed:
            self._pending, self._is_open = None, False
        except WorkerEnded:
            self._end_worker()

    def _connect(self, deadline_s: float) -> None:
        """Starts the worker and opens the connection, unless that is done."""
        if self._is_open:
            return
        if self._is_closing:
            raise WorkerEnded("closed")
        if self._process is None:
            spare, self._spare = self._spare, None
            self._process, self._pending = spare or self._start_worker()
        if self._pending is None:
            self._pending = self._request("open")
        self.server_info |= cast("ServerInfo", self._finish(self._pending, deadline_s))
        self._is_open, self._describe_request = True, None

    def _update_versions(self) -> None:
        """Requests the versions without waiting: to report its own, libvirtd may first start QEMUs."""
        process = self._process
        if process is None:
            return
        with contextlib.suppress(PollFailed, WorkerEnded):  # the next poll reports what went wrong
            if self._describe_request is None:
                self._describe_request = process.request("describe")
            self.server_info |= cast("ServerInfo", process.response(self._describe_request) or {})

    def _start_worker(self) -> tuple[WorkerProcess, _PendingRequest]:
        process = WorkerProcess(self._uri, self._limits.device_cache_ttl_s)
        return process, self._request("open", process=process)

    def _start_poll(self, report_from_s: float) -> _PendingRequest:
        quarantined = self.quarantine.quarantined
        groups = POLLED_GROUPS if len(quarantined) < MAX_HUNG else GROUPS_WITHOUT_MONITOR
        pending = self._request("poll", quarantined, self.quarantine.held(time.monotonic()), groups)
        self._pending = pending
        min_timeout_s = min(RETRY_TIMEOUT_S, self._limits.soft_timeout_s)
        report_from_s = max(report_from_s, pending.started_s + min_timeout_s)
        pending.hang_detector = HangDetector(pending.started_s, report_from_s, quarantined)
        return pending

    def _request(self, method: str, *arguments: object, process: WorkerProcess | None = None) -> _PendingRequest:
        process = process or self._process
        if process is None:
            raise WorkerEnded("closed")
        started_s = time.monotonic()
        return _PendingRequest(process.request(method, *arguments), method, started_s)

    def _finish(self, pending: _PendingRequest, deadline_s: float) -> object:
        """Waits for the result of a request.

        Raises:
            PollFailed: libvirt failed, or time is up.
            WorkerEnded: The worker process is gone.
            _DomainsHung: Domains hang.
        """
        process = self._process
        if process is None:
            raise WorkerEnded("closed")
        kill_at_s = pending.started_s + self._limits.hard_timeout_s
        while (result := self._result(process, pending)) is None:
            now_s = time.monotonic()
            if now_s >= kill_at_s:
                self._end_worker()
                raise PollFailed(
                    "unreachable",
                    f"libvirt {self._address}: no answer to {pending.method} within {self._limits.hard_timeout_s:g} s",
                )
            if now_s >= deadline_s:
                raise self._overdue(pending, now_s)
            wake_s = min(deadline_s, kill_at_s)
            if pending.hang_detector is not None:
                self._inspect(process, pending.hang_detector, now_s)
                wake_s = min(wake_s, max(now_s + 0.01, pending.hang_detector.next_inspection_s))
            process.wait(wake_s)
        self._pending = None
        return result

    def _overdue(self, pending: _PendingRequest, now_s: float) -> PollFailed:
        """Builds the failure of an overdue request: `late` if the host answers inspections."""
        detector = pending.hang_detector
        message = f"libvirt {self._address}: no answer to {pending.method} in {now_s - pending.started_s:.1f} s"
        if detector is None:
            return PollFailed("unreachable", message)
        return PollFailed("late" if detector.host_responds(now_s) else "unreachable", message + detector.progress)

    def _result(self, process: WorkerProcess, pending: _PendingRequest) -> object:
        try:
            return process.response(pending.number)
        except PollFailed as failure:
            self._pending, self._is_open = None, False
            raise _ConnectionLost(failure.status, str(failure)) from None

    def _inspect(self, process: WorkerProcess, detector: HangDetector, now_s: float) -> None:
        hung = detector.inspect(process, now_s)
        if hung:
            for uuid in hung:
                self.quarantine.add(uuid, now_s)
            self._end_worker()
            raise _DomainsHung
        if detector.has_suspect and self._spare is None:
            self._spare = self._start_worker()
