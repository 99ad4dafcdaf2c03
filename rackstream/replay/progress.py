"""How far long work is: a bar with rate and time left on a terminal, a line now and then elsewhere. On stderr."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from typing import Any, Final

import click

TELL_S: Final = 2.0
"""Time between two lines."""
DRAWN_S: Final = 0.1
"""Time between two looks of the bar."""


def words(done: int, total: int, elapsed_s: float) -> str:
    """One line: how many, how fast, how long still. Pure."""
    rate = done / elapsed_s if elapsed_s > 0 else 0.0
    left = f", {max(0, total - done) / rate:,.0f} s left" if rate > 0 else ""
    return f"{done:,} of {total:,} records, {rate:,.0f}/s{left}"


class Progress:
    """Progress over records. `tell` takes the lines; default: stderr, as a bar if that is a terminal."""

    def __init__(self, what: str, tell: Callable[[str], None] | None = None) -> None:
        self._what = what
        self._tell = tell or partial(click.echo, err=True)
        self._bar = tell is None and sys.stderr.isatty() and find_spec("rich") is not None
        self._done = self._total = 0
        self._began_s = self._told_s = time.monotonic()
        self._show: Callable[[], object] = lambda: None
        self._every_s = TELL_S

    @contextlib.contextmanager
    def over(self, total: int) -> Iterator[None]:
        """While the work goes on, which has so many records at most."""
        self._total = total
        self._began_s = self._told_s = time.monotonic()
        if not self._bar:
            self._show = lambda: self._tell(f"{self._what}: {words(self._done, total, self._elapsed_s())}")
            yield
            return
        with _drawn(self._what, total) as (bar, task):
            self._every_s = DRAWN_S
            self._show = lambda: bar.update(task, completed=self._done, rate=f"{self._done / self._elapsed_s():,.0f}/s")
            yield
            bar.update(task, completed=total)

    def one(self) -> None:
        """One record more."""
        self._done += 1
        # A look at the clock for each would cost as much as reading some records.
        if self._done % 64 == 0 and time.monotonic() - self._told_s >= self._every_s:
            self._told_s = time.monotonic()
            self._show()

    def _elapsed_s(self) -> float:
        return max(1e-6, time.monotonic() - self._began_s)


@contextlib.contextmanager
def _drawn(what: str, total: int) -> Iterator[tuple[Any, Any]]:
    from rich import progress
    from rich.console import Console

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[rate]}"),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield bar, bar.add_task(what, total=total, rate="")
