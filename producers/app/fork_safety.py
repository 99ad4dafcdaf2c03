"""What a fork leaves behind: copies of locks that no thread will release, and of items that the parent delivers."""

from __future__ import annotations

import os
import weakref
from typing import Final, Protocol


class Renewable(Protocol):
    """Has locks, threads or items."""

    def renew(self) -> None:
        """In a forked child: begins afresh, for what is held belongs to the parent. No other thread runs then."""
        ...


_LIVE: Final[weakref.WeakSet[Renewable]] = weakref.WeakSet()


def renew_after_fork(each: Renewable) -> None:
    """Has `renew` called in every child forked from now on."""
    _LIVE.add(each)


def _in_child() -> None:
    for each in list(_LIVE):
        each.renew()


os.register_at_fork(after_in_child=_in_child)
