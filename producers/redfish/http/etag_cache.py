"""Answers kept by their ETag, so that a BMC need not send again what did not change. Bounded; knows no resource.

BMCs' ETags are taken with care. What holds readings is never kept: its ETag changes at each poll or, worse, does not.
What is kept is asked for without condition now and then, and a BMC whose ETag stayed while the answer changed, or that
sends all again though nothing changed, is not believed any more.
"""

from __future__ import annotations

import re
import threading
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from producers.redfish.http.transport import Clock

MEMORY_BYTES: Final = 96 * 1024
"""Compressed, of one BMC: what a server of a hundred DIMMs and drives takes. A thousand BMCs make 96 MB at most."""
KEPT_S: Final = 600.0
"""An answer stands in for newer ones this long at most."""
CHANGES: Final = 2
"""A resource whose ETag was another one this often running is not kept any more."""
READINGS: Final = re.compile(rb'"(?:Reading\w*|\w*Watts|\w*Celsius|\w*Volts|MetricValues?|DateTime|UpTime\w*)"\s*:')
"""Properties that move by themselves; not PowerState and Status, which are changes worth an ETag."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer."""

    etag: str
    packed: bytes
    until_s: float

    @property
    def body(self) -> bytes:
        """As it came."""
        return zlib.decompress(self.packed)


class Etags:
    """The answers of one BMC, by path. Safe for several threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Kept] = OrderedDict()
        self._changes: dict[str, int] = {}
        self._bytes = 0
        self._ignored = 0
        """Answers sent again though nothing had changed: conditions that the BMC does not know."""
        self.believed = True
        """Whether this BMC's ETags tell what they should."""
        self.spared = 0
        """Answers that did not have to be sent again."""
        self.spared_bytes = 0
        """What they would have taken, in bytes."""

    def known(self, path: str) -> Kept | None:
        """The answer to make a condition of."""
        if not self._kept:
            return None
        with self._lock:
            kept = self._kept.get(path)
            if kept is None or self._clock() >= kept.until_s:
                return None
            self._kept.move_to_end(path)
            return kept

    def used(self, kept: Kept) -> bytes:
        """The body of an answer that the BMC says still holds."""
        body = kept.body
        with self._lock:
            self.spared += 1
            self.spared_bytes += len(body)
        return body

    def take(self, path: str, etag: str | None, body: bytes, *, conditional: bool) -> None:
        """Keeps an answer, where that is of use; `conditional`: it was to be sent only if it has changed."""
        if not etag or not self.believed or "?" in path or READINGS.search(body):
            return
        with self._lock:
            if self._changes.get(path, 0) > CHANGES:
                return
            if before := self._kept.pop(path, None):
                self._bytes -= len(before.packed)
                if before.etag != etag:
                    self._changes[path] = self._changes.get(path, 0) + 1
                    if self._changes[path] > CHANGES:
                        return
                elif before.body != body or (conditional and self._ignored >= CHANGES):
                    self._disbelieve()
                    return
                else:
                    self._ignored += conditional
            kept = Kept(etag, zlib.compress(body, 1), self._clock() + KEPT_S)
            self._kept[path] = kept
            self._bytes += len(kept.packed)
            while self._bytes > MEMORY_BYTES:
                self._bytes -= len(self._kept.popitem(last=False)[1].packed)

    def _disbelieve(self) -> None:
        self.believed, self._bytes = False, 0
        self._kept.clear()
        self._changes.clear()
