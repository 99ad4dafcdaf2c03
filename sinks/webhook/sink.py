"""The webhook sink: posts alert transitions to Alertmanager or any URL, in the order of each alert, at least once.

A transition has the same idempotency key whenever it is delivered again. What is muted is held back; where nothing
mutes it any more and it is still active, its newest transition is delivered then. A receiver that begins anew is told
first what is active.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import structlog
from confluent_kafka import KafkaException

from runtime.errors import Reject, Retry
from runtime.metrics import ALERT_LATENCY, HELD_BACK
from sinks.webhook import payload
from sinks.webhook.delivery_state import Ledger
from sinks.webhook.http import Poster
from sinks.webhook.initial_state import TakeOver
from sinks.webhook.silences import Situation

if TYPE_CHECKING:
    from runtime.kafka import Span
    from runtime.settings import KafkaSettings
    from sinks.settings import WebhookSettings
    from sinks.sink import Batch, Partition

log = structlog.get_logger()
TEND_EVERY_S: Final = 0.5
REPEATED_AT_ONCE: Final = 64
"""Alerts in one body for Alertmanager, when they are told again."""
READ_ANEW_S: Final = 1.0
"""So long one reading of the log serves: for all the partitions that are taken over together."""
DELIVERED: Final = ALERT_LATENCY.labels("delivered")


class WebhookSink:
    """Delivers alerts. Offsets on Kafka are its only memory."""

    topics: tuple[str, ...] = ("alerts",)

    def __init__(self, settings: WebhookSettings, kafka: KafkaSettings, group: str, name: str | None = None) -> None:
        self.name = f"webhook-{name}" if name else "webhook"
        self._settings, self._kafka, self._group = settings, kafka, group
        self._secret = settings.secret.get_secret_value() if settings.secret else None
        self._poster = Poster(settings)
        self._situation: Situation | None = None
        self._take_over: tuple[float, TakeOver] | None = None
        self._ledger = Ledger()
        self._next: dict[Partition, int] = {}
        """Up to where each partition is dealt with, so that a batch tried again goes on where it was."""
        self._refused: dict[tuple[Partition, int], str] = {}
        self._tended_s = 0.0
        self._repeat_s = 0.0

    def assigned(self, partition: Partition, span: Span) -> int | None:  # noqa: ARG002  the signature of a sink
        """Finds what is active at the committed offset.

        Raises:
            Retry: the broker did not answer.
        """
        try:
            situation, found = self._known(), self._taken_over()
        except KafkaException as error:
            raise Retry(f"alerts and silences cannot be read: {error.args[0].str()}") from error
        self._ledger.open(partition)
        self._next.pop(partition, None)
        for alert, untold in found.of(partition[1]):
            doubtful = found.doubts.about(alert, situation.silences) or situation.is_unheard(alert)
            told = not (untold or doubtful)
            self._ledger.recall(partition, alert, told=told)
        self._repeat_s = 0.0
        return None

    def _known(self) -> Situation:
        if self._situation is None:
            self._situation = Situation(self._kafka)
        return self._situation

    def _taken_over(self) -> TakeOver:
        if self._take_over is None or time.monotonic() - self._take_over[0] > READ_ANEW_S:
            found = TakeOver(self._kafka, self._group, self._known())
            self._take_over = (time.monotonic(), found)
        return self._take_over[1]

    def released(self, partition: Partition) -> None:
        """Forgets what is active there; what is committed from now on is others' doing."""
        self._ledger.close(partition)
        self._take_over = None

    def close(self) -> None:
        """Lets connections go."""
        self._poster.close()
        if self._situation is not None:
            self._situation.close()

    def write(self, batch: Batch) -> None:
        """Delivers a batch, and before it what was held back and is muted no more.

        Raises:
            Retry: the receiver is away or busy.
            Reject: it refuses some alerts; the others are delivered.
            Misconfigured: URL or credentials are wrong.
        """
        self._refresh()
        self._tell_due()
        spans = batch.spans
        self._refused = {at: why for at, why in self._refused.items() if at[1] >= spans.get(at[0], (0, 0))[0]}
        progress = False
        for item in batch.items:
            if item.offset < self._next.get(item.partition, 0):
                continue
            try:
                refused = self._take(item.partition, item.record)
            except Retry as retry:
                raise Retry(str(retry), after_s=retry.after_s, progress=progress) from retry
            progress = True
            if refused is not None:
                self._refused[item.partition, item.offset] = refused
            self._next[item.partition] = item.offset + 1
        reasons = {
            index: why
            for index, item in enumerate(batch.items)
            if (why := self._refused.get((item.partition, item.offset))) is not None
        }
        if reasons:
            raise Reject(reasons)

    def redeliver(self, alert: dict[str, Any]) -> str | None:
        """Delivers one transition by itself, as member of no group; returns why not: it is muted, or refused.

        Raises:
            Retry: the receiver is away or busy, or the broker did not answer.
            Misconfigured: URL or credentials are wrong.
        """
        try:
            muted_by = self._known().muted_by(alert)
        except KafkaException as error:
            raise Retry(f"silences cannot be read: {error.args[0].str()}") from error
        if muted_by and alert["transition"] != "cleared":
            return f"muted by {', '.join(muted_by)}"
        refused = self._post([alert])
        return f"refused again: {refused}" if refused is not None else None

    def _take(self, partition: Partition, alert: dict[str, Any]) -> str | None:
        """Delivers one transition or holds it back; returns why the receiver refuses it."""
        if self._ledger.wants(partition, alert, muted=bool(self._known().muted_by(alert))):
            refused = self._tell(partition, alert)
            if refused is None and alert["transition"] == "raised":
                DELIVERED.observe(max(0.0, time.time() - alert["observed_at"].timestamp()))
            return refused
        self._ledger.held_back(partition, alert)
        HELD_BACK.inc()
        return None

    def _tell(self, partition: Partition, alert: dict[str, Any]) -> str | None:
        refused = self._post([alert])
        self._ledger.delivered(partition, alert, refused=refused is not None)
        return refused

    def tend(self) -> None:
        """Delivers what is muted no more, and tells Alertmanager again what is active.

        Raises:
            Retry: the receiver is away or busy.
            Misconfigured: URL or credentials are wrong.
        """
        now_s = time.monotonic()
        if self._situation is None or now_s < self._tended_s:
            return
        self._tended_s = now_s + TEND_EVERY_S
        self._refresh()
        self._tell_due()
        if self._settings.kind == "alertmanager" and now_s >= self._repeat_s:
            self._repeat()
            self._repeat_s = now_s + self._settings.repeat_s

    def _refresh(self) -> None:
        try:
            self._known().refresh()
        except KafkaException as error:
            raise Retry(f"silences cannot be read: {error.args[0].str()}") from error

    def _tell_due(self) -> None:
        situation = self._known()
        for partition, alert in list(self._ledger.due(lambda alert: bool(situation.muted_by(alert)))):
            refused = self._tell(partition, alert)
            if refused is not None:
                log.warning("alert refused", id=alert["id"], revision=alert["revision"], why=refused)

    def _repeat(self) -> None:
        situation = self._known()
        wanted = [alert for alert in self._ledger.told() if not situation.muted_by(alert)]
        for first in range(0, len(wanted), REPEATED_AT_ONCE):
            alerts = wanted[first : first + REPEATED_AT_ONCE]
            if self._post(alerts) is not None:
                for alert in alerts:  # one of them spoils the others
                    self._post([alert])

    def _post(self, alerts: list[dict[str, Any]]) -> str | None:
        """Posts alerts, several for Alertmanager only; returns why they are refused."""
        now = datetime.now(UTC)
        if self._settings.kind == "alertmanager":
            return self._poster.post(payload.for_alertmanager(alerts, now, self._settings.link), {})
        (alert,) = alerts
        body = payload.as_json(alert)
        headers = {"Idempotency-Key": payload.key(alert)}
        if self._secret is not None:
            timestamp = str(int(now.timestamp()))
            headers["X-Rackstream-Timestamp"] = timestamp
            headers["X-Rackstream-Signature"] = payload.signature(self._secret, timestamp, body)
        return self._poster.post(body, headers)
