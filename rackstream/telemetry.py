"""Monitors one hypervisor into InfluxDB in the background: configuration, collector, status.

`start()` runs producer, processors and InfluxDB sink as processes, on the Kafka of KAFKA_BOOTSTRAP_SERVERS or on an
embedded one.
"""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Self, TypedDict
from urllib.parse import urlsplit
from urllib.request import urlopen

import structlog
import yaml
from confluent_kafka import KafkaException
from pydantic import Field, SecretStr

from rackstream.local.pipeline import LocalPipeline
from rackstream.local.supervisor import Supervisor
from rackstream.topics import lag
from rackstream.view.kafka_feed import KafkaFeed
from runtime.errors import Failure
from runtime.private_files import make_private_directory
from runtime.settings import KafkaSettings, Settings
from sinks import datasets
from sinks.registry import SINKS

log = structlog.get_logger()
MASKED_FIELDS: Final = ("libvirt_uri", "influx_url", "influx_token")
INFLUX_GROUP: Final = SINKS["influx"].group()
LINES_STORED_METRIC: Final = "rackstream_lines_stored_total"
"""Metric of the InfluxDB sink that counts stored lines."""
STATUS_TOPICS: Final = ("raw-libvirt", "heartbeats")
"""Topics from which the status is computed."""


class TelemetryConfig(Settings):
    """Hypervisor to monitor, and InfluxDB to store to.

    Secrets are masked wherever they are shown.
    """

    libvirt_uri: Annotated[str, Field(validation_alias="LIBVIRT_URI")]
    """libvirt URI of the hypervisor."""
    influx_url: Annotated[str, Field(validation_alias="INFLUX_URL")]
    """URL of InfluxDB, http://host:port."""
    influx_db: Annotated[str, Field(validation_alias="INFLUX_DB")]
    """InfluxDB database."""
    influx_token: Annotated[SecretStr, Field(validation_alias="INFLUX_TOKEN")]
    """InfluxDB token."""
    poll_interval: Annotated[float, Field(validation_alias="POLL_INTERVAL", gt=0)] = 1.0
    """Seconds between two polls."""
    batch_max_lines: Annotated[int, Field(validation_alias="BATCH_MAX_LINES", ge=1)] = 2000
    """Lines per write to InfluxDB."""
    batch_max_sec: Annotated[float, Field(validation_alias="BATCH_MAX_SEC", gt=0)] = 1.0
    """Seconds until an incomplete batch is written."""
    device_cache_ttl: Annotated[float, Field(validation_alias="DEVICE_CACHE_TTL", gt=0)] = 300.0
    """Seconds for which a VM's device list is cached."""
    libvirt_timeout: Annotated[float, Field(validation_alias="LIBVIRT_TIMEOUT", gt=0)] = 30.0
    """Timeout of a libvirt call in seconds."""

    @classmethod
    def from_env(cls) -> Self:
        """Reads the configuration from the environment.

        Raises:
            Misconfigured: Variables are missing or invalid; the message names all of them.
        """
        return cls.read()

    def to_safe_dict(self) -> dict[str, object]:
        """Returns the configuration with secrets masked as `***`."""
        return {name: "***" if name in MASKED_FIELDS else value for name, value in self.model_dump().items()}

    def environment(self) -> dict[str, str]:
        """Returns the environment variables that the pipeline's parts need."""
        return {
            "INFLUX_URL": self.influx_url,
            "INFLUX_DB": self.influx_db,
            "INFLUX_TOKEN": self.influx_token.get_secret_value(),
            "BATCH_MAX_LINES": str(self.batch_max_lines),
            "BATCH_MAX_SEC": str(self.batch_max_sec),
            "DEVICE_CACHE_TTL": str(self.device_cache_ttl),
            "LIBVIRT_TIMEOUT": str(self.libvirt_timeout),
        }


class Counters(TypedDict):
    """Counters of a collector's status."""

    total_collections: int
    total_errors: int
    last_collection_time: str | None
    vms_monitored: int
    total_metrics_written: int
    influx_queue_size: int


class CollectorStatus(Counters):
    """Result of `TelemetryCollector.get_status()`."""

    running: bool
    started_at: str | None
    config: dict[str, object]


class CollectedVm(TypedDict):
    """A VM in the result of `TelemetryCollector.get_vms()`."""

    id: str
    name: str
    uuid: str
    state: int | None
    cpus: int | None
    memory_max_kb: int | None
    memory_used_kb: int | None
    cputime: int | None


NO_COUNTERS: Final[Counters] = {
    "total_collections": 0,
    "total_errors": 0,
    "last_collection_time": None,
    "vms_monitored": 0,
    "total_metrics_written": 0,
    "influx_queue_size": 0,
}


class TelemetryCollector:
    """Collects in the background between `start` and `stop`. Thread-safe."""

    def __init__(self, config: TelemetryConfig) -> None:
        self.config = config
        self.host = urlsplit(config.libvirt_uri).hostname or socket.gethostname()
        self._lock = threading.RLock()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._ready = threading.Event()
        self._failure: Failure | None = None
        self._feed: KafkaFeed | None = None
        self._settings: KafkaSettings | None = None
        self._supervisor: Supervisor | None = None
        self._started_at: datetime | None = None
        self._counters = NO_COUNTERS

    @property
    def running(self) -> bool:
        """True while it collects."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Starts collecting, and returns when every part is ready. No-op if it runs.

        Raises:
            Failure: A part did not get ready; the message names it and the reason.
        """
        with self._lock:
            if self.running:
                return
            self._stop.clear()
            self._ready.clear()
            self._counters = NO_COUNTERS
            # Parts die with the thread that started them, so one thread starts and supervises them.
            self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
            self._thread.start()
            self._ready.wait()
            failure = self._failure
            if failure is not None:
                self._thread.join()
                raise failure
            self._started_at = datetime.now(UTC)

    def stop(self) -> None:
        """Stops collecting, after everything polled has been processed and stored."""
        with self._lock:
            self._stop.set()
            if self._thread is not None:
                self._thread.join()
            self._thread = None

    def get_status(self) -> CollectorStatus:
        """Returns state and counters.

        Counters come from Kafka and the sink; while these do not answer, they keep their last values.
        """
        running = self.running
        if running:
            self._counters = self._read_counters()
        started_at = self._started_at.isoformat() if running and self._started_at else None
        return {"running": running, "started_at": started_at, **self._counters, "config": self.config.to_safe_dict()}

    def get_vms(self) -> list[CollectedVm]:
        """Returns the VMs of the newest poll."""
        feed = self._feed
        if feed is None:
            return []
        domains = feed.view.domains(self.host)
        return [
            {
                "id": domain["vmid"],
                "name": domain["name"],
                "uuid": domain["uuid"],
                "state": domain["state"],
                "cpus": domain["cpus"],
                "memory_max_kb": domain["memory_max_kb"],
                "memory_used_kb": domain["memory_used_kb"],
                "cputime": domain["cputime"],
            }
            for domain in domains
        ]

    def _read_counters(self) -> Counters:
        counters = self._counters.copy()
        feed, settings = self._feed, self._settings
        if feed is None or settings is None:
            return counters
        host = next((row for row in feed.view.hosts().rows if row.name == self.host), None)
        counters["total_collections"] = feed.view.record_count("raw-libvirt")
        counters["total_errors"] = sum(producer.failures for producer in feed.view.pipeline().producers)
        counters["vms_monitored"] = len(feed.view.domains(self.host))
        counters["last_collection_time"] = host.seen_at.isoformat() if host and host.seen_at else None
        try:
            counters["influx_queue_size"] = lag.lag(settings, INFLUX_GROUP, datasets.aliases())
            counters["total_metrics_written"] = self._lines_stored()
        except (KafkaException, OSError) as error:
            log.debug("counters unavailable", reason=str(error))
        return counters

    def _lines_stored(self) -> int:
        port = self._supervisor.parts[SINKS["influx"].role].metrics_port if self._supervisor else None
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2) as answer:
            text = answer.read().decode()
        samples = (line.partition(" ") for line in text.splitlines())
        return int(sum(float(value) for name, _, value in samples if name == LINES_STORED_METRIC))

    def _run(self) -> None:
        self._failure = None
        with ExitStack() as stack:
            try:
                pipeline = self._pipeline()
                stack.callback(pipeline.close)
                pipeline.start()
                self._settings = pipeline.settings
                self._feed = stack.enter_context(
                    KafkaFeed(pipeline.settings, topics=STATUS_TOPICS, look_back=timedelta())
                )
            except Failure as error:
                self._failure = error
                self._ready.set()
                return
            self._ready.set()
            while not self._stop.wait(0.1):
                pipeline.run_periodic()
            pipeline.drain()
            self._counters = self._read_counters()

    def _pipeline(self) -> LocalPipeline:
        """Creates a pipeline for this hypervisor only."""
        settings = KafkaSettings.read()
        make_private_directory(settings.data_dir)
        fleet = settings.data_dir / "telemetry.fleet.yaml"
        target = {"host": self.host, "uri": self.config.libvirt_uri, "interval": self.config.poll_interval}
        fleet.write_text(yaml.safe_dump({"libvirt": {"targets": [target]}}))
        pipeline = LocalPipeline(
            settings,
            fleet,
            environment=self.config.environment(),
            sinks=("influx",),
            console=False,
            on_event=lambda text: log.info("pipeline", state=text),
        )
        self._supervisor = pipeline.supervisor
        return pipeline
