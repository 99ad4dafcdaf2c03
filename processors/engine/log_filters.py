"""What Faust's and aiokafka's own logs may say while Kafka is away or refuses us. Filters of log records; no Faust."""

from __future__ import annotations

import logging
import re
import time
from typing import Final

from aiokafka import errors

from processors.engine.worker import EXIT_MISCONFIGURED, leave
from runtime import kafka_auth
from runtime.settings import KafkaSettings

QUIET_S: Final = 10.0
"""A refused login makes them complain of all that they cannot do without: for so long after each refusal."""
REFUSED: Final = re.compile(r"Unable connect to .*?: (?:\[Error \d+\] \w+: )?(.*(?:Authentication|SSL|SASL).*)")


class RateLimit(logging.Filter):
    """Lets `most` records per 10 s of one logger through: in an outage aiokafka writes thousands a second."""

    def __init__(self, most: int = 5) -> None:
        super().__init__()
        self._most = most
        self._window: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log it."""
        began, count = self._window.get(record.name, (0.0, 0))
        if record.created - began > 10:
            began, count = record.created, 0
        self._window[record.name] = (began, count + 1)
        return count < self._most


class Refused(logging.Filter):
    """Tells a refused login as all our clients do, and leaves out what aiokafka says of it, several times a second."""

    def __init__(self, settings: KafkaSettings) -> None:
        super().__init__()
        self._settings = settings
        self._refused_s = -QUIET_S

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log it."""
        if not record.name.startswith("aiokafka"):
            return True
        found = REFUSED.search(record.getMessage())
        if found:
            self._refused_s = time.monotonic()
            kafka_auth.tell(kafka_auth.refused_by_text(self._settings, found[1].strip()), found[1].strip())
        return time.monotonic() - self._refused_s >= QUIET_S


class Denied(logging.Filter):
    """Ends the process with one line where a right lacks: Faust would end it with the stacks of all its services."""

    def __init__(self, settings: KafkaSettings) -> None:
        super().__init__()
        self._settings = settings

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log it."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, errors.TopicAuthorizationFailedError | errors.GroupAuthorizationFailedError):
            kind = "topic" if isinstance(error, errors.TopicAuthorizationFailedError) else "group"
            name = ", ".join(map(str, error.args))
            leave(EXIT_MISCONFIGURED, str(kafka_auth.lacking(self._settings, "Read", kind, name)))
        return not record.getMessage().startswith("Not authorized to read")  # the error comes with it
