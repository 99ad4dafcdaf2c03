"""What keeps a round that is not back: looks at it over the second connection, begun in time to know by its deadline.

Knows no process but by its questions; who hangs is judged by `quarantine`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final

from producers.libvirt.worker.quarantine import Busy, Looks
from producers.reader import PollFailed

if TYPE_CHECKING:
    from producers.libvirt.worker.process import Process

LOOK_EVERY_S: Final = 0.25
SILENT_S: Final = 1.0
"""Seconds without an answer to a look after which it is the host that does not answer."""


class Suspicion:
    """Of one round, which began at `began_s`. Times are those of `time.monotonic()`."""

    def __init__(self, began_s: float, soft_until_s: float, out: Collection[str]) -> None:
        """`soft_until_s`: before it nothing is judged. `out`: UUIDs of domains that are left out already."""
        self._began_s = began_s
        self._soft_until_s = soft_until_s
        self._out = out
        self._looks = Looks()
        self._look: int | None = None
        """The look under way."""
        self._sent_s = 0.0
        self.next_s = (began_s + soft_until_s) / 2
        """When `look` is to be called next."""
        self.is_strong = False
        """Whether some domain may soon count as one that hangs."""
        self.progress = ""
        """How far the round is, where it asks call by call."""

    def look(self, process: Process, now_s: float) -> set[str]:
        """Takes the answer to the look before, and looks again if it is time. Returns UUIDs of domains that hang.

        Raises:
            Ended: the process is gone.
        """
        hung: set[str] = set()
        if self._look is not None:
            try:
                seen = process.answer(self._look)
            except PollFailed:
                seen = {"busy": {}, "asking": None}
            if seen is None:
                self.next_s = now_s + LOOK_EVERY_S
                return hung
            self._look = None
            hung = self._judge(seen)
        if not hung and now_s >= self.next_s:
            self._look = process.ask("look")
            self._sent_s = now_s
            self.next_s = now_s + LOOK_EVERY_S
            if now_s < self._soft_until_s:
                self.next_s = min(self.next_s, self._soft_until_s)
        return hung

    def host_answers(self, now_s: float) -> bool:
        """Whether the host answers looks, though not the round."""
        return self._look is None or now_s - self._sent_s < SILENT_S

    def _judge(self, seen: dict[str, Any]) -> set[str]:
        asking = seen["asking"]
        self._looks.add({uuid: Busy(*each) for uuid, each in seen["busy"].items()}, asking and asking[:2])
        if asking:
            self.progress = f", {asking[2]} of {asking[3]} domains done"
        round_ms = (self._sent_s - self._began_s) * 1000
        self.is_strong = self._looks.suspects(round_ms)
        return self._looks.hung(round_ms, self._out) if self._sent_s >= self._soft_until_s else set()
