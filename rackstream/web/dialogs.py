"""What can be changed from the page, each with a dialogue: start and stop, make and end a silence."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from html import escape
from typing import Any, Final

from nicegui import ui

from producers.control.commands import Scope
from rackstream.alerts import silences
from rackstream.text.time_arguments import duration
from rackstream.web.layout import Frame
from runtime.errors import Failure
from sinks.webhook import silences as silence_records

BY: Final = "the page"
"""Who did it, in records that say so: whoever has the token."""
LENGTHS: Final = {"30m": "30 minutes", "2h": "2 hours", "8h": "8 hours", "1d": "1 day", "7d": "7 days"}


async def _run(work: Callable[[], str]) -> str:
    """Does it in a thread, and says what came of it; returns what went wrong, empty if nothing did."""
    try:
        done = await asyncio.to_thread(work)
    except Failure as error:
        ui.notify(str(error), type="negative", timeout=8000)
        return str(error)
    ui.notify(done, type="positive")
    return ""


class Dialogue:
    """A question before something is changed: a title, what it means, fields, and the button that does it."""

    def __init__(self, title: str, says: str, do: str) -> None:
        """`says` is HTML."""
        self._do: Callable[[], Awaitable[str]] | None = None
        with (
            ui.dialog() as self._dialog,
            ui.element("form").classes("dialog").props(f'aria-label="{escape(title)}"') as form,
        ):
            ui.html(escape(title), tag="h2")
            if says:
                ui.html(says).classes("say soft")
            self.fields = ui.column().style("gap: 10px; align-items: stretch; width: 100%")
            self._wrong = ui.html("").classes("wrong").props('role="alert"')
            with ui.element("div").classes("row-end"):
                ui.html("Cancel", tag="button").classes("action").props('type="button"').on("click", self._dialog.close)
                ui.html(escape(do), tag="button").classes("action main").props('type="submit"')
        form.on("submit.prevent", self._submit)
        self._dialog.on("hide", self._dialog.delete)

    def open(self, do: Callable[[], Awaitable[str]]) -> None:
        """Shows it. `do` answers what is wrong with the fields; empty: it is done."""
        self._do = do
        self._dialog.open()

    async def _submit(self) -> None:
        if self._do is None:
            return
        wrong = await self._do()
        self._wrong.content = escape(wrong)
        if not wrong:
            self._dialog.close()


def _field(label: str, value: str = "") -> ui.input:
    return ui.input(label, value=value).props("outlined dense")


async def start_or_stop(frame: Frame, verb: str, source: str | None, host: str | None) -> None:
    """Starts or stops polling: one source of a host, a source, or everything. `verb`: start or stop."""
    commands = frame.console.commands
    what = str(Scope(source, host))

    async def ask() -> None:
        if verb == "start":
            ui.notify(f"Starting {what} …")
            await _run(lambda: commands.start(source, host, by=BY)["message"])
            return
        dialogue = Dialogue(f"Stop {what}?", "Nothing is read, and no alert raised, until it is started again.", "Stop")
        with dialogue.fields:
            reason = _field("Reason, for whoever wonders")

        async def stop() -> str:
            given = (reason.value or "").strip()
            return await _run(lambda: commands.stop(source, host, by=BY, reason=given)["message"])

        dialogue.open(stop)

    await frame.change(ask)


async def silence(frame: Frame, matchers: Mapping[str, str]) -> None:
    """Makes a silence, with these matchers to begin with."""

    async def ask() -> None:
        says = (
            "Alerts that match all of these are shown, but not delivered. <code>*</code> and <code>?</code> are wild."
        )
        dialogue = Dialogue("Silence alerts", says, "Silence")
        with dialogue.fields:
            match = _field("Matchers, such as host=kvm-* rule=temperature-high", silences.line(matchers))
            length = ui.select(LENGTHS, value="2h", label="For").props("outlined dense options-dense")
            who, why = _field("Who wants it"), _field("Why")

        async def make() -> str:
            if not (who.value or "").strip() or not (why.value or "").strip():
                return "Say who wants it, and why: somebody will wonder why nothing came."
            now = datetime.now(UTC)
            try:
                made = silence_records.new_silence(
                    silences.pairs(silences.split(match.value or "")),
                    now,
                    now + duration(length.value),
                    who=who.value.strip(),
                    why=why.value.strip(),
                )
            except Failure as error:
                return str(error)
            return await _run(lambda: _silenced(frame, made))

        dialogue.open(make)

    await frame.change(ask)


def _silenced(frame: Frame, made: dict[str, Any]) -> str:
    silences.add(frame.console.connect(), made)
    return "Silenced"


def _ended(frame: Frame, name: str) -> str:
    silences.end(frame.console.connect(), [name])
    return "The silence has ended"


async def end_silence(frame: Frame, name: str) -> None:
    """Ends a silence now."""

    async def end() -> None:
        await _run(lambda: _ended(frame, name))

    await frame.change(end)
