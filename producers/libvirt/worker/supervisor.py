"""Rounds of one libvirt connection in a process of its own, so that a VM that hangs costs itself only. I/O.

A round that is not back by its soft deadline is looked into over a second connection: if a domain hangs, the process
is killed and the round asked again without it; if none does, the host is slow and is waited for. Another process starts
when a domain is suspected, before that is certain, for on a busy machine its start takes longer than the round. Nobody
else waits: a round that is not back when the caller has no more time goes on, and the next call finds it.
"""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from producers.libvirt.poll import GROUPS, WITHOUT_HYPERVISOR
from producers.libvirt.worker.hang_detector import Suspicion
from producers.libvirt.worker.process import Ended, Process
from producers.libvirt.worker.quarantine import Quarantine
from producers.reader import PollFailed

LIBVIRT_TIMEOUT: Final = 30.0
"""Seconds that opening a connection, or a single call, may take at most."""
SOFT_S: Final = 1.0
"""Seconds after which a round is suspected of hanging, if the interval is not shorter. Opening counts, if it must."""
AGAIN_S: Final = 0.5
"""The same for the round after one that hung; no round gets less, however long the opening took."""
HUNG_MAX: Final = 5
"""Each hung domain leaves a thread of libvirtd waiting, which has 20. When so many hang, no hypervisor is asked."""


class Limits(NamedTuple):
    """Seconds."""

    soft_s: float
    hard_s: float
    device_cache_ttl_s: float


@dataclass
class _Pending:
    """A question that has no answer yet."""

    number: int
    what: str
    began_s: float
    suspicion: Suspicion | None = None
    """Where a domain may hang it: of a round."""


class _Hung(Exception):
    """Domains were found to hang; the process has been killed."""


class _Lost(PollFailed):
    """The connection was lost, or was not to be had."""


class Isolation:
    """One connection. For one thread, but for `close`."""

    def __init__(self, uri: str, address: str, limits: Limits) -> None:
        self._uri = uri
        self._address = address
        self._limits = limits
        self._process: Process | None = None
        self._pending: _Pending | None = None
        self._spare: tuple[Process, _Pending] | None = None
        """A process that opens its connection while the other one's round is suspected of hanging."""
        self._open = self._closing = False
        self.quarantine = Quarantine()
        self._describing: int | None = None
        """The question that was asked since the opening; None: not yet."""
        self.described: dict[str, Any] = {}
        """What answers: `hypervisor`, and from the second round on `version` and `libvirt`."""

    def round(self, timeout_s: float) -> dict[str, Any]:
        """All active domains, as `child` gives them.

        Raises:
            PollFailed: `unreachable`, `auth_failed`, or `late`: no answer within `timeout_s`, but it may yet come.
        """
        began_s = time.monotonic()
        until_s, soft_until_s = began_s + timeout_s, began_s + self._limits.soft_s
        was_open, self._closing = self._open, False
        self._drop_old()
        try:
            while True:
                try:
                    self._connect(until_s)
                    answer: dict[str, Any] = self._finish(self._pending or self._ask_round(soft_until_s), until_s)
                    self._describe()
                    return answer
                except _Hung:
                    continue
                except Ended as ended:
                    self._end()
                    if self._closing or not was_open:
                        why = f"libvirt {self._address}: its process ended: {ended}"
                        raise PollFailed("unreachable", why) from None
                    was_open = False
                except _Lost:
                    # If it was lost since the last round, another is to be had, perhaps.
                    if not was_open:
                        raise
                    was_open = False
        finally:
            if self._pending is None:
                self._end_spare()

    def survey(self, timeout_s: float) -> dict[str, Any]:
        """What each group of figures gives, as `survey` says, without the domains that the round before left out.

        Raises:
            PollFailed: as for `round`.
        """
        until_s = time.monotonic() + timeout_s
        try:
            self._connect(until_s)
            found: dict[str, Any] = self._finish(self._ask("survey", self.quarantine.out), until_s)
            self._describe()
        except Ended as ended:
            raise PollFailed("unreachable", f"libvirt {self._address}: its process ended: {ended}") from None
        return found

    def close(self) -> None:
        """Ends the process, from any thread; a later `round` starts another."""
        self._closing = True
        self._end()
        self._end_spare()

    def _end_spare(self) -> None:
        spare, self._spare = self._spare, None
        if spare is not None:
            spare[0].end()

    def _end(self) -> None:
        process, self._process, self._pending, self._open = self._process, None, None, False
        if process is not None:
            process.end()

    def _drop_old(self) -> None:
        """Lets go of the answer to a question of an earlier call: its figures are old."""
        process, pending = self._process, self._pending
        if process is None or pending is None or pending.what != "round":
            return
        try:
            while process.wait(0.0):
                pass
            if process.answer(pending.number) is not None:
                self._pending = None
        except PollFailed:
            self._pending, self._open = None, False
        except Ended:
            self._end()

    def _connect(self, until_s: float) -> None:
        """Starts the process and opens the connection, unless that is done."""
        if self._open:
            return
        if self._closing:
            raise Ended("closed")
        if self._process is None:
            spare, self._spare = self._spare, None
            self._process, self._pending = spare or self._start()
        if self._pending is None:
            self._pending = self._ask("open")
        self.described |= self._finish(self._pending, until_s)
        self._open, self._describing = True, None

    def _describe(self) -> None:
        """Learns what answers there without waiting for it: to tell its version, libvirtd may first start QEMUs."""
        process = self._process
        if process is None:
            return
        with contextlib.suppress(PollFailed, Ended):  # whatever ended it, the next round says so
            if self._describing is None:
                self._describing = process.ask("describe")
            self.described |= process.answer(self._describing) or {}

    def _start(self) -> tuple[Process, _Pending]:
        process = Process(self._uri, self._limits.device_cache_ttl_s)
        return process, self._ask("open", process=process)

    def _ask_round(self, soft_until_s: float) -> _Pending:
        out = self.quarantine.out
        groups = GROUPS if len(out) < HUNG_MAX else WITHOUT_HYPERVISOR
        self._pending = pending = self._ask("round", out, self.quarantine.held(time.monotonic()), groups)
        least_s = min(AGAIN_S, self._limits.soft_s)
        pending.suspicion = Suspicion(pending.began_s, max(soft_until_s, pending.began_s + least_s), out)
        return pending

    def _ask(self, what: str, *arguments: Any, process: Process | None = None) -> _Pending:
        asked = process or self._process
        if asked is None:
            raise Ended("closed")
        began_s = time.monotonic()
        return _Pending(asked.ask(what, *arguments), what, began_s)

    def _finish(self, pending: _Pending, until_s: float) -> Any:
        """The answer, which is waited for.

        Raises:
            PollFailed: libvirt failed, or time is up.
            Ended: the process is gone.
            _Hung: domains hang.
        """
        process = self._process
        if process is None:
            raise Ended("closed")
        dead_s = pending.began_s + self._limits.hard_s
        while (answer := self._answer(process, pending)) is None:
            now_s = time.monotonic()
            if now_s >= dead_s:
                self._end()
                raise PollFailed(
                    "unreachable",
                    f"libvirt {self._address}: no answer to {pending.what} within {self._limits.hard_s:g} s",
                )
            if now_s >= until_s:
                raise self._overdue(pending, now_s)
            wake_s = min(until_s, dead_s)
            if pending.suspicion is not None:
                self._look_into(process, pending.suspicion, now_s)
                wake_s = min(wake_s, max(now_s + 0.01, pending.suspicion.next_s))
            process.wait(wake_s)
        self._pending = None
        return answer

    def _overdue(self, pending: _Pending, now_s: float) -> PollFailed:
        """Late if the host answers other questions meanwhile."""
        suspicion = pending.suspicion
        text = f"libvirt {self._address}: no answer to {pending.what} in {now_s - pending.began_s:.1f} s"
        if suspicion is None:
            return PollFailed("unreachable", text)
        return PollFailed("late" if suspicion.host_answers(now_s) else "unreachable", text + suspicion.progress)

    def _answer(self, process: Process, pending: _Pending) -> Any:
        try:
            return process.answer(pending.number)
        except PollFailed as failed:
            self._pending, self._open = None, False
            raise _Lost(failed.status, str(failed)) from None

    def _look_into(self, process: Process, suspicion: Suspicion, now_s: float) -> None:
        hung = suspicion.look(process, now_s)
        if hung:
            for uuid in hung:
                self.quarantine.put(uuid, now_s)
            self._end()
            raise _Hung
        if suspicion.is_strong and self._spare is None:
            self._spare = self._start()
