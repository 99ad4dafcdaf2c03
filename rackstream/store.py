"""Joins one sink with its settings and Kafka: what `rackstream sink` runs, and where a replay stores."""

from __future__ import annotations

import threading
from datetime import datetime
from pathlib import Path

from rackstream import history
from runtime.observe import notify
from runtime.settings import KafkaSettings
from runtime.topics import publish_schemas, verify
from sinks import batch
from sinks.manifest import Range
from sinks.replayed import Destination, Points, Topics
from sinks.settings import FilesSettings, InfluxSettings, Limits, WebhookSettings
from sinks.sink import Sink


def sink(kind: str, settings: KafkaSettings, name: str | None = None) -> tuple[Sink, Limits]:
    """The sink of this kind, and when it writes what it holds. `name`: of a webhook, where there are several.

    Raises:
        Misconfigured: settings of the sink are missing.
    """
    if kind == "webhook":
        from sinks.webhook import WebhookSink

        webhook = WebhookSettings.read()
        return WebhookSink(webhook, settings, group(kind, name), name), webhook.limits
    if kind == "influx":
        from sinks.influx import InfluxSink

        influx = InfluxSettings.read()
        return InfluxSink(influx), influx.limits
    from sinks.files import FilesSink

    files = FilesSettings.read()
    return FilesSink(settings, history.root(settings), files.format), files.limits


def destination(kind: str, within: Range, topics: Topics, root: Path, *, started: datetime, write: bool) -> Destination:
    """Where a replay stores. `topics`: those it stores, for files under `root`. `write=False`: it only counts.

    Raises:
        Retry: another replay stores there.
        Misconfigured: settings are missing, or what is stored there cannot be told.
    """
    if kind == "influx":
        from sinks.influx import InfluxSink

        return Points(InfluxSink(InfluxSettings.read()) if write else None)
    from sinks.refill import Refill

    return Refill(root, FilesSettings.read().format, within, topics, started=started, write=write)


def group(kind: str, name: str | None = None) -> str:
    """The consumer group of a sink."""
    return f"rackstream-{kind}" + (f"-{name}" if name else "")


def run(kind: str, settings: KafkaSettings, stop: threading.Event, name: str | None = None) -> None:
    """Stores until `stop` is set. `name`: of a webhook, where there are several.

    Raises:
        Misconfigured: settings are missing, or topics are.
    """
    chosen, limits = sink(kind, settings, name)
    verify(settings)
    publish_schemas(settings, ("DeadLetter",))
    if kind == "webhook":
        from sinks import takeover

        takeover.begin(settings, group(kind, name))
    batch.run(
        chosen, settings, group=group(kind, name), limits=limits, stop=stop, ready=lambda: notify("READY=1"),
        alone=kind == "webhook",
    )  # fmt: skip
