"""Dialogs for changes: pause and resume polling, create and end a silence."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from html import escape
from typing import Final

from nicegui import ui

from rackstream.alerts import silences
from rackstream.text.time_arguments import parse_duration
from rackstream.web.layout import PageFrame
from runtime.errors import Failure
from sinks.webhook import silences as silence_records

ACTOR: Final = "web page"
"""Author recorded with a command. The page knows no users, only the token."""
DURATIONS: Final = {"30m": "30 minutes", "2h": "2 hours", "8h": "8 hours", "1d": "1 day", "7d": "7 days"}
SUBJECTS: Final = {"redfish": "BMC", "libvirt": "hypervisor", "host": "operating system"}
"""Source → what it polls on a host."""


async def _run(command: Callable[[], str]) -> str:
    """Runs a command in a thread and shows its result. Returns the error message; empty on success."""
    try:
        message = await asyncio.to_thread(command)
    except Failure as error:
        ui.notify(str(error), type="negative", timeout=8000)
        return str(error)
    ui.notify(message, type="positive")
    return ""


class FormDialog:
    """A dialog with a title, an explanation, fields, and a button that submits them."""

    def __init__(self, title: str, explanation: str, submit: str) -> None:
        """Builds the dialog.

        Args:
            title: Title, as text.
            explanation: HTML below the title; may be empty.
            submit: Label of the button, as text.
        """
        self._on_submit: Callable[[], Awaitable[str]] | None = None
        with ui.dialog() as self._dialog, ui.element("form").classes("dialog") as form:
            form.props["aria-label"] = title
            ui.html(escape(title), tag="h2")
            if explanation:
                ui.html(explanation).classes("say soft")
            self.fields = ui.column().style("gap: 10px; align-items: stretch; width: 100%")
            self._error = ui.html("").classes("wrong").props('role="alert"')
            with ui.element("div").classes("row-end"):
                ui.html("Cancel", tag="button").classes("action").props('type="button"').on("click", self._dialog.close)
                ui.html(escape(submit), tag="button").classes("action main").props('type="submit"')
        form.on("submit.prevent", self._submit)
        self._dialog.on("hide", self._dialog.delete)

    def open(self, on_submit: Callable[[], Awaitable[str]]) -> None:
        """Shows the dialog. `on_submit` returns an error message to keep it open, or an empty string to close it."""
        self._on_submit = on_submit
        self._dialog.open()

    async def _submit(self) -> None:
        if self._on_submit is None:
            return
        error = await self._on_submit()
        self._error.content = escape(error)
        if not error:
            self._dialog.close()


def _text_field(label: str, value: str = "") -> ui.input:
    return ui.input(label, value=value).props("outlined dense")


def targets_text(source: str | None, host: str | None) -> str:
    """Names the targets of a source, of a host, of both, or (neither) all: "node-1's BMC"."""
    if host is None:
        return f"all {source} targets" if source else "all targets"
    return f"{host}'s {SUBJECTS.get(source, source)}" if source else f"all targets of {host}"


async def pause_polling(frame: PageFrame, source: str | None, host: str | None) -> None:
    """Asks for a reason, and pauses polling of a source of a host, of a source, or of everything."""

    async def open_dialog() -> None:
        dialog = FormDialog(
            f"Pause polling of {targets_text(source, host)}?",
            "Until polling is resumed, no readings are taken and no alerts raised.",
            "Pause",
        )
        with dialog.fields:
            reason_field = _text_field("Reason (shown to others)")

        async def pause() -> str:
            reason = (reason_field.value or "").strip()
            return await _run(lambda: frame.context.commands.stop(source, host, by=ACTOR, reason=reason)["message"])

        dialog.open(pause)

    await frame.run_authorised(open_dialog)


async def resume_polling(frame: PageFrame, source: str | None, host: str | None) -> None:
    """Resumes polling of a source of a host, of a source, or of everything."""

    async def resume() -> None:
        ui.notify(f"Resuming polling of {targets_text(source, host)} …")
        await _run(lambda: frame.context.commands.start(source, host, by=ACTOR)["message"])

    await frame.run_authorised(resume)


async def create_silence(frame: PageFrame, matchers: Mapping[str, str]) -> None:
    """Asks for the fields of a silence, starting with these matchers, and creates it."""

    async def open_dialog() -> None:
        explanation = (
            "Alerts that match all matchers are shown, but not delivered. Wildcards: <code>*</code> and <code>?</code>."
        )
        dialog = FormDialog("Silence alerts", explanation, "Silence")
        with dialog.fields:
            initial = silences.format_matchers(matchers)
            matchers_field = _text_field("Matchers, such as host=kvm-* rule=temperature-high", initial)
            duration_field = ui.select(DURATIONS, value="2h", label="Duration").props("outlined dense options-dense")
            author_field, reason_field = _text_field("Your name"), _text_field("Reason")

        async def create() -> str:
            author, reason = (author_field.value or "").strip(), (reason_field.value or "").strip()
            if not author or not reason:
                return "Your name and a reason are required."
            now = datetime.now(UTC)
            try:
                silence = silence_records.new_silence(
                    silences.parse_matchers(silences.split_words(matchers_field.value or "")),
                    now,
                    now + parse_duration(duration_field.value),
                    author=author,
                    reason=reason,
                )
            except Failure as error:
                return str(error)

            def publish() -> str:
                silences.add_silence(frame.context.connect(), silence)
                return "Silence created"

            return await _run(publish)

        dialog.open(create)

    await frame.run_authorised(open_dialog)


async def end_silence(frame: PageFrame, silence_id: str) -> None:
    """Ends a silence now."""

    def end() -> str:
        silences.end_silences(frame.context.connect(), [silence_id])
        return "Silence ended"

    async def run() -> None:
        await _run(end)

    await frame.run_authorised(run)
