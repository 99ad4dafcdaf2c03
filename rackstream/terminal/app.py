"""The live terminal UI: `rackstream top`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import ClassVar, Final

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Footer, Input, Static

from rackstream.terminal import header
from rackstream.terminal.layout import COLUMN_GAP, join, styled
from rackstream.terminal.listing import Listing
from rackstream.terminal.silence_dialog import SilenceDialog
from rackstream.terminal.views import OpenView, ViewName, open_link, suggested_matchers
from rackstream.topics.schema_lookup import Connect
from rackstream.view.model import View

REFRESH_INTERVAL_S: Final = 1.0
SEARCH_HINT: Final = "words that must all occur; Enter keeps the search, Esc clears it"
TABS: Final[dict[str, ViewName]] = {"f": "fleet", "v": "vms", "a": "alerts", "p": "pipeline"}
"""Key → view, as shown in the first line."""


class TopApp(App[None]):
    """Shows one view at a time, with a path back."""

    TITLE = "rackstream top"
    ENABLE_COMMAND_PALETTE = False
    # The terminal's own 16 colours, so that a light background stays light.
    CSS = """
    #tabs, #summary, #status, #notice { height: auto; }
    Listing { height: 1fr; }
    #search { display: none; }
    #search.open { display: block; }
    SilenceDialog { align: center middle; background: ansi_default; }
    #dialog { width: 76; max-width: 100%; height: auto; border: solid ansi_blue; padding: 0 1; }
    #dialog Input { margin-bottom: 1; background: ansi_default; text-style: underline; }
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
        Binding("m", "silence", "Silence"),
        Binding("escape", "go_back", "Back", key_display="Esc"),
    ]

    def __init__(self, view: View, connect: Connect, user: Callable[[], str], host: str | None = None) -> None:
        """Creates the application.

        Args:
            view: The view to show; the caller feeds it.
            connect: Returns settings with Kafka's address, when a silence is created.
            user: Returns the name to record as a silence's author.
            host: The host to start with; default: the fleet.
        """
        super().__init__(ansi_color=True)  # set here, because with NO_COLOR Textual would draw black on black
        self.theme = "ansi-dark"
        self._view, self._connect, self._user = view, connect, user
        self._tabs: dict[ViewName, OpenView] = {name: OpenView(name) for name in TABS.values()}
        # Kept, because a query would search the dialog on top for them.
        self._header = {name: Static(id=name, markup=False) for name in ("tabs", "summary", "notice", "status")}
        self._listing = Listing()
        self._search = Input(id="search", placeholder=SEARCH_HINT, compact=True)
        self._path = [self._tabs["fleet"], *([OpenView("host", (host,))] if host else [])]

    @property
    def current(self) -> OpenView:
        """The view on display."""
        return self._path[-1]

    def compose(self) -> ComposeResult:
        """Lays out the widgets from top to bottom."""
        yield from self._header.values()
        yield self._listing
        yield self._search
        yield Footer(compact=True)

    def on_mount(self) -> None:
        """Shows the first view and starts the refresh timer."""
        self._listing.focus()
        self._show_current()
        self.set_interval(REFRESH_INTERVAL_S, self.reload)

    def _show_current(self) -> None:
        """Switches to the current view, after it was changed."""
        current = self.current
        self._listing.open_list(lambda *lines: current.load(self._view, *lines), current.scroll)
        self._update_header()
        self.refresh_bindings()

    def reload(self) -> None:
        """Refreshes the current view."""
        self._listing.reload()
        self._update_header()

    def _update_header(self) -> None:
        overview = self._view.overview()
        self._set_header("tabs", self._tab_line(sum(overview.alerts.values())))
        self._set_header("summary", join(header.summary(overview), "   "))
        notice = header.notice(self._view)
        self._set_header("notice", notice or Text())
        self._header["notice"].display = notice is not None
        self._set_header("status", self.current.status_line(self._listing.visible_range))

    def _set_header(self, name: str, text: Text) -> None:
        # Appended, a colour stays one of the terminal's; as the style of a whole text Textual would replace it.
        self._header[name].update(Text().append_text(text))

    def _tab_line(self, alerts: int) -> Text:
        count = f" {alerts:,}" if alerts else ""
        active = self._path[0].name
        tabs = [
            Text(f"{key} ", "dim")
            + Text(
                f" {self._tabs[name].title}{count if name == 'alerts' else ''} ",
                "bold reverse" if name == active else "bold",
            )
            for key, name in TABS.items()
        ]
        path = "".join(f" › {opened.title}" for opened in self._path[1:])
        return join(tabs) + styled(path or " ") + Text(f"{COLUMN_GAP}{datetime.now(UTC):%H:%M:%S} UTC", "dim")

    # Actions of the keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """True if a key has a function in the current view; others are hidden and ignored."""
        del parameters
        current = self.current
        return {
            "search": current.is_searchable,
            "sort": current.is_list,
            "reverse": current.is_list,
            "health": current.name == "fleet",
            "silence": current.name in ("alerts", "host"),
            "open": current.name not in ("pipeline", "vm"),
            "go_back": len(self._path) > 1 or bool(current.search) or self._is_searching,
        }.get(action, True)

    def action_open(self) -> None:
        """Opens the selected line."""
        self._listing.action_choose()

    def action_tab(self, name: ViewName) -> None:
        """Switches to another tab."""
        self._path = [self._tabs[name]]
        self._show_current()

    def on_listing_chosen(self, event: Listing.Chosen) -> None:
        """Opens the view of a link."""
        opened = open_link(event.link, self._view)
        if opened is not None and opened.subject != self.current.subject:
            self._path.append(opened)
            self._show_current()

    def on_listing_moved(self) -> None:
        """Updates the visible range."""
        self._set_header("status", self.current.status_line(self._listing.visible_range))

    def action_go_back(self) -> None:
        """Clears the search, or returns to the previous view."""
        if self.current.search:
            self.current.set_search("")
        elif not self._is_searching and len(self._path) > 1:
            self._path.pop()
        self._close_search()

    def action_sort(self) -> None:
        """Sorts by the next column."""
        self.current.next_sort()
        self._show_current()

    def action_reverse(self) -> None:
        """Reverses the sort order."""
        self.current.reverse()
        self._show_current()

    def action_health(self) -> None:
        """Filters hosts by the next health."""
        self.current.next_health()
        self._show_current()

    def action_search(self) -> None:
        """Opens the search field."""
        self._search.value = self.current.search
        self._search.add_class("open")
        self._search.focus()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Searches while the user types."""
        if event.input is self._search and self._is_searching:
            self.current.set_search(event.value)
            self._show_current()

    def on_input_submitted(self) -> None:
        """Closes the search field and keeps the search."""
        self._close_search()

    @property
    def _is_searching(self) -> bool:
        """True if the search field is open."""
        return self._search.has_class("open")

    def _close_search(self) -> None:
        self._search.remove_class("open")
        self._listing.focus()
        self._show_current()

    def action_silence(self) -> None:
        """Opens the dialog to silence the selected alert or host."""
        matchers = suggested_matchers(self._listing.selected_link, self.current, self._view)
        self.push_screen(SilenceDialog(self._connect, matchers, self._user), self._on_silence_closed)

    def _on_silence_closed(self, is_created: bool | None) -> None:  # noqa: FBT001  Textual calls it so
        if is_created:
            self.notify("Silence created", markup=False)
        self.reload()
