"""Reload of the fleet file: starts, stops and replaces targets while a producer runs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Final

import structlog

from producers.fleet import config
from producers.fleet.file_watcher import FileWatcher
from producers.fleet.targets import FleetTarget
from producers.polling.target_state import TargetChange
from producers.reader import Reader
from runtime.errors import Misconfigured

log = structlog.get_logger()
POLL_INTERVAL_S: Final = 2.0
"""The file is checked this often; new text is applied after two checks."""
CreateReaders = Callable[[Iterable[FleetTarget]], list[Reader]]
"""Creates the readers of targets; raises Misconfigured if one of them cannot be created."""


def diff_targets(
    old: Mapping[str, FleetTarget], new: Mapping[str, FleetTarget]
) -> tuple[list[FleetTarget], frozenset[str]]:
    """Returns the targets that start and the hosts that end; a changed target is in both."""
    started = [target for host, target in new.items() if old.get(host) != target]
    return started, frozenset(host for host, target in old.items() if new.get(host) != target)


def targets_by_host(fleet: config.Fleet, source: str) -> dict[str, FleetTarget]:
    """Returns the targets of a source by host."""
    return {target.host: target for target in fleet.targets(source)}


class FleetReloader:
    """Watches a fleet file for one source.

    Invalid text is rejected as a whole and logged; the old targets stay.
    """

    def __init__(
        self,
        path: Path,
        text: str,
        source: str,
        *,
        create_readers: CreateReaders,
        on_change: Callable[[TargetChange], None],
    ) -> None:
        """Starts watching; `text` is the text in use."""
        self._path = path
        self._source = source
        self._create_readers = create_readers
        self._on_change = on_change
        self._watcher = FileWatcher(path, text)
        self._targets = targets_by_host(config.parse(text, path), source)
        self._triggered = threading.Event()

    def trigger(self) -> None:
        """Checks the file without delay; safe in a signal handler."""
        self._triggered.set()

    def run(self, stop: threading.Event) -> None:
        """Watches until `stop` is set."""
        while not stop.is_set():
            triggered = self._triggered.wait(POLL_INTERVAL_S)
            self._triggered.clear()
            text = self._watcher.poll(immediate=triggered)
            if text is not None:
                self.apply(text)
            elif triggered:
                log.info("fleet file unchanged", file=str(self._path))

    def apply(self, text: str) -> None:
        """Applies new text if it is valid."""
        try:
            targets = targets_by_host(config.parse(text, self._path), self._source)
            started, ended = diff_targets(self._targets, targets)
            readers = self._create_readers(started)
        except Misconfigured as error:
            log.error("fleet file rejected, targets unchanged", reason=str(error))  # noqa: TRY400  no stack needed
            return
        except Exception:
            # The thread that watches the file must survive, to apply the next text.
            log.exception("fleet file not applied, targets unchanged")
            return
        self._targets = targets
        if started or ended:
            self._on_change(TargetChange(tuple(readers), ended))
        changed = len({target.host for target in started} & ended)
        log.info(
            "fleet file reloaded",
            file=str(self._path),
            started=len(started) - changed,
            ended=len(ended) - changed,
            changed=changed,
            targets=len(targets),
        )
