"""Asks for a silence: what it matches, for how long, why."""

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
from rackstream.terminal.layout import said
from rackstream.text.time_arguments import duration
from rackstream.topics.schema_lookup import Connect
from runtime.errors import Failure
from sinks.webhook import silences as silence_records

LASTING: Final = "2h"


class Silence(ModalScreen[bool]):
    """Made on Enter in the last field; false: it was thought better of."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "leave", "Cancel")]

    def __init__(self, connect: Connect, matchers: Mapping[str, str], who: Callable[[], str]) -> None:
        """`matchers`: what it is to match unless that is changed; `who`: the user's name, asked for when it is made."""
        super().__init__()
        self._connect, self._matchers, self._who = connect, matchers, who

    def compose(self) -> ComposeResult:
        """The fields."""
        with Vertical(id="dialogue"):
            yield Label("Silence: alerts that match are shown, but not delivered", classes="strong", markup=False)
            yield Label("Matches (rule=, host=, severity=, a label; * and ? are wild)", markup=False)
            yield Input(_safe(silences.line(self._matchers)), id="matchers", compact=True)
            yield Label("For (90m, 2h, 1d12h)", markup=False)
            yield Input(LASTING, id="lasting", compact=True)
            yield Label("Why", markup=False)
            yield Input(id="why", compact=True)
            yield Static(id="wrong", markup=False)
            yield Label("Enter: next field, and after the last it is made. Esc: cancel.", classes="soft", markup=False)

    def on_mount(self) -> None:
        """Matchers are mostly right: begin where they end."""
        self.query_one("#why" if self._matchers else "#matchers").focus()

    def action_leave(self) -> None:
        """Nothing is silenced."""
        self.dismiss(False)

    async def on_input_submitted(self, event: Input.Submitted) -> None:
        """The next field; after the last, it is made."""
        event.stop()
        if event.input.id != "why":
            self.focus_next()
            return
        matchers, lasting, why = (self.query_one(f"#{name}", Input).value for name in ("matchers", "lasting", "why"))
        try:
            if not why.strip():
                raise Failure("say why: somebody will wonder why nothing came")  # noqa: TRY301
            now = datetime.now(UTC)
            pairs = silences.pairs(silences.split(matchers))
            made = silence_records.new_silence(
                pairs, now, now + duration(lasting.strip()), who=self._who(), why=why.strip()
            )
            await asyncio.to_thread(lambda: silences.add(self._connect(), made))
        except (Failure, KafkaException) as error:
            self.query_one("#wrong", Static).update(said(error, "bad"))
        else:
            self.dismiss(True)


def _safe(matchers: str) -> str:
    """The same for a terminal: what cannot be printed becomes a ?, which matches it."""
    return "".join(matcher if matcher.isprintable() else "?" for matcher in matchers)
