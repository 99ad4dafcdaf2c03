"""Limits what a client may do wrong in a time: tokens and pages. Each client has a limit of its own."""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final

MAX_CLIENTS: Final = 10_000
"""Clients that are remembered; beyond them, the ones that failed longest ago are forgotten."""


class ClientLimit:
    """Counts failures per client within a time window. Not thread-safe, except that each call is brief."""

    def __init__(self, max_failures: int, window_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._max_failures = max_failures
        self.window_s: Final = window_s
        """Time after which a failure counts no more, in seconds."""
        self._clock = clock
        self._failures_s: OrderedDict[str, deque[float]] = OrderedDict()
        """Client → times of its latest failures."""

    def is_exceeded(self, address: str) -> bool:
        """True if a client has failed too often within the window."""
        failures_s = self._failures_s.get(client_of(address))
        if failures_s is None or len(failures_s) < self._max_failures:
            return False
        return failures_s[0] > self._clock() - self.window_s

    def record(self, address: str) -> None:
        """Counts a failure of a client."""
        client = client_of(address)
        failures_s = self._failures_s.setdefault(client, deque(maxlen=self._max_failures))
        self._failures_s.move_to_end(client)
        failures_s.append(self._clock())
        while len(self._failures_s) > MAX_CLIENTS:
            self._failures_s.popitem(last=False)


def client_of(address: str) -> str:
    """Returns what stands for a client: its IPv4 address, or its IPv6 network, of which it has all addresses."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.version == 4:
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, 64), strict=False))
