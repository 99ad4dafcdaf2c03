"""Resets objects in a forked child.

It inherits locks that no thread will release, and items that the parent delivers.
"""

from __future__ import annotations

import os
import weakref
from typing import Final, Protocol


class ForkAware(Protocol):
    """Object with locks, threads or items of its own process."""

    def reset(self) -> None:
        """Starts afresh in a forked child, where no other thread runs yet."""
        ...


_LIVE: Final[weakref.WeakSet[ForkAware]] = weakref.WeakSet()


def reset_after_fork(instance: ForkAware) -> None:
    """Registers an object whose `reset` is called in every child forked from now on."""
    _LIVE.add(instance)


def _reset_all() -> None:
    for instance in list(_LIVE):
        instance.reset()


os.register_at_fork(after_in_child=_reset_all)
