"""The alerts that are active, then transitions as they come: nothing missed and nothing twice between the two.

The end of the log is noted first; the log is read to there, then the memories, then the log is followed from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any, Final

from confluent_kafka import KafkaException

from rackstream.text.alert_text import sentence
from rackstream.topics.tail import following
from runtime import kafka
from runtime.errors import Retry
from runtime.settings import KafkaSettings
from runtime.topics import decoder
from schemas import codec
from sinks.webhook import active_alerts, initial_state
from sinks.webhook.silences import Situation

Record = dict[str, Any]
COLUMNS: Final = ("since", "severity", "host", "rule", "component", "value", "limit", "text", "muted_by")


class Alerts:
    """What is active at one moment, and what comes after it; each with `muted_by`, as it is when it is handed out."""

    def __init__(self, settings: KafkaSettings) -> None:
        """Reads what is active.

        Raises:
            Retry: the broker did not answer.
        """
        self._settings = settings
        try:
            self._read()
        except KafkaException as error:
            raise Retry(f"no answer from Kafka at {settings.bootstrap}: {error.args[0].str()}") from error

    def _read(self) -> None:
        spans = kafka.watermarks(self._settings, self._settings.catalog["alerts"].name)
        self._ends = {number: end for number, (_, end) in spans.items()}
        found: dict[str, Record] = {}
        seen: set[str] = set()
        for _, _, record in initial_state.transitions(self._settings, spans):
            seen.add(record["id"])
            active_alerts.fold(found, record)
        self._situation = Situation(self._settings)
        older = initial_state.remembered(self._settings, self._situation)
        found |= {each["id"]: each for each in older if each["id"] not in seen}
        self._told = {name: alert["revision"] for name, alert in found.items()}
        self._active = list(found.values())

    def active(self) -> list[Record]:
        """What is active: critical first, then the newest first."""
        order = sorted(self._active, key=lambda each: each["started_at"], reverse=True)
        return [self._marked(each) for each in sorted(order, key=lambda each: bool(each["severity"] != "critical"))]

    def transitions(self, stopping: Callable[[], bool]) -> Iterator[Record]:
        """The transitions since, as they come, until `stopping`."""
        decode = decoder(self._settings, "alerts").decode
        for message in following(self._settings, self._settings.catalog["alerts"].name, self._ends, stopping):
            try:
                record = decode(message.value())
            except codec.Undecodable:
                continue  # it is on the dead letter of whoever delivers or stores alerts
            if record["revision"] > self._told.get(record["id"], -1):
                self._situation.refresh()
                yield self._marked(record)

    def _marked(self, alert: Record) -> Record:
        return alert | {"muted_by": self._situation.muted_by(alert)}

    def close(self) -> None:
        """Lets go of Kafka."""
        self._situation.close()


def wanted(alert: Record, severity: str | None, host: str | None) -> bool:
    """Whether an alert is of this severity and of a host like this; None: any."""
    return (severity is None or alert["severity"] == severity) and (host is None or fnmatchcase(alert["host"], host))


def row(alert: Record) -> tuple[Any, ...]:
    """What a table shows, by COLUMNS."""
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


def line(alert: Record) -> str:
    """A transition on one line."""
    at: datetime = alert["observed_at"]
    cause = f" ({alert['cause']})" if alert["cause"] else ""
    muted = f"  muted by {', '.join(alert['muted_by'])}" if alert["muted_by"] else ""
    what = f"{alert['transition']}{cause}"
    return f"{at:%H:%M:%S}  {what:19} {alert['severity']:8} {alert['host']:16} {sentence(alert)}{muted}"
