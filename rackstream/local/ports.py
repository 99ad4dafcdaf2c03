"""Ports on 127.0.0.1 for what this machine starts itself."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from typing import Final

from runtime.errors import Misconfigured

PORTS: Final = range(20000, 30000)
"""Below those of outgoing connections, one of which could take a port between its choice and its use."""


def free(*, but: int | None = None) -> int:
    """One that nobody listens on now."""
    return next(port for [port] in _rows(1) if port != but)


def free_row(count: int) -> list[int]:
    """Several in a row that nobody listens on now."""
    return next(_rows(count))


def is_free(port: int) -> bool:
    """Whether it can be listened on now."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Java does: old connections do not count
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen()
        except OSError:
            return False
        return True


def _rows(count: int) -> Iterator[list[int]]:
    """Rows of free ports in no order: several programs may be choosing at this moment."""
    firsts = PORTS[: len(PORTS) - count + 1]
    for first in random.sample(firsts, len(firsts)):
        row = list(range(first, first + count))
        if all(map(is_free, row)):
            yield row
    raise Misconfigured(f"no {count} free ports in a row on 127.0.0.1 between {PORTS[0]} and {PORTS[-1]}")
