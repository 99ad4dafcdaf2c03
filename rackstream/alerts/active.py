"""Lists active alerts, then follows transitions, without gap or overlap between the two.

The end of the alert log is read first, then the log up to it, then the state topics; following begins at that end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase
from typing import Final, cast

from confluent_kafka import KafkaException

from rackstream.text.alert_text import alert_sentence
from rackstream.topics.tail import follow_messages
from runtime import kafka
from runtime.errors import Retry
from runtime.settings import KafkaSettings
from runtime.topics import decoder
from schemas import codec
from schemas.records import Alert
from sinks.webhook import active_alerts, initial_state
from sinks.webhook.silences import MutingState

COLUMNS: Final = ("start", "severity", "host", "rule", "component", "value", "limit", "description", "muted by")
"""Columns of the table; see `table_row`."""


class ListedAlert(Alert):
    """Alert with the ids of the silences and conditions that mute it now."""

    muted_by: list[str]


class AlertFollower:
    """Active alerts at one moment, and the transitions after it."""

    def __init__(self, settings: KafkaSettings) -> None:
        """Reads the active alerts.

        Raises:
            Retry: The broker did not answer.
        """
        self._settings = settings
        try:
            self._read()
        except KafkaException as error:
            raise Retry(f"no answer from Kafka at {settings.bootstrap}: {error.args[0].str()}") from error

    def _read(self) -> None:
        spans = kafka.watermarks(self._settings, self._settings.catalog["alerts"].name)
        self._end_offsets = {number: end for number, (_, end) in spans.items()}
        active: dict[str, Alert] = {}
        logged_ids: set[str] = set()
        for _, _, record in initial_state.read_transitions(self._settings, spans):
            logged_ids.add(record["id"])
            active_alerts.apply_transition(active, record)
        self._muting = MutingState(self._settings)
        older = initial_state.alerts_in_state(self._settings, self._muting)
        active |= {alert["id"]: alert for alert in older if alert["id"] not in logged_ids}
        self._revisions = {alert_id: alert["revision"] for alert_id, alert in active.items()}
        self._active = list(active.values())

    def active(self) -> list[ListedAlert]:
        """Returns the active alerts: critical before warning, newest first."""
        newest_first = sorted(self._active, key=lambda alert: alert["started_at"], reverse=True)
        by_severity = sorted(newest_first, key=lambda alert: alert["severity"] != "critical")
        return [self._with_silences(alert) for alert in by_severity]

    def transitions(self, stopping: Callable[[], bool]) -> Iterator[ListedAlert]:
        """Yields later transitions as they arrive, until `stopping`."""
        decode = decoder(self._settings, "alerts").decode
        for message in follow_messages(
            self._settings, self._settings.catalog["alerts"].name, self._end_offsets, stopping
        ):
            try:
                record = cast("Alert", decode(message.value()))
            except codec.DecodeError:
                continue  # the sinks write a dead letter for it
            if record["revision"] > self._revisions.get(record["id"], -1):
                self._muting.refresh()
                yield self._with_silences(record)

    def _with_silences(self, alert: Alert) -> ListedAlert:
        return {**alert, "muted_by": self._muting.muted_by(alert)}

    def close(self) -> None:
        """Closes the connection to Kafka."""
        self._muting.close()


def matches(alert: Alert, severity: str | None, host: str | None) -> bool:
    """True if an alert has the severity and its host matches the pattern; None matches any."""
    return (severity is None or alert["severity"] == severity) and (host is None or fnmatchcase(alert["host"], host))


def table_row(alert: ListedAlert) -> tuple[str | None, ...]:
    """Returns the table row of an alert, in the order of COLUMNS."""
    return (
        f"{alert['started_at']:%Y-%m-%d %H:%M:%S}",
        alert["severity"],
        alert["host"],
        alert["rule"],
        alert["component"],
        _number(alert["value"]),
        _number(alert["threshold"]),
        alert["text"],
        ", ".join(alert["muted_by"]),
    )


def _number(value: float | None) -> str | None:
    return None if value is None else f"{value:g}"


def transition_line(alert: ListedAlert) -> str:
    """Formats a transition on one line."""
    at = alert["observed_at"]
    cause = f" ({alert['cause']})" if alert["cause"] else ""
    muted = f"  muted by {', '.join(alert['muted_by'])}" if alert["muted_by"] else ""
    transition = f"{alert['transition']}{cause}"
    return f"{at:%H:%M:%S}  {transition:19} {alert['severity']:8} {alert['host']:16} {alert_sentence(alert)}{muted}"
