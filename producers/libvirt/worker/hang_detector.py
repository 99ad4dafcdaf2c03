"""Finds the domain that blocks an overdue poll.

One hung QEMU blocks the bulk call for every domain of its host. While a poll is overdue, the detector inspects the
domains over a second libvirt connection, on which `controlInfo` answers at once, and reports those whose monitor has
been busy for as long as the poll has been running. `supervisor` then kills the worker and polls again without them;
which evidence suffices is decided in `quarantine`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Final, cast

from producers.libvirt.worker.ipc import Inspection
from producers.libvirt.worker.quarantine import InspectionHistory, MonitorState
from producers.reader import PollFailed

if TYPE_CHECKING:
    from producers.libvirt.worker.process import WorkerProcess

INSPECT_EVERY_S: Final = 0.25
HOST_TIMEOUT_S: Final = 1.0
"""If an inspection goes unanswered for this long, the host itself is stuck, not a domain."""


class HangDetector:
    """Watches one poll of one host. All times are `time.monotonic()` seconds."""

    def __init__(self, poll_started_s: float, report_from_s: float, quarantined: Collection[str]) -> None:
        """Starts watching.

        Args:
            poll_started_s: When the poll began.
            report_from_s: No domain is reported before this time, so that slow polls are not mistaken for hung ones.
            quarantined: UUIDs of domains that this poll already skips.
        """
        self._poll_started_s = poll_started_s
        self._report_from_s = report_from_s
        self._quarantined = quarantined
        self._history = InspectionHistory()
        self._pending_inspection: int | None = None
        self._inspected_s = 0.0
        self.next_inspection_s = (poll_started_s + report_from_s) / 2
        """When `inspect` is to be called next."""
        self.has_suspect = False
        """True if a domain is likely to be reported at the next inspection."""
        self.progress = ""
        """Text on the progress of the poll, if it makes single calls."""

    def inspect(self, process: WorkerProcess, now_s: float) -> set[str]:
        """Reads the pending inspection and starts the next one when it is due.

        Returns:
            UUIDs of the domains found hung; empty while the evidence does not suffice.

        Raises:
            WorkerEnded: The worker process is gone.
        """
        hung: set[str] = set()
        if self._pending_inspection is not None:
            try:
                result = process.response(self._pending_inspection)
            except PollFailed:
                result = Inspection({}, None)
            if result is None:
                self.next_inspection_s = now_s + INSPECT_EVERY_S
                return hung
            self._pending_inspection = None
            hung = self._evaluate(Inspection(*cast("Inspection", result)))
        if not hung and now_s >= self.next_inspection_s:
            self._pending_inspection = process.request("inspect")
            self._inspected_s = now_s
            self.next_inspection_s = now_s + INSPECT_EVERY_S
            if now_s < self._report_from_s:
                self.next_inspection_s = min(self.next_inspection_s, self._report_from_s)
        return hung

    def host_responds(self, now_s: float) -> bool:
        """True if the host answers inspections although the poll is stuck."""
        return self._pending_inspection is None or now_s - self._inspected_s < HOST_TIMEOUT_S

    def _evaluate(self, inspection: Inspection) -> set[str]:
        busy = {uuid: MonitorState(*state) for uuid, state in inspection.busy.items()}
        current = inspection.current_call
        self._history.add(busy, current_call=None if current is None else current[:2])
        if current is not None:
            _, _, domains_done, domains_total = current
            self.progress = f", {domains_done} of {domains_total} domains done"
        poll_ms = (self._inspected_s - self._poll_started_s) * 1000
        self.has_suspect = self._history.has_suspect(poll_ms)
        if self._inspected_s < self._report_from_s:
            return set()
        return self._history.find_hung(poll_ms, self._quarantined)
