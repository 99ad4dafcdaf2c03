"""What all open pages share: the view and its answers, stored history, who is logged in, commands."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, TypeVar

from rackstream.control import Commands
from rackstream.stored import charts
from rackstream.topics.schema_lookup import Connect
from rackstream.view.model import View
from rackstream.web.logins import Logins

T = TypeVar("T")
FRESH_S: Final = 0.9
"""How long an answer serves every page that asks the same."""
STORED_S: Final = 9.0
"""The same of stored history."""
THEMES: Final = 10_000
"""Browsers whose choice of theme is remembered."""


class Shared:
    """Answers that are worked out once, in a thread, for all who ask the same within a moment."""

    def __init__(self) -> None:
        self._known: dict[object, tuple[float, asyncio.Future[Any]]] = {}

    async def ask(self, key: object, question: Callable[[], T], fresh_s: float = FRESH_S) -> T:
        """The answer, new or at most `fresh_s` seconds old. What `question` raises, all who wait are told."""
        now_s = time.monotonic()
        known = self._known.get(key)
        if known is None or known[0] <= now_s:
            self._known = {each: kept for each, kept in self._known.items() if kept[0] > now_s or not kept[1].done()}
            known = self._known[key] = (now_s + fresh_s, asyncio.ensure_future(asyncio.to_thread(question)))
        answer: T = await asyncio.shield(known[1])
        return answer


@dataclass
class Console:
    """Given to each page that is built."""

    view: View
    commands: Commands
    connect: Connect
    files: Path
    """Where the files sink stores."""
    logins: Logins
    themes: dict[str, bool | None] = field(default_factory=dict)
    """Browser → dark, light (False), or as its system wishes (None)."""
    shared: Shared = field(default_factory=Shared)
    _reading: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))

    async def ask(self, question: str, *given: Any, **named: Any) -> Any:
        """An answer of the view."""
        key = (question, given, tuple(sorted(named.items())))
        return await self.shared.ask(key, lambda: getattr(self.view, question)(*given, **named))

    async def lines(
        self, chart: charts.Chart, where: tuple[tuple[str, str], ...], last: timedelta
    ) -> list[charts.Line]:
        """The lines of a chart over the last hours or minutes. One chart at a time is read, for all pages."""

        def read() -> list[charts.Line]:
            until = datetime.now(UTC)
            return charts.lines(self.files, chart, dict(where), charts.Period(until - last, until))

        async with self._reading:
            return await self.shared.ask((chart.title, chart.dataset, where, last), read, STORED_S)

    def choose_theme(self, browser: str, *, dark: bool | None) -> None:
        """Remembers a browser's theme until the console ends."""
        self.themes.pop(browser, None)
        while len(self.themes) >= THEMES:
            self.themes.pop(next(iter(self.themes)))
        self.themes[browser] = dark
