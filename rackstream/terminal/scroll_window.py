"""A window of lines out of a longer list, and the scroll position in it. Values only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from rackstream.terminal.layout import Link, ScreenLine


@dataclass(frozen=True)
class LineWindow:
    """Some consecutive lines of a longer list."""

    total: int
    """Lines of the whole list."""
    lines: Sequence[ScreenLine]
    first: int = 0
    """Number of the first of `lines` in the whole list."""
    header: Text | None = None
    """Line that stays above the list."""

    def line(self, number: int) -> ScreenLine | None:
        """The line with this number of the whole list, if the window contains it."""
        index = number - self.first
        return self.lines[index] if 0 <= index < len(self.lines) else None


@dataclass
class ScrollPosition:
    """Scroll position and cursor of one view."""

    first: int = 0
    """Number of the topmost visible line."""
    cursor: int = 0
    """Number of the selected line."""
    link: Link | None = None
    """Link of the selected line when it was last drawn."""
