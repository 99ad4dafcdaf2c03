"""Logs and metrics: how a process tells what it does. The metric names are here and nowhere else."""

from __future__ import annotations

import logging
import os
import socket
import sys
from typing import Any

import structlog
from prometheus_client import Counter, Gauge, start_http_server

from runtime.settings import ProcessSettings

RECORDS_IN = Counter("rackstream_records_in", "Records read from Kafka.", ["component", "topic"])
RECORDS_OUT = Counter("rackstream_records_out", "Records written to Kafka and acknowledged.", ["component", "topic"])
RECORDS_STORED = Counter("rackstream_records_stored", "Records a sink has stored.", ["component", "topic"])
LINES_STORED = Counter("rackstream_lines_stored", "Lines of line protocol that InfluxDB has stored.", ["component"])
RECORDS_REJECTED = Counter("rackstream_records_rejected", "Records put on the dead letter.", ["component", "reason"])
RECORDS_DROPPED = Counter("rackstream_records_dropped", "Records given up, by cause.", ["component", "cause"])
HELD_BACK = Counter(
    "rackstream_alerts_held_back", "Alert transitions not delivered because something muted them.", ["component"]
)
RECORDS_LATE = Counter("rackstream_records_late", "Records at or before one already stepped.", ["component", "topic"])
RECORDS_REPEATED = Counter(
    "rackstream_outputs_repeated", "Outputs not sent again, being on the topic already.", ["topic"]
)
LAG = Gauge(
    "rackstream_partition_lag_records", "Records of a partition that the processors have not stepped.",
    ["topic", "partition"],
)  # fmt: skip
STEP_SECONDS = Counter("rackstream_step_seconds", "Time spent in a step.", ["step"])
STEPPED = Counter("rackstream_stepped_records", "Records given to a step.", ["step"])
RETRIES = Counter("rackstream_retries", "Writes that had to be tried again.", ["component"])
POLLS = Counter("rackstream_polls", "Polls of targets, by result.", ["source", "status"])
POLL_SECONDS = Counter("rackstream_poll_seconds", "Time spent in polls.", ["source"])
LATE_POLLS = Counter(
    "rackstream_polls_late", "Polls that began more than half an interval late, or were left out.", ["source"]
)
TARGETS = Gauge("rackstream_targets", "Targets, by how they stand.", ["source", "status"])
SOURCE_REQUESTS = Counter("rackstream_source_requests", "Requests sent to targets.", ["source"])
SOURCE_FAULTS = Counter("rackstream_source_faults", "Things asked of targets and not got.", ["source", "kind"])
QUEUED = Gauge("rackstream_queued_records", "Records waiting for the broker.", ["component"])
SPOOLED_RECORDS = Gauge("rackstream_spooled_records", "Records in a producer's spool on disk.", ["component"])
SPOOLED_BYTES = Gauge("rackstream_spooled_bytes", "Bytes that they take, at most.", ["component"])


def set_up(settings: ProcessSettings, component: str) -> None:
    """Configures logging for this process and starts `/metrics` where a port is set."""
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
    if settings.metrics_port is not None:
        server, _ = start_http_server(settings.metrics_port, addr="127.0.0.1")
        structlog.get_logger().info("metrics served", port=server.server_port)


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
