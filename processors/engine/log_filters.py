"""Log filters for Faust and aiokafka, which flood the log while Kafka is unavailable or refuses the login. No Faust."""

from __future__ import annotations

import logging
import re
import time
from typing import Final

from aiokafka import errors

from processors.engine.worker import EXIT_MISCONFIGURED, exit_process
from runtime import kafka_auth
from runtime.settings import KafkaSettings

REFUSAL_QUIET_S: Final = 10.0
"""aiokafka's messages are dropped for this long after each refused login: all of them follow from it."""
REFUSAL: Final = re.compile(r"Unable connect to .*?: (?:\[Error \d+\] \w+: )?(.*(?:Authentication|SSL|SASL).*)")


class RateLimitFilter(logging.Filter):
    """Limits a logger to `limit` records per 10 s: in an outage aiokafka writes thousands a second."""

    def __init__(self, limit: int = 5) -> None:
        super().__init__()
        self._limit = limit
        self._windows: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """True if the record is within the limit of its logger."""
        started_s, count = self._windows.get(record.name, (0.0, 0))
        if record.created - started_s > 10:
            started_s, count = record.created, 0
        self._windows[record.name] = (started_s, count + 1)
        return count < self._limit


class LoginErrorFilter(logging.Filter):
    """Replaces aiokafka's messages about a refused login, several per second, by the one all our clients log."""

    def __init__(self, settings: KafkaSettings) -> None:
        super().__init__()
        self._settings = settings
        self._refused_s = -REFUSAL_QUIET_S

    def filter(self, record: logging.LogRecord) -> bool:
        """True unless aiokafka logs the record because of a refused login."""
        if not record.name.startswith("aiokafka"):
            return True
        refusal = REFUSAL.search(record.getMessage())
        if refusal:
            self._refused_s = time.monotonic()
            kafka_text = refusal[1].strip()
            kafka_auth.log_refusal(kafka_auth.login_refused_by_text(self._settings, kafka_text), kafka_text)
        return time.monotonic() - self._refused_s >= REFUSAL_QUIET_S


class AuthorizationErrorFilter(logging.Filter):
    """Ends the process with one line if an ACL is missing; Faust would print the stacks of all its services."""

    def __init__(self, settings: KafkaSettings) -> None:
        super().__init__()
        self._settings = settings

    def filter(self, record: logging.LogRecord) -> bool:
        """True unless the record only repeats an authorization error; does not return for the error itself."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, errors.TopicAuthorizationFailedError | errors.GroupAuthorizationFailedError):
            kind = "topic" if isinstance(error, errors.TopicAuthorizationFailedError) else "group"
            name = ", ".join(map(str, error.args))
            exit_process(EXIT_MISCONFIGURED, str(kafka_auth.missing_acl(self._settings, "Read", kind, name)))
        return not record.getMessage().startswith("Not authorized to read")  # the error comes with it
