"""The webhook sink: alerts to Alertmanager or any URL, with silences and inhibition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sinks.sink import SinkSpec

if TYPE_CHECKING:
    from runtime.settings import KafkaSettings
    from sinks.settings import BatchLimits
    from sinks.sink import Item
    from sinks.webhook.sink import WebhookSink


def _create(settings: KafkaSettings, name: str | None) -> tuple[WebhookSink, BatchLimits]:
    from sinks.settings import WebhookSettings
    from sinks.webhook.sink import WebhookSink

    webhook = WebhookSettings.read()
    return WebhookSink(webhook, settings, SPEC.group(name), name), webhook.limits


def _is_configured() -> bool:
    from sinks.settings import WebhookSettings

    return WebhookSettings.is_configured()


def _prepare_group(settings: KafkaSettings, group: str) -> None:
    from sinks.webhook.initial_state import commit_initial_offsets

    commit_initial_offsets(settings, group)


def _redeliver(settings: KafkaSettings, name: str | None, item: Item) -> str | None:
    sink, _ = _create(settings, name)
    try:
        return sink.redeliver(item)
    finally:
        sink.close()


SPEC: Final = SinkSpec(
    kind="webhook",
    help="Deliver alerts to Alertmanager or any other URL.",
    topics=lambda: ("alerts",),
    create=_create,
    also_reads=("state-alerts", "silences", "state-presence", "state-targets", "control"),
    is_named=True,
    is_static_member=True,
    is_configured=_is_configured,
    prepare_group=_prepare_group,
    redeliver=_redeliver,
)
