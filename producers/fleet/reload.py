"""The fleet file while a producer runs: what is new in it becomes targets that begin, end or change."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

import structlog

from producers.fleet import config
from producers.fleet.config import AnyTarget
from producers.fleet.file_watcher import Watched
from producers.polling.target_state import Change
from producers.reader import Reader
from runtime.errors import Misconfigured

log = structlog.get_logger()
LOOK_S: Final = 2.0
"""The file is looked at this often; new text takes two looks."""
Make = Callable[[Iterable[AnyTarget]], list[Reader]]
"""Readers of targets; Misconfigured, if one of them cannot be had."""


def difference(old: Mapping[str, AnyTarget], new: Mapping[str, AnyTarget]) -> tuple[list[AnyTarget], frozenset[str]]:
    """Targets that begin, and hosts that end; one that has changed is in both."""
    begin = [target for host, target in new.items() if old.get(host) != target]
    return begin, frozenset(host for host, target in old.items() if new.get(host) != target)


def by_host(fleet: config.Fleet, source: str) -> dict[str, AnyTarget]:
    """The targets of a source."""
    section: Iterable[AnyTarget] = getattr(fleet, source).targets
    return {target.host: target for target in section}


class Reloading:
    """Watches a fleet file for one source. New text that is not right is refused whole, and said; the old goes on."""

    def __init__(self, path: Path, text: str, source: str, *, make: Make, change: Callable[[Change], None]) -> None:
        """`text`: what is in use."""
        self._path = path
        self._source = source
        self._make = make
        self._change = change
        self._watched = Watched(path, text)
        self._targets = by_host(config.parse(text, path), source)
        self._now = threading.Event()

    def ask(self) -> None:
        """Has the file looked at without delay; safe in a signal handler."""
        self._now.set()

    def run(self, stop: threading.Event) -> None:
        """Watches until `stop` is set."""
        while not stop.is_set():
            asked = self._now.wait(LOOK_S)
            self._now.clear()
            text = self._watched.look(at_once=asked)
            if text is not None:
                self.take(text)
            elif asked:
                log.info("fleet file unchanged", file=str(self._path))

    def take(self, text: str) -> None:
        """Uses new text, if it is right."""
        try:
            new = by_host(config.parse(text, self._path), self._source)
            begin, end = difference(self._targets, new)
            readers = self._make(begin)
        except Misconfigured as error:
            log.error("fleet file refused, the targets stay as they were", why=str(error))  # noqa: TRY400  says all
            return
        self._targets = new
        if begin or end:
            self._change(Change(tuple(readers), end))
        changed = len({target.host for target in begin} & end)
        counts = {"begun": len(begin) - changed, "ended": len(end) - changed, "changed": changed, "targets": len(new)}
        log.info("fleet file read anew", file=str(self._path), **counts)
