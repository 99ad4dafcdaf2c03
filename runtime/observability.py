"""Logs, metrics endpoint and supervisor notifications of a process. The metrics themselves are defined in `metrics`."""

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

import structlog
from prometheus_client import REGISTRY, CollectorRegistry, disable_created_metrics, start_http_server
from structlog.typing import EventDict, Processor

from runtime import metrics, sanitize
from runtime.errors import Misconfigured
from runtime.settings import SUPERVISED, ProcessSettings


def set_up(settings: ProcessSettings, component: str, data_dir: Path) -> None:
    """Configures logging and serves `/metrics` if a port is set.

    Args:
        settings: Logging and metrics settings.
        component: Name of this process, such as `producer-redfish`.
        data_dir: Directory whose file system the disk metrics report.

    Raises:
        Misconfigured: `/metrics` cannot be served on this address and port.
    """

    def add_component(_logger: object, _method: str, event: EventDict) -> EventDict:
        return {"component": component, **event}  # not a context variable: threads have contexts of their own

    level = getattr(logging, settings.log_level.upper())
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if settings.log_format == "json"
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=sanitize.write_traceback)
    )
    structlog.configure(
        processors=[
            add_component,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info if settings.log_format == "json" else sanitize.clean_event,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(sanitize.CleanFormatter("%(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=max(level, logging.WARNING), handlers=[handler])
    export_metrics(component, data_dir)
    if settings.metrics_port is not None:
        serve_metrics(settings.metrics_host, settings.metrics_port)


def serve_metrics(host: str, port: int) -> None:
    """Serves `/metrics`. Under a supervisor, which chose the port, a port in use is only logged.

    Raises:
        Misconfigured: It cannot be served on this address and port.
    """
    try:
        server, _ = start_http_server(port, addr=host)
    except OSError as error:
        is_port_in_use = error.errno == errno.EADDRINUSE
        reason = "port in use" if is_port_in_use else error.strerror or str(error)
        problem = f"metrics cannot be served on {host}, port {port}: {reason}"
        if not (is_port_in_use and os.environ.get(SUPERVISED)):
            raise Misconfigured(f"{problem}; see RACKSTREAM_METRICS_HOST and RACKSTREAM_METRICS_PORT") from None
        # The supervisor chose a port that was free a moment ago. Work continues; Prometheus shows the target as down.
        structlog.get_logger().error(problem)
        return
    structlog.get_logger().info("metrics served", host=host, port=server.server_port)


def export_metrics(component: str, data_dir: Path, registry: CollectorRegistry = REGISTRY) -> None:
    """Registers the metrics of a component, with their initial label values at 0."""
    # A `…_created` series per counter would only repeat process_start_time_seconds.
    disable_created_metrics()  # type: ignore[no-untyped-call]
    for metric in metrics.METRICS:
        if metric.exported_by(component):
            registry.register(metric.collector)
            for key in (component.partition("-")[0], metrics.ALL_COMPONENTS):
                for value in metric.initial_label_values.get(key, ()):
                    metric.collector.labels(value)
    metrics.BUILD_INFO.labels(importlib.metadata.version("rackstream")).set(1)
    export_disk_usage("data", data_dir)


def export_disk_usage(name: str, directory: Path) -> None:
    """Exports size and free space of a directory's file system, read at each scrape; it need not exist yet."""
    candidates = (directory.absolute(), *directory.absolute().parents)

    def usage(field: str) -> float:
        try:
            return float(getattr(shutil.disk_usage(next(path for path in candidates if path.exists())), field))
        except OSError:
            return math.nan  # an error here would fail the whole scrape

    metrics.DISK_FREE.labels(name).set_function(lambda: usage("free"))
    metrics.DISK_SIZE.labels(name).set_function(lambda: usage("total"))


class SampleAges:
    """Records the age of records at one hop. Caches the metric's children by topic, as `labels()` is slow."""

    def __init__(self, hop: str) -> None:
        self._hop = hop
        self._observe: dict[str, Callable[[float], None]] = {}

    def record(self, topic: str, observation_times: Iterable[datetime], now_s: float) -> None:
        """Records the ages of several records.

        Args:
            topic: Alias of their topic.
            observation_times: Their `observed_at`.
            now_s: Time of arrival at the hop, in Unix time.
        """
        observe = self._observer(topic)
        for observed_at in observation_times:
            observe(max(0.0, now_s - observed_at.timestamp()))

    def record_one(self, topic: str, observed_at_s: float, now_s: float) -> None:
        """Records the age of one record; both times are Unix time."""
        self._observer(topic)(max(0.0, now_s - observed_at_s))

    def _observer(self, topic: str) -> Callable[[float], None]:
        observe = self._observe.get(topic)
        if observe is None:
            observe = self._observe[topic] = metrics.SAMPLE_AGE.labels(self._hop, topic).observe
        return observe


def notify(state: str) -> None:
    """Sends a state such as `READY=1` or `STATUS=…` to the supervisor, by systemd's protocol (sd_notify).

    No-op without NOTIFY_SOCKET.
    """
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify_socket:
        notify_socket.setblocking(False)
        try:
            notify_socket.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
        except OSError as error:
            structlog.get_logger().debug("supervisor not notified", reason=str(error))
