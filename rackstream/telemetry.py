"""One hypervisor into InfluxDB, as seed 004 has it: a configuration, a collector, its status.

It joins all edges: `start()` runs the producer, the processors and the InfluxDB sink on the Kafka of
KAFKA_BOOTSTRAP_SERVERS, or on an embedded one, as processes of their own.
"""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Final, Self
from urllib.parse import urlsplit
from urllib.request import urlopen

import structlog
import yaml
from confluent_kafka import KafkaException
from pydantic import Field, SecretStr

from rackstream.local.pipeline import Pipeline
from rackstream.local.supervisor import Supervisor
from rackstream.topics import lag
from rackstream.view.kafka_feed import Feed
from runtime.errors import Failure
from runtime.settings import KafkaSettings, Settings
from sinks import datasets

log = structlog.get_logger()
MASKED: Final = ("libvirt_uri", "influx_url", "influx_token")
GROUP: Final = "rackstream-influx"
LINES: Final = "rackstream_lines_stored_total"
SHOWN: Final = ("raw-libvirt", "heartbeats")
"""Topics that a status is told from."""


class TelemetryConfig(Settings):
    """What to monitor, and where to store it. Secrets come from the environment only and are masked everywhere."""

    libvirt_uri: Annotated[str, Field(validation_alias="LIBVIRT_URI")]
    """libvirt URI of the hypervisor."""
    influx_url: Annotated[str, Field(validation_alias="INFLUX_URL")]
    """http://host:port of InfluxDB."""
    influx_db: Annotated[str, Field(validation_alias="INFLUX_DB")]
    """Database."""
    influx_token: Annotated[SecretStr, Field(validation_alias="INFLUX_TOKEN")]
    """Token."""
    poll_interval: Annotated[float, Field(validation_alias="POLL_INTERVAL", gt=0)] = 1.0
    """Seconds between two polls."""
    batch_max_lines: Annotated[int, Field(validation_alias="BATCH_MAX_LINES", ge=1)] = 2000
    """Lines per write to InfluxDB."""
    batch_max_sec: Annotated[float, Field(validation_alias="BATCH_MAX_SEC", gt=0)] = 1.0
    """Seconds before what is held is written."""
    device_cache_ttl: Annotated[float, Field(validation_alias="DEVICE_CACHE_TTL", gt=0)] = 300.0
    """Seconds a VM's device list is cached."""
    libvirt_timeout: Annotated[float, Field(validation_alias="LIBVIRT_TIMEOUT", gt=0)] = 30.0
    """Seconds a libvirt call may take."""

    @classmethod
    def from_env(cls) -> Self:
        """The configuration of the environment.

        Raises:
            Misconfigured: names every variable that is missing or wrong.
        """
        return cls.read()

    def to_safe_dict(self) -> dict[str, Any]:
        """The configuration without what must not be shown."""
        return {name: "***" if name in MASKED else value for name, value in self.model_dump().items()}

    def environment(self) -> dict[str, str]:
        """What the parts are told."""
        return {
            "INFLUX_URL": self.influx_url,
            "INFLUX_DB": self.influx_db,
            "INFLUX_TOKEN": self.influx_token.get_secret_value(),
            "BATCH_MAX_LINES": str(self.batch_max_lines),
            "BATCH_MAX_SEC": str(self.batch_max_sec),
            "DEVICE_CACHE_TTL": str(self.device_cache_ttl),
            "LIBVIRT_TIMEOUT": str(self.libvirt_timeout),
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
        self._feed: Feed | None = None
        self._settings: KafkaSettings | None = None
        self._supervisor: Supervisor | None = None
        self._started_at: datetime | None = None
        self._last: dict[str, Any] = {}

    @property
    def running(self) -> bool:
        """Whether it collects."""
        return self._thread is not None and self._thread.is_alive()

    def start(self) -> None:
        """Starts collecting, and returns when every part is ready. Does nothing when it runs.

        Raises:
            Failure: a part did not get ready; the message says which and why.
        """
        with self._lock:
            if self.running:
                return
            self._stop.clear()
            self._ready.clear()
            self._last = {}
            # The parts end with the thread that started them, so one thread starts and tends them all the time.
            self._thread = threading.Thread(target=self._run, name="telemetry", daemon=True)
            self._thread.start()
            self._ready.wait()
            failure = self._failure
            if failure is not None:
                self._thread.join()
                raise failure
            self._started_at = datetime.now(UTC)

    def stop(self) -> None:
        """Stops collecting: what was polled is processed and stored first."""
        with self._lock:
            self._stop.set()
            if self._thread is not None:
                self._thread.join()
            self._thread = None

    def get_status(self) -> dict[str, Any]:
        """How it stands. Figures are those Kafka and the sink tell; while they do not answer, the last known."""
        running = self.running
        if running:
            self._last |= self._figures()
        figures = {
            "total_collections": 0,
            "total_errors": 0,
            "last_collection_time": None,
            "vms_monitored": 0,
            "total_metrics_written": 0,
            "influx_queue_size": 0,
        } | self._last
        started_at = self._started_at.isoformat() if running and self._started_at else None
        return {"running": running, "started_at": started_at, **figures, "config": self.config.to_safe_dict()}

    def get_vms(self) -> list[dict[str, Any]]:
        """The VMs of the newest poll."""
        feed = self._feed
        if feed is None:
            return []
        domains = feed.view.domains(self.host)
        shown = ("name", "uuid", "state", "cpus", "memory_max_kb", "memory_used_kb", "cputime")
        return [{"id": domain["vmid"]} | {name: domain[name] for name in shown} for domain in domains]

    def _figures(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        feed, settings = self._feed, self._settings
        if feed is None or settings is None:
            return found
        host = next((row for row in feed.view.hosts().rows if row.name == self.host), None)
        found["total_collections"] = feed.view.seen("raw-libvirt")
        found["total_errors"] = sum(producer.failures for producer in feed.view.pipeline().producers)
        found["vms_monitored"] = len(feed.view.domains(self.host))
        found["last_collection_time"] = host.seen_at.isoformat() if host and host.seen_at else None
        try:
            found["influx_queue_size"] = lag.lag(settings, GROUP, datasets.aliases())
            found["total_metrics_written"] = self._lines_stored()
        except (KafkaException, OSError) as error:
            log.debug("figures not to be had", why=str(error))
        return found

    def _lines_stored(self) -> int:
        port = self._supervisor.parts["sink-influx"].metrics_port if self._supervisor else None
        with urlopen(f"http://127.0.0.1:{port}/metrics", timeout=2) as answer:
            text = answer.read().decode()
        return int(sum(float(line.partition(" ")[2]) for line in text.splitlines() if line.startswith(f"{LINES} ")))

    def _run(self) -> None:
        self._failure = None
        with ExitStack() as stack:
            try:
                pipeline = self._pipeline()
                stack.callback(pipeline.close)
                pipeline.start()
                self._settings = pipeline.settings
                self._feed = stack.enter_context(Feed(pipeline.settings, shown=SHOWN, back=timedelta()))
            except Failure as error:
                self._failure = error
                self._ready.set()
                return
            self._ready.set()
            while not self._stop.wait(0.1):
                pipeline.tend()
            pipeline.drain()
            self._last |= self._figures()

    def _pipeline(self) -> Pipeline:
        """A pipeline of this one hypervisor."""
        settings = KafkaSettings.read()
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        fleet = settings.data_dir / "telemetry.fleet.yaml"
        target = {"host": self.host, "uri": self.config.libvirt_uri, "interval": self.config.poll_interval}
        fleet.write_text(yaml.safe_dump({"libvirt": {"targets": [target]}}))
        pipeline = Pipeline(
            settings,
            fleet,
            environment=self.config.environment(),
            sinks=("influx",),
            console=False,
            on_event=lambda text: log.info("pipeline", what=text),
        )
        self._supervisor = pipeline.supervisor
        return pipeline
