"""Joins one sink with its settings and Kafka: what `rackstream sink` runs."""

from __future__ import annotations

import threading

from rackstream import history
from runtime.observe import notify
from runtime.settings import KafkaSettings
from runtime.topics import verify
from sinks import batch
from sinks.settings import FilesSettings, InfluxSettings, Limits
from sinks.sink import Sink


def sink(kind: str, settings: KafkaSettings) -> tuple[Sink, Limits]:
    """The sink of this kind, and when it writes what it holds.

    Raises:
        Misconfigured: settings of the sink are missing.
    """
    if kind == "influx":
        from sinks.influx import InfluxSink

        influx = InfluxSettings.read()
        return InfluxSink(influx), influx.limits
    from sinks.files import FilesSink

    files = FilesSettings.read()
    return FilesSink(settings, history.root(settings), files.format), files.limits


def run(kind: str, settings: KafkaSettings, stop: threading.Event) -> None:
    """Stores until `stop` is set.

    Raises:
        Misconfigured: settings are missing, or topics are.
    """
    chosen, limits = sink(kind, settings)
    verify(settings)
    batch.run(
        chosen, settings, group=f"rackstream-{kind}", limits=limits, stop=stop, ready=lambda: notify("READY=1"),
    )  # fmt: skip
