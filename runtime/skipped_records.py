"""Skipped records: counts and logs, once each, the records that a reader of a topic refuses to believe.

Whatever is on a topic, its readers go on: anyone who may write it, or whose program has a fault, would stop them all
otherwise, again at each restart.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

import structlog

from runtime import metrics

if TYPE_CHECKING:
    from confluent_kafka import Message

log = structlog.get_logger()
MAX_REMEMBERED: Final = 10_000
"""Records remembered, so that a topic that is read again logs none twice."""
MAX_LOGGED: Final = 100
"""Records logged per topic; all are counted."""
MAX_REASON_LENGTH: Final = 300
_lock: Final = threading.Lock()
_remembered: Final[dict[tuple[str, int, int], None]] = {}
_logged: Final[dict[str, int]] = {}


def skip_record(alias: str, message: Message, error: Exception | str) -> None:
    """Counts and logs a record that was refused, the first time that this process reads it. Thread-safe.

    Args:
        alias: Alias of its topic.
        message: The record.
        error: Why it was refused.
    """
    record = (message.topic() or alias, message.partition() or 0, message.offset() or 0)
    with _lock:
        if record in _remembered:
            return
        _remembered[record] = None
        if len(_remembered) > MAX_REMEMBERED:
            del _remembered[next(iter(_remembered))]
        logged = _logged[alias] = _logged.get(alias, 0) + 1
    metrics.RECORDS_SKIPPED.labels(alias).inc()
    if logged <= MAX_LOGGED:
        topic, partition, offset = record
        reason = " ".join((str(error) or repr(error)).split())[:MAX_REASON_LENGTH]
        log.warning("record skipped", topic=topic, partition=partition, offset=offset, reason=reason)
    if logged == MAX_LOGGED:
        log.warning("further skipped records of this topic are counted, not logged", topic=record[0])
