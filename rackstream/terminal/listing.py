"""The part of the screen that is walked through: lines with a cursor. Only those that are seen are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget

from rackstream.terminal.layout import Place
from rackstream.terminal.scroll_window import Where, Window

Ask = Callable[[int, int, int], Window]
"""(first line, lines, cells of width) → these lines at least; or a few fewer, where there are no more."""
NOTHING: Final = Window(0, ())


class Listing(Widget, can_focus=True):
    """Lines with a cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup,ctrl+b", "turn(-1)", show=False),
        Binding("pagedown,ctrl+f,space", "turn(1)", show=False),
        Binding("home,g", "edge(0)", show=False),
        Binding("end,G", "edge(1)", show=False),
    ]

    class Chosen(Message):
        """Enter was pressed on a line that leads somewhere."""

        def __init__(self, leads: Place) -> None:
            self.leads = leads
            super().__init__()

    class Moved(Message):
        """Other lines are seen."""

    def __init__(self) -> None:
        super().__init__()
        self._ask: Ask = lambda *_: NOTHING
        self._window = NOTHING
        self.where = Where()

    def look(self, ask: Ask, where: Where) -> None:
        """Shows something else, from where it was left."""
        self._ask, self.where = ask, where
        self.renew()

    def renew(self) -> None:
        """Asks again for what is seen; the cursor stays with what it is on, but at the top it stays there."""
        if not self.size.width:  # not on the screen yet
            return
        where, seen = self.where, self._seen
        found = self._ask(where.first, seen, self.size.width)
        if where.first >= found.total > 0:
            where.first = max(0, found.total - seen)
            found = self._ask(where.first, seen, self.size.width)
        self._window = found
        if where.cursor and where.leads is not None:
            same = (found.first + at for at, line in enumerate(found.lines) if line.leads == where.leads)
            where.cursor = next(same, where.cursor)
        self._to(min(where.cursor, found.total - 1), 1)

    @property
    def leads(self) -> Place | None:
        """What the line under the cursor leads to."""
        return self.where.leads

    @property
    def seen(self) -> tuple[int, int, int]:
        """The first line that is seen and the last, counted from 1, and how many there are."""
        first, total = self.where.first, self._window.total
        return min(first + 1, total), min(first + self._seen, total), total

    @property
    def _seen(self) -> int:
        return max(1, self.size.height - (self._window.top is not None))

    def on_resize(self) -> None:
        """Another width fits other columns."""
        self.renew()

    def render(self) -> Text:
        """The lines that are seen."""
        where, window = self.where, self._window
        shown = [window.top] if window.top is not None else []
        for number in range(where.first, where.first + self._seen):
            line = window.at(number)
            if line is None:
                break
            text = line.text.copy()
            if number == where.cursor and line.is_row:
                text.pad_right(max(0, self.size.width - text.cell_len))
                text.stylize("reverse")
            shown.append(text)
        found = Text("\n").join(shown)
        found.no_wrap, found.overflow = True, "crop"
        return found

    def _to(self, number: int, step: int) -> None:
        """Puts the cursor on a line, or on the next one in that direction that can be chosen, and shows it."""
        where, window = self.where, self._window
        number = max(0, min(number, window.total - 1))
        wanted = number
        while (line := window.at(number)) is not None and not line.is_row:
            number += step
        if (line := window.at(number)) is None and window.at(wanted) is not None:
            number = where.cursor if (kept := window.at(where.cursor)) is not None and kept.is_row else wanted
        where.cursor = number
        first = where.first
        if number < first or wanted < first:
            first = min(number, wanted)
            while first > 0 and (above := window.at(first - 1)) is not None and not above.is_row:
                first -= 1  # with the titles of what is chosen
        elif number >= first + self._seen:
            first = number - self._seen + 1
        if first != where.first:
            where.first = first
            if window.at(first) is None or window.at(min(first + self._seen, window.total) - 1) is None:
                self._window = self._ask(first, self._seen, self.size.width)
            self.post_message(self.Moved())
        chosen = self._window.at(where.cursor)
        where.leads = chosen.leads if chosen is not None else None
        self.refresh()

    def action_move(self, step: int) -> None:
        """One line on."""
        before = self.where.cursor
        self._to(before + step, step)
        if self.where.cursor == before and step > 0:  # lines below that cannot be chosen are seen all the same
            self.where.first = max(0, min(self.where.first + 1, self._window.total - self._seen))
        elif self.where.cursor == before:
            self.where.first = max(0, self.where.first - 1)
        self.refresh()

    def action_turn(self, pages: int) -> None:
        """One page on."""
        self._to(self.where.cursor + pages * self._seen, pages)

    def action_edge(self, end: int) -> None:
        """To the first line, or to the last."""
        self._to(self._window.total - 1 if end else 0, -1 if end else 1)

    def action_choose(self) -> None:
        """Goes where the line leads."""
        if self.leads is not None:
            self.post_message(self.Chosen(self.leads))
