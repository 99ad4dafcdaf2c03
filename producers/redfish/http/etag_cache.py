"""Caches responses by ETag, so that a BMC need not resend unchanged resources. Bounded.

ETags of BMCs are unreliable. Resources with readings are never cached: their ETag changes at each poll or, worse, does
not. Cached responses are requested without a condition from time to time. A BMC whose ETag stays the same while the
response changes, or that resends unchanged responses in full, is not trusted any more.
"""

from __future__ import annotations

import re
import threading
import zlib
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from producers.redfish.http.transport import Clock

MAX_CACHE_BYTES: Final = 96 * 1024
"""Compressed size for one BMC: enough for a server with a hundred DIMMs and drives. 1000 BMCs take 96 MB at most."""
MAX_AGE_S: Final = 600.0
"""A cached response is used for this long at most."""
MAX_CHANGES: Final = 2
"""A resource whose ETag has changed more often than this is no longer cached."""
READING_PROPERTIES: Final = re.compile(
    rb'"(?:Reading\w*|\w*Watts|\w*Celsius|\w*Volts|MetricValues?|DateTime|UpTime\w*)"\s*:'
)
"""Properties that change all the time; not PowerState and Status, whose changes are worth an ETag."""


@dataclass(frozen=True, slots=True)
class CachedResponse:
    """A cached response body."""

    etag: str
    compressed: bytes
    valid_until_s: float

    @property
    def body(self) -> bytes:
        """The body as received."""
        return zlib.decompress(self.compressed)


class EtagCache:
    """Responses of one BMC by path. Safe for several threads."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._responses: OrderedDict[str, CachedResponse] = OrderedDict()
        self._changes: dict[str, int] = {}
        self._size_bytes = 0
        self._ignored_conditions = 0
        """Responses sent in full although nothing had changed."""
        self.trusted = True
        """False once this BMC's ETags were found wrong or useless."""
        self.hits = 0
        """Responses that the BMC did not have to resend."""
        self.saved_bytes = 0
        """Size of their bodies."""

    def lookup(self, path: str) -> CachedResponse | None:
        """Returns the response whose ETag is to be sent as a condition."""
        if not self._responses:
            return None
        with self._lock:
            response = self._responses.get(path)
            if response is None or self._clock() >= response.valid_until_s:
                return None
            self._responses.move_to_end(path)
            return response

    def record_hit(self, response: CachedResponse) -> bytes:
        """Returns the body of a response that the BMC has confirmed (HTTP 304)."""
        body = response.body
        with self._lock:
            self.hits += 1
            self.saved_bytes += len(body)
        return body

    def store(self, path: str, etag: str | None, body: bytes, *, conditional: bool) -> None:
        """Caches a response if that is worthwhile.

        Args:
            path: Request path.
            etag: ETag of the response.
            body: Body of the response.
            conditional: The request was sent with `If-None-Match`.
        """
        if not etag or not self.trusted or "?" in path or READING_PROPERTIES.search(body):
            return
        with self._lock:
            if self._changes.get(path, 0) > MAX_CHANGES:
                return
            if previous := self._responses.pop(path, None):
                self._size_bytes -= len(previous.compressed)
                if previous.etag != etag:
                    self._changes[path] = self._changes.get(path, 0) + 1
                    if self._changes[path] > MAX_CHANGES:
                        return
                elif previous.body != body or (conditional and self._ignored_conditions >= MAX_CHANGES):
                    self._disable()
                    return
                else:
                    self._ignored_conditions += conditional
            response = CachedResponse(etag, zlib.compress(body, 1), self._clock() + MAX_AGE_S)
            self._responses[path] = response
            self._size_bytes += len(response.compressed)
            while self._size_bytes > MAX_CACHE_BYTES:
                self._size_bytes -= len(self._responses.popitem(last=False)[1].compressed)

    def _disable(self) -> None:
        self.trusted, self._size_bytes = False, 0
        self._responses.clear()
        self._changes.clear()
