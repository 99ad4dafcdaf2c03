"""Logs and metrics: how a process tells what it does. Which metrics there are is in `metrics`."""

from __future__ import annotations

import errno
import importlib.metadata
import logging
import math
import os
import shutil
import socket
import sys
from collections.abc import Callable, Iterable
from datetime import datetime
from pathlib import Path
from typing import Any

import structlog
from prometheus_client import REGISTRY, CollectorRegistry, disable_created_metrics, start_http_server

from runtime import metrics
from runtime.errors import Misconfigured
from runtime.settings import SUPERVISED, ProcessSettings


def set_up(settings: ProcessSettings, component: str, data_dir: Path) -> None:
    """Configures logging for this process and starts `/metrics` where a port is set.

    Args:
        settings: how it shows itself.
        component: what it is, such as `producer-redfish`.
        data_dir: whose file system its metrics watch.

    Raises:
        Misconfigured: `/metrics` cannot be served there.
    """
    level = getattr(logging, settings.log_level.upper())
    renderer: Any = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info if settings.log_format == "json" else _as_it_is,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(component=component)
    logging.basicConfig(
        level=max(level, logging.WARNING), stream=sys.stderr, format="%(levelname)s %(name)s %(message)s"
    )
    export(component, data_dir)
    if settings.metrics_port is not None:
        _serve(settings.metrics_host, settings.metrics_port)


def _serve(host: str, port: int) -> None:
    try:
        server, _ = start_http_server(port, addr=host)
    except OSError as error:
        taken = error.errno == errno.EADDRINUSE
        why = "it is taken" if taken else error.strerror or str(error)
        told = f"metrics cannot be served on {host}, port {port}: {why}"
        if not (taken and os.environ.get(SUPERVISED)):
            raise Misconfigured(f"{told}; see RACKSTREAM_METRICS_HOST and RACKSTREAM_METRICS_PORT") from None
        # The supervisor found it free a moment ago. Work goes on; Prometheus says that this target is down.
        structlog.get_logger().error(told)
        return
    structlog.get_logger().info("metrics served", host=host, port=server.server_port)


def export(component: str, data_dir: Path, registry: CollectorRegistry = REGISTRY) -> None:
    """Makes the metrics of this process visible; those whose first case must be seen as an increase, at 0."""
    # `…_created` beside each counter would be as many series again, for what process_start_time_seconds tells.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    for metric in metrics.LIST:
        if metric.is_of(component):
            registry.register(metric.collector)
            for value in metric.starts.get(component.partition("-")[0], ()):
                metric.collector.labels(value)
    metrics.BUILD.labels(importlib.metadata.version("rackstream")).set(1)
    watch_disk("data", data_dir)


def watch_disk(name: str, directory: Path) -> None:
    """Tells of the file system of a directory, which need not be there yet, whenever metrics are asked for."""
    places = (directory.absolute(), *directory.absolute().parents)

    def asked(field: str) -> float:
        try:
            return float(getattr(shutil.disk_usage(next(place for place in places if place.exists())), field))
        except OSError:
            return math.nan  # one figure that is not to be had must not hide the others

    metrics.DISK_FREE.labels(name).set_function(lambda: asked("free"))
    metrics.DISK_SIZE.labels(name).set_function(lambda: asked("total"))


class Ages:
    """Ages of records at one hop. Keeps the metric's children by topic: to look one up costs more than to count."""

    def __init__(self, hop: str) -> None:
        self._hop = hop
        self._observe: dict[str, Callable[[float], None]] = {}

    def note(self, topic: str, moments: Iterable[datetime], now_s: float) -> None:
        """Counts records of a topic (its alias), observed at these moments, that are here at `now_s` (Unix time)."""
        observe = self._of(topic)
        for moment in moments:
            observe(max(0.0, now_s - moment.timestamp()))

    def note_one(self, topic: str, at_s: float, now_s: float) -> None:
        """The same of one record, its moment in Unix time."""
        self._of(topic)(max(0.0, now_s - at_s))

    def _of(self, topic: str) -> Callable[[float], None]:
        observe = self._observe.get(topic)
        if observe is None:
            observe = self._observe[topic] = metrics.SAMPLE_AGE.labels(self._hop, topic).observe
        return observe


def _as_it_is(_logger: Any, _method: str, event: Any) -> Any:
    return event


def notify(state: str) -> None:
    """Tells the supervisor how this process stands, in systemd's protocol (sd_notify): `READY=1`, `STATUS=…`.

    Does nothing where NOTIFY_SOCKET is not set.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as each:
        each.setblocking(False)
        try:
            each.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
        except OSError as error:
            structlog.get_logger().debug("supervisor not told", why=str(error))
