"""The pipeline on one machine: its parts, and the order in which they start and stop."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from processors.engine.worker import ProcessorSettings
from processors.registry import STEPS
from producers.fleet import config
from producers.registry import SOURCE_SPECS
from rackstream.api.settings import ConsoleSettings
from rackstream.local import prometheus_targets
from rackstream.local.broker import EmbeddedKafka, StartCancelled
from rackstream.local.supervisor import BACKOFF_S, PipelinePart, Supervisor
from rackstream.topics import lag
from runtime import topics
from runtime.errors import Failure, Retry
from runtime.observability import notify
from runtime.settings import KafkaSettings
from sinks.registry import SINKS


class LocalPipeline:
    """Kafka (embedded or configured), producers, processors and sinks of one fleet file."""

    def __init__(
        self,
        settings: KafkaSettings,
        fleet: Path,
        *,
        environment: Mapping[str, str] | None = None,
        sinks: Sequence[str] = ("files",),
        console: bool = True,
        on_event: Callable[[str], None] = lambda _: None,
    ) -> None:
        self.fleet_path = fleet
        self.fleet = config.load(fleet)
        self.supervisor = Supervisor(on_event, self._write_prometheus_targets)
        self.broker = None if settings.bootstrap else EmbeddedKafka(settings.data_dir)
        self.settings = settings
        self._environment = dict(environment or {})
        remote = [kind for kind, spec in SINKS.items() if spec.directory is None and spec.is_configured()]
        self._sinks = list(dict.fromkeys([*sinks, *remote]))
        self._console = console
        self.part_environment: dict[str, dict[str, str]] = {}
        """Additional environment variables by part name."""
        self._broker_failures = 0
        self._broker_next_s = 0.0

    def part(self, name: str, *arguments: str, ready_timeout_s: float = 30.0, metrics: bool = True) -> PipelinePart:
        """Creates a part that runs a `rackstream` command; `metrics`: True if it serves metrics."""
        environment = {
            "KAFKA_BOOTSTRAP_SERVERS": self.settings.bootstrap,
            "RACKSTREAM_DATA_DIR": str(self.settings.data_dir),
            "RACKSTREAM_TOPIC_PREFIX": self.settings.topic_prefix,
        }
        return PipelinePart(
            name,
            [sys.executable, "-m", "rackstream", *arguments],
            self.settings.data_dir / "logs" / f"{name}.log",
            environment | self._environment | self.part_environment.get(name, {}),
            ready_timeout_s,
            metrics_port=0 if metrics else None,
        )

    def _write_prometheus_targets(self) -> None:
        """Updates Prometheus' target file; if it cannot be written, the pipeline runs on."""
        try:
            prometheus_targets.write(self.settings.data_dir, self.supervisor.parts.values())
        except OSError as error:
            self.supervisor.report(f"Prometheus' target file was not written: {error}")

    def start(self, stopping: Callable[[], bool] = lambda: False) -> None:
        """Starts Kafka, topics and schemas, console, processors, sinks and producers, in this order.

        Args:
            stopping: True if a stop is asked for: what has not started yet is left out.

        Raises:
            StartCancelled: A stop was asked for while Kafka was starting.
            Misconfigured: A part did not get ready.
        """
        report = self.supervisor.report
        self.supervisor.stopping = stopping
        if self.broker is not None:
            started_s = time.monotonic()
            bootstrap = self.broker.start(progress=report, stopping=stopping)
            self.settings = self.settings.model_copy(update={"bootstrap": bootstrap})
            report(f"kafka ready at {bootstrap} after {time.monotonic() - started_s:.1f} s")
        created = topics.create(self.settings)
        topics.verify(self.settings)
        topics.publish_schemas(self.settings)
        report(f"{len(created)} topics created" if created else "topics verified")
        consuming = [self.part("console", "serve")] if self._console else []
        consuming.append(self.part("processor", "processor"))
        consuming += [self.part(f"sink-{kind}", "sink", kind) for kind in self._sinks]
        self._start_together(consuming)
        if self._console:
            report(f"page at {self.page_url}")
        self._start_together(
            [
                self.part(SOURCE_SPECS[source].role, "producer", source, "--fleet", str(self.fleet_path))
                for source in self.fleet.sources
            ]
        )

    @property
    def page_url(self) -> str:
        """URL of the web page; empty if no console runs."""
        if not self._console:
            return ""
        port = self._environment.get("RACKSTREAM_CONSOLE_PORT")
        settings = ConsoleSettings.read(**({"port": int(port)} if port else {}))
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        return f"http://{host}:{settings.port}/"

    def _start_together(self, parts: Sequence[PipelinePart]) -> None:
        if self.supervisor.stopping():
            return
        for part in parts:
            self.supervisor.start(part, wait=False)
        for part in parts:
            self.supervisor.await_ready(part)

    def run_periodic(self) -> None:
        """Restarts parts that died, including Kafka. Call it several times a second."""
        self.supervisor.run_periodic()
        if self.broker is None or self.broker.alive():
            return
        now_s = time.monotonic()
        if not self._broker_next_s:
            delay_s = BACKOFF_S[min(self._broker_failures, len(BACKOFF_S) - 1)]
            self._broker_next_s = now_s + delay_s
            self.supervisor.report(f"kafka died; restarting in {delay_s:g} s")
        elif now_s >= self._broker_next_s:
            self._broker_next_s = 0.0
            try:
                self.broker.start(stopping=self.supervisor.stopping)
                self._broker_failures = 0
                self.supervisor.report(f"kafka ready again after {time.monotonic() - now_s:.1f} s")
            except Failure as error:
                self._broker_failures += 1
                self.supervisor.report(f"kafka did not start: {error}")

    def drain(self) -> None:
        """Stops the producers, then the rest once it has processed everything. Kafka keeps running."""
        report = self.supervisor.report
        report("stopping in order, which loses nothing; Ctrl-C again ends everything at once")
        report("waiting for the producers to publish what they have polled (30 s at most)")
        self.supervisor.stop([name for name in self.supervisor.parts if name.startswith("producer-")])
        report("producers stopped; waiting for the processors to read everything (45 s at most)")
        group, inputs = ProcessorSettings.read().group, {step.input for step in STEPS}
        lag_records = lag.wait_until_consumed(
            self.settings, group, inputs, timeout_s=45, run_periodic=self.run_periodic
        )
        if lag_records:
            report(f"processors are still {lag_records} records behind; they continue there at the next start")
        self.supervisor.stop(["processor"])
        report("waiting for the sinks to store everything (60 s at most)")
        # Sinks drain by themselves: on SIGTERM they read to the current ends.
        self.supervisor.stop([name for name in self.supervisor.parts if name.startswith("sink-")], timeout_s=60)
        report("processors and sinks drained and stopped")

    def close(self) -> None:
        """Stops everything that still runs, Kafka last."""
        self.supervisor.close()
        if self.broker is not None:
            if self.broker.alive():
                self.supervisor.report("waiting for Kafka to write its state (20 s at most)")
            self.broker.stop()


def run(pipeline: LocalPipeline, stopping: Callable[[], bool]) -> None:
    """Starts a pipeline, supervises it until `stopping`, then drains and stops it."""
    try:
        pipeline.start(stopping)
        notify("READY=1")
        while not stopping():
            pipeline.run_periodic()
            time.sleep(0.1)
        try:
            pipeline.drain()
        except Retry as error:
            pipeline.supervisor.report(f"not drained: {error}")
    except StartCancelled as error:
        pipeline.supervisor.report(str(error))
    finally:
        pipeline.close()
