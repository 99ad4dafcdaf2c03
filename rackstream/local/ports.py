"""Finds free ports on 127.0.0.1."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from typing import Final

from runtime.errors import Misconfigured

PORT_RANGE: Final = range(20000, 30000)
"""Below the ephemeral ports: an outgoing connection could take one of those between choice and use."""


def free_port(*, exclude: int | None = None) -> int:
    """Returns a port that nothing listens on now, other than `exclude`."""
    return next(port for [port] in _free_rows(1) if port != exclude)


def free_ports(count: int) -> list[int]:
    """Returns `count` consecutive ports that nothing listens on now."""
    return next(_free_rows(count))


def is_free(port: int) -> bool:
    """True if the port can be listened on now."""
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as Java does: old connections do not count
        try:
            listener.bind(("127.0.0.1", port))
            listener.listen()
        except OSError:
            return False
        return True


def _free_rows(count: int) -> Iterator[list[int]]:
    """Yields rows of free ports in random order, since several programs may be choosing at once."""
    firsts = PORT_RANGE[: len(PORT_RANGE) - count + 1]
    for first in random.sample(firsts, len(firsts)):
        row = list(range(first, first + count))
        if all(map(is_free, row)):
            yield row
    raise Misconfigured(f"no {count} free ports in a row on 127.0.0.1 between {PORT_RANGE[0]} and {PORT_RANGE[-1]}")
