"""Dialog that creates a silence: matchers, duration, reason."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import ClassVar, Final

from confluent_kafka import KafkaException
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from rackstream.alerts import silences
from rackstream.terminal.layout import styled
from rackstream.text.time_arguments import parse_duration
from rackstream.topics.schema_lookup import Connect
from runtime.errors import Failure
from sinks.webhook import silences as silence_records

DEFAULT_DURATION: Final = "2h"


class SilenceDialog(ModalScreen[bool]):
    """Creates the silence on Enter in the last field. Its result is False if it was cancelled."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "cancel", "Cancel")]

    def __init__(self, connect: Connect, matchers: Mapping[str, str], user: Callable[[], str]) -> None:
        """Prepares the dialog.

        Args:
            connect: Returns settings with Kafka's address, when the silence is created.
            matchers: Initial matchers, which the user may change.
            user: Returns the name to record as the silence's author.
        """
        super().__init__()
        self._connect, self._matchers, self._user = connect, matchers, user

    def compose(self) -> ComposeResult:
        """Builds the fields."""
        with Vertical(id="dialog"):
            yield Label("Silence: matching alerts are shown, but not delivered", classes="strong", markup=False)
            yield Label("Matchers (rule=, host=, severity=, a label; wildcards: * and ?)", markup=False)
            yield Input(_printable(silences.format_matchers(self._matchers)), id="matchers", compact=True)
            yield Label("Duration (90m, 2h, 1d12h)", markup=False)
            yield Input(DEFAULT_DURATION, id="duration", compact=True)
            yield Label("Reason", markup=False)
            yield Input(id="reason", compact=True)
            yield Static(id="error", markup=False)
            yield Label("Enter: next field; in the last field: create. Esc: cancel.", classes="soft", markup=False)

    def on_mount(self) -> None:
        """Focuses the reason, because suggested matchers are mostly right."""
        self.query_one("#reason" if self._matchers else "#matchers").focus()

    def action_cancel(self) -> None:
        """Closes the dialog without creating a silence."""
        self.dismiss(False)

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        """Moves to the next field; in the last one, creates the silence."""
        event.stop()
        if event.input.id != "reason":
            self.focus_next()
            return
        matchers, length, reason = (
            self.query_one(f"#{name}", Input).value for name in ("matchers", "duration", "reason")
        )
        try:
            if not reason.strip():
                raise Failure("a reason is required")  # noqa: TRY301
            now = datetime.now(UTC)
            silence = silence_records.new_silence(
                silences.parse_matchers(silences.split_words(matchers)),
                now,
                now + parse_duration(length.strip()),
                author=self._user(),
                reason=reason.strip(),
            )
            await asyncio.to_thread(lambda: silences.add_silence(self._connect(), silence))
        except (Failure, KafkaException) as error:
            self.query_one("#error", Static).update(styled(error, "bad"))
        else:
            self.dismiss(True)


def _printable(matchers: str) -> str:
    """Replaces unprintable characters by ?, which matches them."""
    return "".join(character if character.isprintable() else "?" for character in matchers)
