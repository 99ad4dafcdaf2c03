"""A `logging.Handler` that collects log records as events."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Final

from producers.app.model import EventType

if TYPE_CHECKING:
    from producers.app.collector import TelemetryCollector

OWN_LOGGERS: Final = "producers.app"
STANDARD_ATTRIBUTES: Final = {*vars(logging.makeLogRecord({})), "message", "asctime"}
"""Attributes of every log record; any other was passed as `extra`."""
FORMATTER: Final = logging.Formatter()


class TelemetryHandler(logging.Handler):
    """Collects each log record as an event.

    The logger is the source; `extra`, place and exception are metadata.
    """

    def __init__(self, collector: TelemetryCollector, level: int | str = logging.NOTSET) -> None:
        super().__init__(level)
        self._collector = collector

    def createLock(self) -> None:  # noqa: N802  the name is logging's
        """Creates no lock: a consumer that logs must not wait for a delivery.

        The collector is thread-safe.
        """
        self.lock = None

    def emit(self, record: logging.LogRecord) -> None:
        """Collects one log record, except the collector's own, each of which could cause the next."""
        if record.name.startswith(OWN_LOGGERS):
            return
        try:
            metadata: dict[str, object] = {
                key: value for key, value in vars(record).items() if key not in STANDARD_ATTRIBUTES
            }
            metadata |= {"module": record.module, "line": record.lineno, "thread": record.threadName}
            if record.exc_info:
                metadata["exception"] = FORMATTER.formatException(record.exc_info)
            self._collector.collect_event(record.name, record.getMessage(), _severity(record.levelno), metadata)
        except Exception:  # noqa: BLE001  logging's own convention: reported on standard error, never raised
            self.handleError(record)


def _severity(level: int) -> EventType:
    if level >= logging.ERROR:
        return EventType.ERROR
    if level >= logging.WARNING:
        return EventType.WARNING
    return EventType.INFO if level >= logging.INFO else EventType.DEBUG
