"""Sets of mostly consecutive integers, such as sequence numbers, stored as ranges. Pure."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class IntRanges:
    """A set of integers, as ascending ranges that neither overlap nor touch."""

    __slots__ = ("_bounds",)

    def __init__(self, bounds: Iterable[int] = ()) -> None:
        """`bounds`: first and end (exclusive) of each range, as the property `bounds` returns them."""
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
        """The smallest integer."""
        return self._bounds[0]

    @property
    def last(self) -> int:
        """The largest integer."""
        return self._bounds[-1] - 1

    def add(self, first: int, last: int) -> None:
        """Adds the integers [first, last]."""
        bounds, end = self._bounds, last + 1
        if bounds and bounds[-2] <= first <= bounds[-1] <= end:  # extends the last range, as nearly all calls do
            bounds[-1] = end
            return
        begin, behind = bisect_left(bounds, first), bisect_right(bounds, end)
        # An odd index is inside a range, or at its end: the bound of that range stays.
        bounds[begin:behind] = ([] if begin % 2 else [first]) + ([] if behind % 2 else [end])

    def keep_highest(self, count: int) -> None:
        """Removes all but the highest `count` ranges."""
        if len(self._bounds) > 2 * count:
            del self._bounds[: -2 * count]

    def gaps(self, begin: int) -> Iterator[tuple[int, int]]:
        """Yields the ranges [first, last] that are missing between `begin` and the largest integer."""
        for end, first in zip([begin, *self._bounds[1::2]], self._bounds[::2], strict=False):
            if first > end:
                yield end, first - 1

    def count_within(self, first: int, last: int) -> int:
        """Returns the number of integers in [first, last]."""
        pairs = zip(self._bounds[::2], self._bounds[1::2], strict=True)
        return sum(max(0, min(last + 1, end) - max(first, begin)) for begin, end in pairs)
