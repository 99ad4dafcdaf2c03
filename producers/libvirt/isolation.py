"""Rounds of one libvirt connection in a process of its own, so that a VM that hangs costs itself only. I/O.

A round that is not back by its soft deadline is looked into over a second connection: if a domain hangs, the process
is killed and the round asked again without it; if none does, the host is slow and is waited for. Nobody else waits:
a round that is not back when the caller has no more time goes on, and the next call finds it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from producers.libvirt.process import Ended, Process
from producers.libvirt.quarantine import Busy, Looks, Quarantine
from producers.libvirt.rounds import GROUPS, WITHOUT_HYPERVISOR
from producers.reader import PollFailed

LIBVIRT_TIMEOUT: Final = 30.0
"""Seconds that opening a connection, or a single call, may take at most."""
SOFT_S: Final = 1.0
"""Seconds after which a round is suspected of hanging, if the interval is not shorter."""
AGAIN_S: Final = 0.5
"""The same for the round after one that hung."""
LOOK_EVERY_S: Final = 0.25
SILENT_S: Final = 1.0
"""Seconds without an answer to a look after which it is the host that does not answer."""
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
    out: list[str]
    soft_s: float
    looks: Looks = field(default_factory=Looks)
    look: int | None = None
    """The look under way."""
    look_sent_s: float = 0.0
    next_look_s: float = 0.0
    progress: str = ""


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
        self._open = self._closing = False
        self.quarantine = Quarantine()
        self.described: dict[str, Any] = {}
        """What answers: `hypervisor`, `version`, `libvirt`."""

    def round(self, timeout_s: float) -> dict[str, Any]:
        """All active domains, as `child` gives them.

        Raises:
            PollFailed: `unreachable`, `auth_failed`, or `late`: no answer within `timeout_s`, but it may yet come.
        """
        until_s = time.monotonic() + timeout_s
        soft_s = self._limits.soft_s
        was_open, self._closing = self._open, False
        self._drop_old()
        while True:
            try:
                self._connect(until_s)
                answer: dict[str, Any] = self._finish(self._pending or self._ask_round(soft_s), until_s)
                return answer
            except _Hung:
                soft_s = min(AGAIN_S, soft_s)
            except Ended as ended:
                self._end()
                if self._closing or not was_open:
                    raise PollFailed("unreachable", f"libvirt {self._address}: its process ended: {ended}") from None
                was_open = False
            except _Lost:
                # If it was lost since the last round, another is to be had, perhaps.
                if not was_open:
                    raise
                was_open = False

    def survey(self, timeout_s: float) -> dict[str, Any]:
        """What each group of figures gives, as `survey` says, without the domains that the round before left out.

        Raises:
            PollFailed: as for `round`.
        """
        until_s = time.monotonic() + timeout_s
        try:
            self._connect(until_s)
            found: dict[str, Any] = self._finish(self._ask("survey", self.quarantine.out), until_s)
        except Ended as ended:
            raise PollFailed("unreachable", f"libvirt {self._address}: its process ended: {ended}") from None
        return found

    def close(self) -> None:
        """Ends the process, from any thread; a later `round` starts another."""
        self._closing = True
        self._end()

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
        if self._process is None:
            self._process = Process(self._uri, self._limits.device_cache_ttl_s)
        if self._pending is None:
            self._pending = self._ask("open")
        self.described = self._finish(self._pending, until_s)
        self._open = True

    def _ask_round(self, soft_s: float) -> _Pending:
        out = self.quarantine.out
        groups = GROUPS if len(out) < HUNG_MAX else WITHOUT_HYPERVISOR
        self._pending = pending = self._ask("round", out, self.quarantine.held(time.monotonic()), groups)
        pending.out, pending.soft_s = out, soft_s
        pending.next_look_s = pending.began_s + soft_s / 2
        return pending

    def _ask(self, what: str, *arguments: Any) -> _Pending:
        assert self._process is not None
        now_s = time.monotonic()
        return _Pending(self._process.ask(what, *arguments), what, now_s, [], self._limits.hard_s)

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
                raise PollFailed("unreachable", f"libvirt {self._address}: no answer to {pending.what} within "
                                 f"{self._limits.hard_s:g} s")  # fmt: skip
            if now_s >= until_s:
                raise self._overdue(pending, now_s)
            if pending.what == "round":
                self._look_into(process, pending, now_s)
                process.wait(min(until_s, dead_s, max(now_s + 0.01, pending.next_look_s)))
            else:
                process.wait(min(until_s, dead_s))
        self._pending = None
        return answer

    def _overdue(self, pending: _Pending, now_s: float) -> PollFailed:
        """Late if the host answers other questions meanwhile."""
        answers = pending.what == "round" and (pending.look is None or now_s - pending.look_sent_s < SILENT_S)
        text = f"libvirt {self._address}: no answer to {pending.what} in {now_s - pending.began_s:.1f} s"
        return PollFailed("late" if answers else "unreachable", text + pending.progress)

    def _answer(self, process: Process, pending: _Pending) -> Any:
        try:
            return process.answer(pending.number)
        except PollFailed as failed:
            self._pending, self._open = None, False
            raise _Lost(failed.status, str(failed)) from None

    def _look_into(self, process: Process, pending: _Pending, now_s: float) -> None:
        """Looks at what the round waits for, from half its soft deadline on; judges by looks begun after it."""
        if pending.look is not None:
            try:
                seen = process.answer(pending.look)
            except PollFailed:
                seen = {"busy": {}, "asking": None}
            if seen is None:
                pending.next_look_s = now_s + LOOK_EVERY_S
                return
            pending.look = None
            self._judge(pending, seen)
        if now_s >= pending.next_look_s:
            pending.look = process.ask("look")
            pending.look_sent_s = now_s
            pending.next_look_s = now_s + LOOK_EVERY_S
            if now_s < pending.began_s + pending.soft_s < pending.next_look_s:
                pending.next_look_s = pending.began_s + pending.soft_s

    def _judge(self, pending: _Pending, seen: dict[str, Any]) -> None:
        busy = {uuid: Busy(*each) for uuid, each in seen["busy"].items()}
        asking = seen["asking"]
        pending.looks.add(busy, asking and asking[:2])
        if asking:
            pending.progress = f", {asking[2]} of {asking[3]} domains done"
        if pending.look_sent_s < pending.began_s + pending.soft_s:
            return
        hung = pending.looks.hung((pending.look_sent_s - pending.began_s) * 1000, pending.out)
        if not hung:
            return
        now_s = time.monotonic()
        for uuid in hung:
            self.quarantine.put(uuid, now_s)
        self._end()
        raise _Hung
