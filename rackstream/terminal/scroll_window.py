"""Some lines out of many, and where one stands among them. Values only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.text import Text

from rackstream.terminal.layout import Line, Place


@dataclass(frozen=True)
class Window:
    """Some lines out of all."""

    total: int
    lines: Sequence[Line]
    first: int = 0
    """Which of all the first of `lines` is."""
    top: Text | None = None
    """Stays above them."""

    def at(self, number: int) -> Line | None:
        """One of all lines, if it is among these."""
        within = number - self.first
        return self.lines[within] if 0 <= within < len(self.lines) else None


@dataclass
class Where:
    """Where a view is being looked at."""

    first: int = 0
    """The line that is seen first."""
    cursor: int = 0
    """The line that is chosen."""
    leads: Place | None = None
    """What was there when it was drawn last."""
