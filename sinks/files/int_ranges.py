"""Sets of integers that come mostly in a row, such as sequences, as ranges. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class Ranges:
    """Integers, as ranges in order that do not touch."""

    __slots__ = ("_bounds",)

    def __init__(self, bounds: Iterable[int] = ()) -> None:
        """`bounds`: first and end (exclusive) of each range, as `bounds` gives them."""
        self._bounds = list(bounds)

    def __contains__(self, number: int) -> bool:
        return bisect_right(self._bounds, number) % 2 == 1

    def __len__(self) -> int:
        return sum(self._bounds[1::2]) - sum(self._bounds[::2])

    @property
    def bounds(self) -> tuple[int, ...]:
        """First and end (exclusive) of each range, ascending."""
        return tuple(self._bounds)

    @property
    def first(self) -> int:
        """The smallest."""
        return self._bounds[0]

    @property
    def last(self) -> int:
        """The largest."""
        return self._bounds[-1] - 1

    def add(self, first: int, last: int) -> None:
        """Takes [first, last] in."""
        bounds, end = self._bounds, last + 1
        if bounds and bounds[-2] <= first <= bounds[-1] <= end:  # goes on where the last one ends, as nearly all do
            bounds[-1] = end
            return
        begin, behind = bisect_left(bounds, first), bisect_right(bounds, end)
        # An odd place is within a range, or where one ends: its own bound stays out of what is replaced.
        bounds[begin:behind] = ([] if begin % 2 else [first]) + ([] if behind % 2 else [end])

    def keep_highest(self, most: int) -> None:
        """Forgets all but so many ranges, the lowest first."""
        if len(self._bounds) > 2 * most:
            del self._bounds[: -2 * most]

    def holes(self, begin: int) -> Iterator[tuple[int, int]]:
        """The ranges missing from `begin` to the largest."""
        for end, first in zip([begin, *self._bounds[1::2]], self._bounds[::2], strict=False):
            if first > end:
                yield end, first - 1

    def within(self, first: int, last: int) -> int:
        """How many are in [first, last]."""
        return sum(max(0, min(last + 1, end) - max(first, begin)) for begin, end in self._pairs())

    def _pairs(self) -> Iterator[tuple[int, int]]:
        return zip(self._bounds[::2], self._bounds[1::2], strict=True)
