"""Scrollable list with a cursor. Only the visible lines are loaded."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final

from rich.text import Text
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.widget import Widget

from rackstream.terminal.layout import Link
from rackstream.terminal.scroll_window import LineWindow, ScrollPosition

LoadLines = Callable[[int, int, int], LineWindow]
"""(first line, number of lines, width in cells) → at least these lines; fewer where the list ends."""
EMPTY: Final = LineWindow(0, ())


class Listing(Widget, can_focus=True):
    """Lines with a cursor."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup,ctrl+b", "page(-1)", show=False),
        Binding("pagedown,ctrl+f,space", "page(1)", show=False),
        Binding("home,g", "edge(0)", show=False),
        Binding("end,G", "edge(1)", show=False),
    ]

    class Chosen(Message):
        """Enter was pressed on a line that has a link."""

        def __init__(self, link: Link) -> None:
            self.link = link
            super().__init__()

    class Moved(Message):
        """Other lines have become visible."""

    def __init__(self) -> None:
        super().__init__()
        self._load_lines: LoadLines = lambda *_: EMPTY
        self._window = EMPTY
        self._scroll = ScrollPosition()

    def open_list(self, load_lines: LoadLines, scroll: ScrollPosition) -> None:
        """Shows another list, at the position where it was left."""
        self._load_lines, self._scroll = load_lines, scroll
        self.reload()

    def reload(self) -> None:
        """Loads the visible lines again. The cursor follows its line, except at the top, where it stays."""
        if not self.size.width:  # not on the screen yet
            return
        scroll, count = self._scroll, self._visible_count
        window = self._load_lines(scroll.first, count, self.size.width)
        if scroll.first >= window.total > 0:
            scroll.first = max(0, window.total - count)
            window = self._load_lines(scroll.first, count, self.size.width)
        self._window = window
        if scroll.cursor and scroll.link is not None:
            same = (window.first + at for at, line in enumerate(window.lines) if line.link == scroll.link)
            scroll.cursor = next(same, scroll.cursor)
        self._move_cursor(min(scroll.cursor, window.total - 1), 1)

    @property
    def selected_link(self) -> Link | None:
        """Link of the line under the cursor."""
        return self._scroll.link

    @property
    def visible_range(self) -> tuple[int, int, int]:
        """First and last visible line, counted from 1, and the number of all lines."""
        first, total = self._scroll.first, self._window.total
        return min(first + 1, total), min(first + self._visible_count, total), total

    @property
    def _visible_count(self) -> int:
        return max(1, self.size.height - (self._window.header is not None))

    def on_resize(self) -> None:
        """Reloads, because another width fits other columns."""
        self.reload()

    def render(self) -> Text:
        """Draws the visible lines."""
        scroll, window = self._scroll, self._window
        lines = [window.header] if window.header is not None else []
        for number in range(scroll.first, scroll.first + self._visible_count):
            line = window.line(number)
            if line is None:
                break
            text = line.text.copy()
            if number == scroll.cursor and line.is_row:
                text.pad_right(max(0, self.size.width - text.cell_len))
                text.stylize("reverse")
            lines.append(text)
        drawn = Text("\n").join(lines)
        drawn.no_wrap, drawn.overflow = True, "crop"
        return drawn

    def _move_cursor(self, number: int, step: int) -> None:
        """Places the cursor on a line, or on the next selectable one in that direction, and scrolls to it."""
        scroll, window = self._scroll, self._window
        number = max(0, min(number, window.total - 1))
        requested = number
        while (line := window.line(number)) is not None and not line.is_row:
            number += step
        if (line := window.line(number)) is None and window.line(requested) is not None:
            current = window.line(scroll.cursor)
            number = scroll.cursor if current is not None and current.is_row else requested
        scroll.cursor = number
        first = scroll.first
        if number < first or requested < first:
            first = min(number, requested)
            while first > 0 and (above := window.line(first - 1)) is not None and not above.is_row:
                first -= 1  # includes the titles above the selected line
        elif number >= first + self._visible_count:
            first = number - self._visible_count + 1
        if first != scroll.first:
            scroll.first = first
            last = min(first + self._visible_count, window.total) - 1
            if window.line(first) is None or window.line(last) is None:
                self._window = self._load_lines(first, self._visible_count, self.size.width)
            self.post_message(self.Moved())
        selected = self._window.line(scroll.cursor)
        scroll.link = selected.link if selected is not None else None
        self.refresh()

    def action_move(self, step: int) -> None:
        """Moves the cursor by one line; at either end, scrolls over the remaining lines without a row."""
        before = self._scroll.cursor
        self._move_cursor(before + step, step)
        if self._scroll.cursor == before and step > 0:
            self._scroll.first = max(0, min(self._scroll.first + 1, self._window.total - self._visible_count))
        elif self._scroll.cursor == before:
            self._scroll.first = max(0, self._scroll.first - 1)
        self.refresh()

    def action_page(self, pages: int) -> None:
        """Moves the cursor by one page."""
        self._move_cursor(self._scroll.cursor + pages * self._visible_count, pages)

    def action_edge(self, end: int) -> None:
        """Moves the cursor to the first line, or to the last."""
        self._move_cursor(self._window.total - 1 if end else 0, -1 if end else 1)

    def action_choose(self) -> None:
        """Opens the link of the selected line."""
        if self.selected_link is not None:
            self.post_message(self.Chosen(self.selected_link))
