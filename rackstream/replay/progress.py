"""Progress of long work on stderr: a bar on a terminal, a line every few seconds elsewhere."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from typing import Any, Final

from rackstream.text.sanitize import echo, terminal_console

LINE_INTERVAL_S: Final = 2.0
"""Time between two lines."""
REDRAW_INTERVAL_S: Final = 0.1
"""Time between two redraws of the bar."""


def progress_text(done: int, total: int, elapsed_s: float) -> str:
    """Formats records done, rate and time left. Pure."""
    rate = done / elapsed_s if elapsed_s > 0 else 0.0
    time_left = f", {max(0, total - done) / rate:,.0f} s left" if rate > 0 else ""
    return f"{done:,} of {total:,} records, {rate:,.0f}/s{time_left}"


class ReplayProgress:
    """Progress over records, passed to `print_line`; by default on stderr, a bar on terminals."""

    def __init__(self, label: str, print_line: Callable[[str], None] | None = None) -> None:
        self._label = label
        self._print_line = print_line or partial(echo, err=True)
        self._bar = print_line is None and sys.stderr.isatty() and find_spec("rich") is not None
        self._done = self._total = 0
        self._began_s = self._updated_s = time.monotonic()
        self._update: Callable[[], object] = lambda: None
        self._interval_s = LINE_INTERVAL_S

    @contextlib.contextmanager
    def track(self, total: int) -> Iterator[None]:
        """Shows progress during the block, which processes at most `total` records."""
        self._total = total
        self._began_s = self._updated_s = time.monotonic()
        if not self._bar:
            self._update = lambda: self._print_line(
                f"{self._label}: {progress_text(self._done, total, self._elapsed_s())}"
            )
            yield
            return
        with _progress_bar(self._label, total) as (bar, task):
            self._interval_s = REDRAW_INTERVAL_S
            self._update = lambda: bar.update(
                task, completed=self._done, rate=f"{self._done / self._elapsed_s():,.0f}/s"
            )
            yield
            bar.update(task, completed=total)

    def advance(self) -> None:
        """Counts one record."""
        self._done += 1
        # Reading the clock for every record would cost as much as reading some records.
        if self._done % 64 == 0 and time.monotonic() - self._updated_s >= self._interval_s:
            self._updated_s = time.monotonic()
            self._update()

    def _elapsed_s(self) -> float:
        return max(1e-6, time.monotonic() - self._began_s)


@contextlib.contextmanager
def _progress_bar(label: str, total: int) -> Iterator[tuple[Any, Any]]:
    from rich import progress

    columns = (
        progress.TextColumn("{task.description}"),
        progress.BarColumn(),
        progress.MofNCompleteColumn(),
        progress.TextColumn("{task.fields[rate]}"),
        progress.TimeRemainingColumn(),
    )
    with progress.Progress(*columns, console=terminal_console(stderr=True), transient=True) as bar:
        yield bar, bar.add_task(label, total=total, rate="")
