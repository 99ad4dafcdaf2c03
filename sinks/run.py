"""Joins one sink with its settings and Kafka: what `rackstream sink` runs, and where a replay stores."""

from __future__ import annotations

import contextlib
import ctypes
import gc
import threading
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from runtime.errors import Misconfigured
from runtime.observability import notify, watch_disk
from runtime.settings import KafkaSettings
from runtime.topics import publish_schemas, verify
from sinks.consuming import loop
from sinks.files.manifest import Range
from sinks.replay.destination import Comparison, Destination, Points, Tell, Topics
from sinks.settings import (
    ArchiveSettings,
    FilesSettings,
    InfluxSettings,
    Limits,
    WebhookSettings,
    archive_root,
    files_root,
)
from sinks.sink import Sink

if TYPE_CHECKING:
    from sinks.webhook.sink import WebhookSink


def sink(kind: str, settings: KafkaSettings, name: str | None = None) -> tuple[Sink, Limits]:
    """The sink of this kind, and when it writes what it holds. `name`: of a webhook, where there are several.

    Raises:
        Misconfigured: settings of the sink are missing.
    """
    if kind == "webhook":
        return webhook_sink(settings, name), WebhookSettings.read().limits
    if kind == "influx":
        from sinks.influx.sink import InfluxSink

        influx = InfluxSettings.read()
        return InfluxSink(influx), influx.limits
    from sinks.files.retention import Keep

    if kind == "archive":
        from sinks.files.archive_sink import ArchiveSink

        archive = ArchiveSettings.read()
        keep = Keep(archive.keep_days, archive.keep_bytes)
        return ArchiveSink(settings, archive_root(settings), keep), archive.limits
    from sinks.files.sink import FilesSink

    files = FilesSettings.read()
    keep = Keep(files.keep_days, files.keep_bytes)
    return FilesSink(settings, files_root(settings), files.format, keep), files.limits


def webhook_sink(settings: KafkaSettings, name: str | None) -> WebhookSink:
    """The webhook sink of this name, for the receiver that the environment has.

    Raises:
        Misconfigured: settings of it are missing.
    """
    from sinks.webhook.sink import WebhookSink

    return WebhookSink(WebhookSettings.read(), settings, group("webhook", name), name)


def prepare_influx(*, create: bool, say: Callable[[str], None]) -> None:
    """Says what InfluxDB has of what the sink needs; creates what is missing if `create`.

    Raises:
        Misconfigured: something is wrong or missing.
        Retry: the server is away.
    """
    from sinks.influx.setup import Server

    settings = InfluxSettings.read()
    server = Server(settings)
    places = server.places(create=create)
    for place in places:
        say(str(place))
    if missing := [place.name for place in places if not place.there]:
        raise Misconfigured(f"missing: {', '.join(missing)}; `rackstream sink influx --set-up` creates it")
    say("the token may write")


def destination(kind: str, within: Range, topics: Topics, root: Path, *, started: datetime, write: bool) -> Destination:
    """Where a replay stores. `topics`: those it stores, for files under `root`. `write=False`: it only counts.

    Raises:
        Retry: another replay stores there.
        Misconfigured: settings are missing, or what is stored there cannot be told.
    """
    if kind == "influx":
        from sinks.influx.sink import InfluxSink

        return Points(InfluxSink(InfluxSettings.read()) if write else None)
    from sinks.replay.backfill_files import Refill

    return Refill(root, FilesSettings.read().format, within, topics, started=started, write=write)


def comparison(
    kind: str, within: Range, topics: Mapping[str, str], root: Path, *, incomplete: set[str], tell: Tell
) -> Comparison:
    """What a replay is compared with: what is stored in files under `root`, or in InfluxDB.

    Args:
        kind: `files` or `influx`.
        within: what the replay is about.
        topics: name → alias of the topics that it is about.
        root: where files are.
        incomplete: those (alias) of which it has not all that there was: what is stored beyond it is no difference.
        tell: told of each difference.

    Raises:
        Retry: InfluxDB is away.
        Misconfigured: settings are missing or wrong.
    """
    if kind == "influx":
        from sinks.replay.compare_influx import PointComparison

        return PointComparison(InfluxSettings.read(), within, topics.values(), incomplete, tell)
    from sinks.replay.compare_files import FileComparison

    return FileComparison(root, within, topics, incomplete, tell)


def group(kind: str, name: str | None = None) -> str:
    """The consumer group of a sink."""
    return f"rackstream-{kind}" + (f"-{name}" if name else "")


def _bound_arenas() -> None:
    """Has glibc keep memory in two arenas, before threads begin.

    Of its own it makes up to eight per core, and what librdkafka's and the writers' threads free stays in each of them:
    tens of MiB each, which a sink that catches up reaches one after the other.
    """
    m_arena_max = -8  # malloc.h
    with contextlib.suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).mallopt(m_arena_max, 2)


def run(kind: str, settings: KafkaSettings, stop: threading.Event, name: str | None = None) -> None:
    """Stores until `stop` is set. `name`: of a webhook, where there are several.

    Raises:
        Misconfigured: settings are missing, or topics are.
    """
    _bound_arenas()
    chosen, limits = sink(kind, settings, name)
    if kind in ("files", "archive"):
        watch_disk(kind, files_root(settings) if kind == "files" else archive_root(settings))
    verify(settings)
    publish_schemas(settings, ("DeadLetter",))
    if kind == "webhook":
        from sinks.webhook import initial_state

        initial_state.begin(settings, group(kind, name))
    # Records are trees without cycles: the collector finds nothing in them, and looks for a tenth of the CPU time.
    gc.set_threshold(50_000, 20, 100)
    loop.run(
        chosen,
        settings,
        group=group(kind, name),
        limits=limits,
        stop=stop,
        ready=lambda: notify("READY=1"),
        alone=kind == "webhook",
    )
