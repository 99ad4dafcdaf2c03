"""State shared by all open pages: view, cached answers, stored history, log-ins and commands."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, ParamSpec, TypeVar

from rackstream.control import FleetControl
from rackstream.stored import charts
from rackstream.topics.schema_lookup import Connect
from rackstream.view.model import View
from rackstream.web.logins import LoginSessions

P = ParamSpec("P")
T = TypeVar("T")
CACHE_S: Final = 0.9
"""An answer of the view serves all pages for this long."""
CHART_CACHE_S: Final = 9.0
"""A chart read from the stored files serves all pages for this long."""
MAX_THEMES: Final = 10_000
"""Browsers whose theme is remembered."""


class QueryCache:
    """Runs equal queries once, in a thread, for all pages that make them at about the same time."""

    def __init__(self) -> None:
        self._answers: dict[Hashable, tuple[float, asyncio.Future[Any]]] = {}
        """Key → when the answer expires, and the answer."""

    async def get(self, key: Hashable, query: Callable[[], T], max_age_s: float = CACHE_S) -> T:
        """Returns an answer at most `max_age_s` seconds old. If `query` fails, so do all waiting callers."""
        now_s = time.monotonic()
        cached = self._answers.get(key)
        if cached is None or cached[0] <= now_s:
            self._answers = {
                other: answer for other, answer in self._answers.items() if answer[0] > now_s or not answer[1].done()
            }
            cached = self._answers[key] = (now_s + max_age_s, asyncio.ensure_future(asyncio.to_thread(query)))
        answer: T = await asyncio.shield(cached[1])
        return answer


@dataclass
class WebContext:
    """Everything that pages share."""

    view: View
    commands: FleetControl
    connect: Connect
    files: Path
    """Directory of the files sink."""
    logins: LoginSessions
    themes: dict[str, bool | None] = field(default_factory=dict)
    """Browser → dark (True), light (False), or the system's choice (None)."""
    cache: QueryCache = field(default_factory=QueryCache)
    _chart_lock: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))

    async def query(self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Calls a method of the view, such as `view.hosts`, through the cache."""
        key = (method, args, tuple(sorted(kwargs.items())))
        return await self.cache.get(key, lambda: method(*args, **kwargs))

    async def chart_lines(
        self, chart: charts.Chart, where: tuple[tuple[str, str], ...], period: timedelta
    ) -> list[charts.ChartLine]:
        """Reads the lines of a chart over the latest `period`, one chart at a time for all pages."""

        def read() -> list[charts.ChartLine]:
            until = datetime.now(UTC)
            return charts.chart_lines(self.files, chart, dict(where), charts.ChartPeriod(until - period, until))

        async with self._chart_lock:
            return await self.cache.get((chart.title, chart.dataset, where, period), read, CHART_CACHE_S)

    def choose_theme(self, browser: str, *, dark: bool | None) -> None:
        """Remembers a browser's theme for the life of the process."""
        self.themes.pop(browser, None)
        while len(self.themes) >= MAX_THEMES:
            self.themes.pop(next(iter(self.themes)))
        self.themes[browser] = dark
