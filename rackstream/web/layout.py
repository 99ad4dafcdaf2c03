"""What is around every view: header, navigation, whether it is live, theme, log-in."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

import structlog
from nicegui import app, ui

from rackstream.web import cells
from rackstream.web.session import Console

log = structlog.get_logger()
LOOK: Final = (Path(__file__).parent / "theme.css").read_text()
VIEWS: Final = (("Fleet", ""), ("Alerts", "alerts"), ("Pipeline", "pipeline"))
THEMES: Final[dict[bool | None, tuple[str, bool | None]]] = {
    None: ("Theme: system", False),
    False: ("Theme: light", True),
    True: ("Theme: dark", None),
}
"""Theme → what its switch says, and what it switches to."""
Act = Callable[[], Awaitable[None]]


class Panel(NamedTuple):
    """A titled box: all of it, and the place for tools beside its title."""

    whole: ui.element
    tools: ui.element


class Frame:
    """One open page: whose it is, its timers, its log-in."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.browser: str = app.storage.browser["id"]
        self._then: Act | None = None

    async def every(self, seconds: float, refresh: Act) -> None:
        """Fills a part of the view before the page is sent, and again every so many seconds while it is open."""

        async def quietly() -> None:
            try:
                await refresh()
            except Exception as error:  # noqa: BLE001  one part of a view that fails leaves the others live
                log.warning("view not refreshed", why=repr(error))

        await quietly()
        ui.timer(seconds, quietly, immediate=False)

    async def change(self, act: Act) -> None:
        """Does what changes something if this browser is logged in; else asks for the token first."""
        if self.console.logins.knows(self.browser):
            await act()
            return
        self._then = act
        self._token.value = self._wrong.content = ""
        self._dialog.open()

    def build(self, current: str) -> None:
        """The header and the dialogue."""
        ui.add_css(LOOK)
        theme = self.console.themes.get(self.browser)
        self._dark = ui.dark_mode(theme)
        with ui.element("header").classes("top"):
            ui.html("Rackstream", tag="a").classes("brand").props(f'href="{cells.BASE}/"')
            with ui.element("nav").props('aria-label="Views"'):
                for words, view in VIEWS:
                    here = ui.html(words, tag="a").props(f'href="{cells.path(view)}"')
                    if view == current:
                        here.props('aria-current="page"')
                    if view == "alerts":
                        self._alerts = here
            with ui.element("div").classes("right"):
                self._live = ui.html("").classes("live").props('role="status"')
                self._theme = ui.html(THEMES[theme][0], tag="button").classes("plain").on("click", self._switch)
                self._log_in = ui.html("", tag="button").classes("plain").on("click", self._in_or_out)
        self._show_login()
        self._build_dialog()

    async def refresh(self) -> None:
        """What the header says: how many alerts there are, whether what is shown is of now."""
        found = await self.console.ask("overview")
        active = sum(found.alerts.values())
        words = f'{active:,}<span class="sr"> active</span>' if active else ""
        self._alerts.content = f'Alerts<span class="count">{words}</span>'
        pipeline = await self.console.ask("pipeline")
        wrong = pipeline.kafka or ("" if pipeline.ready else "reading what there is …")
        self._live.content = (
            cells.state("silent" if pipeline.kafka else "late", wrong) if wrong else cells.state("live")
        )
        self._show_login()

    def _switch(self) -> None:
        dark = THEMES[self._dark.value][1]
        self.console.choose_theme(self.browser, dark=dark)
        self._dark.value = dark
        self._theme.content = THEMES[dark][0]

    def _show_login(self) -> None:
        self._log_in.content = "Log out" if self.console.logins.knows(self.browser) else "Log in"

    async def _in_or_out(self) -> None:
        if self.console.logins.knows(self.browser):
            self.console.logins.leave(self.browser)
            self._show_login()
        else:
            await self.change(_nothing)

    def _build_dialog(self) -> None:
        with ui.dialog() as self._dialog, ui.element("form").classes("dialog").props('aria-label="Log in"') as form:
            ui.html("Log in", tag="h2")
            ui.html(
                "What changes anything needs the API token: <code>RACKSTREAM_API_TOKEN</code> or, unset, what is in "
                "<code>api-token</code> in the console's data directory."
            ).classes("say soft")
            self._token = ui.input("API token", password=True).props('outlined dense autofocus autocomplete="off"')
            self._wrong = ui.html("").classes("wrong").props('role="alert"')
            with ui.element("div").classes("row-end"):
                ui.html("Cancel", tag="button").classes("action").props('type="button"').on("click", self._dialog.close)
                ui.html("Log in", tag="button").classes("action main").props('type="submit"')
        form.on("submit.prevent", self._enter)

    async def _enter(self) -> None:
        wrong = self.console.logins.enter(self.browser, self._token.value or "")
        self._token.value, self._wrong.content = "", wrong
        if wrong:
            return
        self._dialog.close()
        self._show_login()
        if self._then is not None:
            await self._then()


async def _nothing() -> None:
    pass


@contextlib.contextmanager
def main() -> Iterator[None]:
    """The part of the page that differs from view to view."""
    with ui.element("div").classes("view") as view:
        yield
    ui.skip_link("Skip to the view", target=view)


@contextlib.contextmanager
def panel(words: str) -> Iterator[Panel]:
    """A titled box."""
    whole = ui.element("section").classes("panel").props(f'aria-label="{words}"')
    with whole:
        with ui.element("div").classes("head"):
            ui.html(words, tag="h2")
            tools = ui.element("div").classes("tools")
        yield Panel(whole, tools)


def tile(words: str, href: str = "") -> ui.html:
    """One number with what it is; returns the number's element."""
    whole = ui.element("a" if href else "div").classes("tile")
    if href:
        whole.props(f'href="{href}"')
    with whole:
        ui.html(words).classes("what")
        return ui.html(cells.NOTHING).classes("value")
