"""The webhook sink: posts alert transitions to Alertmanager or any URL, in the order of each alert, at least once.

A transition has the same idempotency key whenever it is delivered again. Muted alerts are held back; once an alert is
not muted any more and still active, its newest transition is delivered. A new receiver is first sent all active alerts.
"""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, cast

import structlog
from confluent_kafka import KafkaException

from runtime import kafka
from runtime.errors import Reject, Retry
from runtime.metrics import ALERT_LATENCY, ALERTS_HELD_BACK
from runtime.topics import decoder
from schemas import codec
from sinks.webhook import payload
from sinks.webhook.delivery_state import DeliveryState
from sinks.webhook.http import WebhookClient
from sinks.webhook.initial_state import InitialState
from sinks.webhook.silences import MutingState

if TYPE_CHECKING:
    from runtime.kafka import OffsetRange
    from runtime.settings import KafkaSettings
    from schemas.records import Alert
    from sinks.settings import WebhookSettings
    from sinks.sink import Batch, Item, Partition

log = structlog.get_logger()
PERIODIC_INTERVAL_S: Final = 0.5
MAX_REPOSTED: Final = 64
"""Maximum alerts in one body when active alerts are posted again to Alertmanager."""
INITIAL_STATE_TTL_S: Final = 1.0
"""One reading of the log serves all partitions that are taken over within this time."""
DELIVERED: Final = ALERT_LATENCY.labels("delivered")


class WebhookSink:
    """Delivers alerts. Keeps no state but the offsets that its group commits."""

    topics: tuple[str, ...] = ("alerts",)

    def __init__(
        self, settings: WebhookSettings, kafka_settings: KafkaSettings, group: str, name: str | None = None
    ) -> None:
        self.name = f"webhook-{name}" if name else "webhook"
        self._settings, self._kafka, self._group = settings, kafka_settings, group
        self._secret = settings.secret.get_secret_value() if settings.secret else None
        self._client = WebhookClient(settings)
        self.muting_state: MutingState | None = None
        """Silences and what else mutes alerts; None until the first partition is assigned."""
        self._initial_state: tuple[float, InitialState] | None = None
        self._deliveries = DeliveryState()
        self._next_offsets: dict[Partition, int] = {}
        """Next offset to deliver, so that a batch that is written again continues where it stopped."""
        self._refused: dict[tuple[Partition, int], str] = {}
        self._periodic_due_s = 0.0
        self._repost_due_s = 0.0

    def assign(self, partition: Partition, span: OffsetRange) -> int | None:  # noqa: ARG002  the signature of a sink
        """Finds the alerts that are active at the committed offset.

        Raises:
            Retry: The broker did not answer.
        """
        try:
            muting, initial = self._muting(), self._initial()
        except KafkaException as error:
            raise Retry(f"alerts and silences cannot be read: {error.args[0].str()}") from error
        self._deliveries.open_partition(partition)
        self._next_offsets.pop(partition, None)
        silences = muting.silences
        for alert, is_new_receiver in initial.active_alerts(partition[1]):
            may_be_held_back = initial.mute_history.may_have_muted(alert, silences) or muting.is_inhibited(alert)
            self._deliveries.restore(partition, alert, delivered=not (is_new_receiver or may_be_held_back))
        self._repost_due_s = 0.0
        return None

    def _muting(self) -> MutingState:
        if self.muting_state is None:
            self.muting_state = MutingState(self._kafka)
        return self.muting_state

    def _initial(self) -> InitialState:
        if self._initial_state is None or time.monotonic() - self._initial_state[0] > INITIAL_STATE_TTL_S:
            initial = InitialState(self._kafka, self._group, self._muting())
            self._initial_state = (time.monotonic(), initial)
        return self._initial_state[1]

    def revoke(self, partition: Partition) -> None:
        """Forgets a partition: from now on, its new owner delivers and commits."""
        self._deliveries.close_partition(partition)
        self._initial_state = None

    def close(self) -> None:
        """Closes connections."""
        self._client.close()
        if self.muting_state is not None:
            self.muting_state.close()

    def write(self, batch: Batch) -> None:
        """Delivers a batch, after the alerts that were held back and are not muted any more.

        Raises:
            Retry: The receiver is unreachable or busy.
            Reject: It refuses some alerts; the others are delivered.
            Misconfigured: URL or credentials are wrong.
        """
        self._refresh()
        self._deliver_due()
        spans = batch.spans
        self._refused = {
            position: reason
            for position, reason in self._refused.items()
            if position[1] >= spans.get(position[0], (0, 0))[0]
        }
        progress = False
        for item in batch.items:
            if item.offset < self._next_offsets.get(item.partition, 0):
                continue
            try:
                refusal = self._deliver_or_hold_back(item.partition, cast("Alert", item.record))
            except Retry as retry:
                raise Retry(str(retry), after_s=retry.after_s, progress=progress) from retry
            progress = True
            if refusal is not None:
                self._refused[item.partition, item.offset] = refusal
            self._next_offsets[item.partition] = item.offset + 1
        reasons = {
            index: reason
            for index, item in enumerate(batch.items)
            if (reason := self._refused.get((item.partition, item.offset))) is not None
        }
        if reasons:
            raise Reject(reasons)

    def redeliver(self, item: Item) -> str | None:
        """Delivers one transition of a dead letter outside the group; returns the reason if it was not delivered.

        A transition that was followed by another one is not delivered: it would contradict what the receiver has.

        Raises:
            Retry: The receiver is unreachable or busy, or the broker did not answer.
            Misconfigured: URL or credentials are wrong.
        """
        alert = cast("Alert", item.record)
        try:
            if self._has_later_transition(item, alert):
                return "not retriable: this alert has changed since; drop it"
            muted_by = self._muting().muted_by(alert)
        except KafkaException as error:
            raise Retry(f"alerts and silences cannot be read: {error.args[0].str()}") from error
        if muted_by and alert["transition"] != "cleared":
            return f"muted by {', '.join(muted_by)}"
        refusal = self._post([alert])
        return f"refused again: {refusal}" if refusal is not None else None

    def _has_later_transition(self, item: Item, alert: Alert) -> bool:
        topic, number = item.partition
        end = kafka.watermarks(self._kafka, topic)[number][1]
        decode = decoder(self._kafka, item.alias).decode
        for message in kafka.read_ranges(self._kafka, topic, {number: (item.offset + 1, end)}):
            with contextlib.suppress(codec.DecodeError):
                if decode(message.value())["id"] == alert["id"]:
                    return True
        return False

    def _deliver_or_hold_back(self, partition: Partition, alert: Alert) -> str | None:
        """Delivers one transition or holds it back; returns the reason if the receiver refuses it."""
        if self._deliveries.should_deliver(partition, alert, muted=bool(self._muting().muted_by(alert))):
            refusal = self._deliver(partition, alert)
            if refusal is None and alert["transition"] == "raised":
                DELIVERED.observe(max(0.0, time.time() - alert["observed_at"].timestamp()))
            return refusal
        self._deliveries.mark_held_back(partition, alert)
        ALERTS_HELD_BACK.inc()
        return None

    def _deliver(self, partition: Partition, alert: Alert) -> str | None:
        refusal = self._post([alert])
        self._deliveries.mark_delivered(partition, alert, refused=refusal is not None)
        return refusal

    def run_periodic(self) -> None:
        """Delivers alerts that are not muted any more, and posts active alerts again to Alertmanager.

        Raises:
            Retry: The receiver is unreachable or busy.
            Misconfigured: URL or credentials are wrong.
        """
        now_s = time.monotonic()
        if self.muting_state is None or now_s < self._periodic_due_s:
            return
        self._periodic_due_s = now_s + PERIODIC_INTERVAL_S
        self._refresh()
        self._deliver_due()
        if self._settings.kind == "alertmanager" and now_s >= self._repost_due_s:
            self._repost_active()
            self._repost_due_s = now_s + self._settings.repeat_s

    def _refresh(self) -> None:
        try:
            self._muting().refresh()
        except KafkaException as error:
            raise Retry(f"silences cannot be read: {error.args[0].str()}") from error

    def _deliver_due(self) -> None:
        muting = self._muting()
        for partition, alert in list(self._deliveries.due(lambda alert: bool(muting.muted_by(alert)))):
            refusal = self._deliver(partition, alert)
            if refusal is not None:
                log.warning("alert refused", id=alert["id"], revision=alert["revision"], reason=refusal)

    def _repost_active(self) -> None:
        muting = self._muting()
        active = [alert for alert in self._deliveries.delivered_alerts() if not muting.muted_by(alert)]
        for first in range(0, len(active), MAX_REPOSTED):
            alerts = active[first : first + MAX_REPOSTED]
            if self._post(alerts) is not None:
                for alert in alerts:  # a single invalid alert makes it refuse them all
                    self._post([alert])

    def _post(self, alerts: list[Alert]) -> str | None:
        """Posts alerts, several for Alertmanager only; returns the reason if they are refused."""
        now = datetime.now(UTC)
        if self._settings.kind == "alertmanager":
            return self._client.post(payload.alertmanager_body(alerts, now, self._settings.link), {})
        (alert,) = alerts
        body = payload.json_body(alert)
        headers = {"Idempotency-Key": payload.idempotency_key(alert)}
        if self._secret is not None:
            timestamp = str(int(now.timestamp()))
            headers["X-Rackstream-Timestamp"] = timestamp
            headers["X-Rackstream-Signature"] = payload.signature(self._secret, timestamp, body)
        return self._client.post(body, headers)
