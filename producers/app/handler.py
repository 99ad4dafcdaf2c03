"""A `logging.Handler` that collects log records as events."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

from producers.app.model import EventType

if TYPE_CHECKING:
    from producers.app.collector import TelemetryCollector

OURS: Final = "producers.app"
USUAL: Final = {*vars(logging.makeLogRecord({})), "message", "asctime"}
"""What every log record has; the rest came as `extra`."""
FORMAT: Final = logging.Formatter()


class TelemetryHandler(logging.Handler):
    """Collects each log record: its logger as source, `extra` and the place as metadata, an exception's text too."""

    def __init__(self, collector: TelemetryCollector, level: int | str = logging.NOTSET) -> None:
        super().__init__(level)
        self._collector = collector

    def createLock(self) -> None:  # noqa: N802  the name is logging's
        """None: the collector is thread-safe, and a consumer that logs must not wait for a thread that delivers."""
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Collects one log record. The collector's own are left out, for each could be the cause of the next."""
        if record.name.startswith(OURS):
            return
        try:
            metadata: dict[str, Any] = {key: value for key, value in vars(record).items() if key not in USUAL}
            metadata |= {"module": record.module, "line": record.lineno, "thread": record.threadName}
            if record.exc_info:
                metadata["exception"] = FORMAT.formatException(record.exc_info)
            self._collector.collect_event(record.name, record.getMessage(), _severity(record.levelno), metadata)
        except Exception:  # noqa: BLE001  logging's own convention: told on standard error, never raised
            self.handleError(record)


def _severity(level: int) -> EventType:
    if level >= logging.ERROR:
        return EventType.ERROR
    if level >= logging.WARNING:
        return EventType.WARNING
    return EventType.INFO if level >= logging.INFO else EventType.DEBUG
