"""The live view in a terminal: `rackstream top`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import ClassVar, Final

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer, Input, Static

from rackstream.terminal import header
from rackstream.terminal.layout import BETWEEN, joined, said
from rackstream.terminal.listing import Listing
from rackstream.terminal.silence_dialog import Silence
from rackstream.terminal.views import Look, Name, matchers, opened
from rackstream.topics.schema_lookup import Connect
from rackstream.view.model import View

EVERY_S: Final = 1.0
SEARCH: Final = "words that must all occur; Enter keeps them, Esc drops them"
TABS: Final[dict[str, Name]] = {"f": "fleet", "v": "vms", "a": "alerts", "p": "pipeline"}
"""Key → view; the first line names them."""


class Top(App[None]):
    """One view at a time, and the way back."""

    TITLE = "rackstream top"
    ENABLE_COMMAND_PALETTE = False
    # The terminal's own colours: 16 are enough, and whoever chose a light background keeps it.
    CSS = """
    #tabs, #summary, #asked, #notice { height: auto; }
    Listing { height: 1fr; }
    #search { display: none; }
    #search.open { display: block; }
    Silence { align: center middle; background: ansi_default; }
    #dialogue { width: 76; max-width: 100%; height: auto; border: solid ansi_blue; padding: 0 1; }
    #dialogue Input { margin-bottom: 1; background: ansi_default; text-style: underline; }
    .strong { text-style: bold; margin-bottom: 1; }
    .soft { text-style: dim; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("q,ctrl+c", "quit", "Quit", key_display="q"),
        *(Binding(key, f"tab('{name}')", show=False) for key, name in TABS.items()),
        Binding("enter", "open", "Open", key_display="⏎"),
        Binding("slash", "search", "Search", key_display="/"),
        Binding("s", "sort", "Sort"),
        Binding("r", "reverse", "Reverse"),
        Binding("h", "health", "Health"),
        Binding("m", "mute", "Silence"),
        Binding("escape", "leave", "Back", key_display="Esc"),
    ]

    def __init__(self, view: View, connect: Connect, who: Callable[[], str], host: str | None = None) -> None:
        """Shows `view`, which is fed elsewhere.

        Args:
            view: what is shown.
            connect: asked for Kafka's address when a silence is made.
            who: the name of whoever makes it.
            host: the host to begin with; default: the fleet.
        """
        super().__init__(ansi_color=True)  # told here, or NO_COLOR is taken for black on black
        self.theme = "ansi-dark"
        self._view, self._connect, self._who = view, connect, who
        self._tabs: dict[Name, Look] = {name: Look(name) for name in TABS.values()}
        # Kept, for a query would look for them on the prompt that lies above.
        self._above = {name: Static(id=name, markup=False) for name in ("tabs", "summary", "notice", "asked")}
        self._listing = Listing()
        self._search = Input(id="search", placeholder=SEARCH, compact=True)
        self._path = [self._tabs["fleet"], *([Look("host", (host,))] if host else [])]

    @property
    def look(self) -> Look:
        """The view that is seen."""
        return self._path[-1]

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield from self._above.values()
        yield self._listing
        yield self._search
        yield Footer(compact=True)

    def on_mount(self) -> None:
        """Begins to look."""
        self._listing.focus()
        self._show()
        self.set_interval(EVERY_S, self._renew)

    def _show(self) -> None:
        """Shows the view that is to be seen now."""
        look = self.look
        self._listing.look(lambda *asked: look.window(self._view, *asked), look.where)
        self._around()
        self.refresh_bindings()

    def _renew(self) -> None:
        """Shows the same as it is now."""
        self._listing.renew()
        self._around()

    def _around(self) -> None:
        """What stands above the lines."""
        found = self._view.overview()
        self._put("tabs", self._tab_line(sum(found.alerts.values())))
        self._put("summary", joined(header.summary(found), "   "))
        told = header.notice(self._view)
        self._put("notice", told or Text())
        self._above["notice"].display = told is not None
        self._put("asked", self.look.asked(self._listing.seen))

    def _put(self, where: str, text: Text) -> None:
        # Appended, a colour stays one of the terminal's; as the style of a whole text Textual would make it its own.
        self._above[where].update(Text().append_text(text))

    def _tab_line(self, alerts: int) -> Text:
        many = f" {alerts:,}" if alerts else ""
        here = self._path[0].name
        tabs = [
            Text(f"{key} ", "dim")
            + Text(
                f" {self._tabs[name].title}{many if name == 'alerts' else ''} ",
                "bold reverse" if name == here else "bold",
            )
            for key, name in TABS.items()
        ]
        path = "".join(f" › {each.title}" for each in self._path[1:])
        return joined(tabs) + said(path or " ", "") + Text(f"{BETWEEN}{datetime.now(UTC):%H:%M:%S} UTC", "dim")

    # What keys do

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only keys that do something here are shown and taken."""
        del parameters
        look = self.look
        return {
            "search": look.is_searched,
            "sort": look.is_list,
            "reverse": look.is_list,
            "health": look.name == "fleet",
            "mute": look.name in ("alerts", "host"),
            "open": look.name not in ("pipeline", "vm"),
            "leave": len(self._path) > 1 or bool(look.search) or self._is_searching,
        }.get(action, True)

    def action_open(self) -> None:
        """Goes where the line leads."""
        self._listing.action_choose()

    def action_tab(self, name: Name) -> None:
        """Another view."""
        self._path = [self._tabs[name]]
        self._show()

    def on_listing_chosen(self, event: Listing.Chosen) -> None:
        """Deeper."""
        found = opened(event.leads, self._view)
        if found is not None and found.of != self.look.of:
            self._path.append(found)
            self._show()

    def on_listing_moved(self) -> None:
        """Other lines are seen."""
        self._put("asked", self.look.asked(self._listing.seen))

    def action_leave(self) -> None:
        """Drops what was searched for, or goes where one came from."""
        if self.look.search:
            self.look.find("")
        elif not self._is_searching and len(self._path) > 1:
            self._path.pop()
        self._close_search()

    def action_sort(self) -> None:
        """By the next column."""
        self.look.next_sort()
        self._show()

    def action_reverse(self) -> None:
        """The other way round."""
        self.look.reverse()
        self._show()

    def action_health(self) -> None:
        """Only hosts of the next health."""
        self.look.next_health()
        self._show()

    def action_search(self) -> None:
        """Asks for words."""
        self._search.value = self.look.search
        self._search.add_class("open")
        self._search.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Finds while it is typed."""
        if event.input is self._search and self._is_searching:
            self.look.find(event.value)
            self._show()

    def on_input_submitted(self) -> None:
        """Keeps what was found."""
        self._close_search()

    @property
    def _is_searching(self) -> bool:
        """Whether the field for words is open."""
        return self._search.has_class("open")

    def _close_search(self) -> None:
        self._search.remove_class("open")
        self._listing.focus()
        self._show()

    def action_mute(self) -> None:
        """Asks for a silence of what is under the cursor."""
        given = matchers(self._listing.leads, self.look, self._view)
        self.push_screen(Silence(self._connect, given, self._who), self._muted)

    def _muted(self, made: bool | None) -> None:  # noqa: FBT001  Textual calls it so
        if made:
            self.notify("Silenced", markup=False)
        self._renew()
