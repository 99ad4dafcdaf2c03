"""Frame around every view: header, navigation, live status, outage banner, theme and log-in."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple, ParamSpec, TypeVar

import structlog
from nicegui import app, ui

from rackstream.view.model import View
from rackstream.web import cells
from rackstream.web.session import WebContext

P = ParamSpec("P")
T = TypeVar("T")
log = structlog.get_logger()
THEME_CSS: Final = (Path(__file__).parent / "theme.css").read_text()
VIEWS: Final = (("Fleet", ""), ("Alerts", "alerts"), ("Pipeline", "pipeline"))
THEMES: Final[dict[bool | None, tuple[str, bool | None]]] = {
    None: ("Theme: system", False),
    False: ("Theme: light", True),
    True: ("Theme: dark", None),
}
"""Theme → label of its switch, and the theme that it switches to."""
PageAction = Callable[[], Awaitable[None]]


class Panel(NamedTuple):
    """A titled box, and the place for tools beside its title."""

    box: ui.element
    tools: ui.element


class PageFrame:
    """An open page: its browser, refresh timers and log-in dialog."""

    def __init__(self, context: WebContext) -> None:
        self.context = context
        self.browser: str = app.storage.browser["id"]
        self._address = ui.context.client.ip
        self._after_login: PageAction | None = None

    @property
    def view(self) -> View:
        """The view that all pages show."""
        return self.context.view

    async def query(self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls a method of the view, such as `frame.view.hosts`, through the cache of all pages."""
        return await self.context.query(method, *args, **kwargs)

    async def refresh_every(self, seconds: float, refresh: PageAction) -> None:
        """Calls `refresh` before the page is sent, and then at this interval while the page is open."""

        async def refresh_safely() -> None:
            try:
                await refresh()
            except Exception as error:  # noqa: BLE001  one part that fails must not stop the others
                log.warning("view not refreshed", reason=repr(error))

        await refresh_safely()
        ui.timer(seconds, refresh_safely, immediate=False)

    async def run_authorised(self, action: PageAction) -> None:
        """Runs an action that changes something; asks for the token first if the browser is not logged in."""
        if self.context.logins.is_logged_in(self.browser):
            await action()
            return
        self._after_login = action
        self._token.value = self._login_error.content = ""
        self._login_dialog.open()

    def build(self, current: str) -> None:
        """Builds the header and the log-in dialog; `current`: path of the view on display."""
        ui.add_css(THEME_CSS)
        theme = self.context.themes.get(self.browser)
        self._dark_mode = ui.dark_mode(theme)
        with ui.element("header").classes("top"):
            ui.html("Rackstream", tag="a").classes("brand").props(f'href="{cells.BASE}/"')
            with ui.element("nav").props('aria-label="Views"'):
                for label, view in VIEWS:
                    tab = ui.html(label, tag="a").props(f'href="{cells.path(view)}"')
                    if view == current:
                        tab.props('aria-current="page"')
                    if view == "alerts":
                        self._alerts_tab = tab
            with ui.element("div").classes("right"):
                self._live = ui.html("").classes("live").props('role="status"')
                self._theme = ui.html(THEMES[theme][0], tag="button").classes("plain").on("click", self._switch_theme)
                self._login_button = ui.html("", tag="button").classes("plain").on("click", self._toggle_login)
        self._outage = ui.html("").classes("notice outage").props('role="status"')
        self._outage.set_visibility(False)
        self._update_login_button()
        self._build_login_dialog()

    async def refresh(self) -> None:
        """Updates the number of alerts, the live status and the outage banner."""
        overview = await self.query(self.view.overview)
        active = sum(overview.alerts.values())
        count = f'{active:,}<span class="sr"> active</span>' if active else ""
        self._alerts_tab.content = f'Alerts<span class="count">{count}</span>'
        pipeline = await self.query(self.view.pipeline)
        outage = pipeline.outage_notice
        self._outage.content = cells.text(outage) if outage else ""
        self._outage.set_visibility(bool(outage))
        if outage:
            self._live.content = cells.state("silent", "Kafka", pipeline.reader or pipeline.kafka)
        else:
            is_current = pipeline.ready and not pipeline.kafka
            self._live.content = cells.state("live") if is_current else cells.text("reading from Kafka …", "state warn")
        self._update_login_button()

    def _switch_theme(self) -> None:
        dark = THEMES[self._dark_mode.value][1]
        self.context.choose_theme(self.browser, dark=dark)
        self._dark_mode.value = dark
        self._theme.content = THEMES[dark][0]

    def _update_login_button(self) -> None:
        self._login_button.content = "Log out" if self.context.logins.is_logged_in(self.browser) else "Log in"

    async def _toggle_login(self) -> None:
        if self.context.logins.is_logged_in(self.browser):
            self.context.logins.log_out(self.browser)
            self._update_login_button()
        else:
            await self.run_authorised(_no_action)

    def _build_login_dialog(self) -> None:
        with ui.dialog() as self._login_dialog, ui.element("form").classes("dialog") as form:
            form.props('aria-label="Log in"')
            ui.html("Log in", tag="h2")
            ui.html(
                "Changes need the API token: the value of <code>RACKSTREAM_API_TOKEN</code> or, if that is not set, "
                "the content of <code>api-token</code> in the console's data directory."
            ).classes("say soft")
            self._token = ui.input("API token", password=True).props('outlined dense autofocus autocomplete="off"')
            self._login_error = ui.html("").classes("wrong").props('role="alert"')
            with ui.element("div").classes("row-end"):
                cancel = ui.html("Cancel", tag="button").classes("action").props('type="button"')
                cancel.on("click", self._login_dialog.close)
                ui.html("Log in", tag="button").classes("action main").props('type="submit"')
        form.on("submit.prevent", self._submit_login)

    async def _submit_login(self) -> None:
        error = self.context.logins.log_in(self.browser, self._token.value or "", self._address)
        self._token.value, self._login_error.content = "", error
        if error:
            return
        self._login_dialog.close()
        self._update_login_button()
        if self._after_login is not None:
            await self._after_login()


async def _no_action() -> None:
    pass


@contextlib.contextmanager
def main() -> Iterator[None]:
    """The part of the page that differs from view to view."""
    with ui.element("div").classes("view") as view:
        yield
    ui.skip_link("Skip to the view", target=view)


@contextlib.contextmanager
def panel(title: str) -> Iterator[Panel]:
    """A titled box."""
    box = ui.element("section").classes("panel").props(f'aria-label="{title}"')
    with box:
        with ui.element("div").classes("head"):
            ui.html(title, tag="h2")
            tools = ui.element("div").classes("tools")
        yield Panel(box, tools)


def tile(label: str, href: str = "") -> ui.html:
    """A labelled number. Returns the number's element."""
    box = ui.element("a" if href else "div").classes("tile")
    if href:
        box.props(f'href="{href}"')
    with box:
        ui.html(label).classes("what")
        return ui.html(cells.NOTHING).classes("value")
