"""Everything on one machine: which parts a fleet needs, in which order they start and stop."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from processors.engine.worker import ProcessorSettings
from processors.registry import mounted
from producers.fleet import config
from rackstream.api.settings import ConsoleSettings
from rackstream.local import prometheus_targets
from rackstream.local.broker import EmbeddedKafka
from rackstream.local.supervisor import BACKOFF_S, Part, Supervisor
from rackstream.topics import lag
from runtime import topics
from runtime.errors import Failure, Retry
from runtime.observability import notify
from runtime.settings import KafkaSettings
from sinks.settings import InfluxSettings, WebhookSettings

INFLUX: Final = ("INFLUX_URL", "INFLUX_DB", "INFLUX_TOKEN")


class Pipeline:
    """Kafka (embedded, or the one that is configured), producers, processors and sinks of one fleet file."""

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
        self.supervisor = Supervisor(on_event, self._tell_prometheus)
        self.broker = None if settings.bootstrap else EmbeddedKafka(settings.data_dir)
        self.settings = settings
        self._environment = dict(environment or {})
        wanted = {"influx": self._wants_influx(), "webhook": self._wants_webhook()}
        self._sinks = [*sinks, *(kind for kind, is_wanted in wanted.items() if is_wanted and kind not in sinks)]
        self._console = console
        self.part_environment: dict[str, dict[str, str]] = {}
        """More for single parts, by name."""
        self._broker_failures = 0
        self._broker_next_s = 0.0

    def part(self, name: str, *arguments: str, ready_timeout_s: float = 30.0, metrics: bool = True) -> Part:
        """A part that is a `rackstream` command; `metrics`: whether it serves some."""
        environment = {
            "KAFKA_BOOTSTRAP_SERVERS": self.settings.bootstrap,
            "RACKSTREAM_DATA_DIR": str(self.settings.data_dir),
            "RACKSTREAM_TOPIC_PREFIX": self.settings.topic_prefix,
        }
        return Part(
            name,
            [sys.executable, "-m", "rackstream", *arguments],
            self.settings.data_dir / "logs" / f"{name}.log",
            environment | self._environment | self.part_environment.get(name, {}),
            ready_timeout_s,
            metrics_port=0 if metrics else None,
        )

    def _tell_prometheus(self) -> None:
        """Keeps the file of targets; where it cannot be written, work goes on."""
        try:
            prometheus_targets.write(self.settings.data_dir, self.supervisor.parts.values())
        except OSError as error:
            self.supervisor.say(f"Prometheus is not told where metrics are: {error}")

    def start(self) -> None:
        """Starts everything in order: Kafka, topics and schemas, console, processors, sinks, producers.

        Raises:
            Misconfigured: a part did not get ready.
        """
        say = self.supervisor.say
        if self.broker is not None:
            began = time.monotonic()
            bootstrap = self.broker.start(progress=say)
            self.settings = self.settings.model_copy(update={"bootstrap": bootstrap})
            say(f"kafka ready at {bootstrap} after {time.monotonic() - began:.1f} s")
        created = topics.create(self.settings)
        topics.verify(self.settings)
        topics.publish_schemas(self.settings)
        say(f"{len(created)} topics created" if created else "topics verified")
        consuming = [self.part("console", "serve")] if self._console else []
        consuming.append(self.part("processor", "processor"))
        consuming += [self.part(f"sink-{kind}", "sink", kind) for kind in self._sinks]
        self._start_together(consuming)
        if self._console:
            say(f"page at {self.page}")
        self._start_together(
            [
                self.part(f"producer-{source}", "producer", source, "--fleet", str(self.fleet_path))
                for source in self.fleet.sources
            ]
        )

    @property
    def page(self) -> str:
        """Where the console shows all this; empty where none runs."""
        if not self._console:
            return ""
        port = self._environment.get("RACKSTREAM_CONSOLE_PORT")
        settings = ConsoleSettings.read(**({"port": int(port)} if port else {}))
        host = f"[{settings.host}]" if ":" in settings.host else settings.host
        return f"http://{host}:{settings.port}/"

    def _start_together(self, parts: Sequence[Part]) -> None:
        for part in parts:
            self.supervisor.start(part, wait=False)
        for part in parts:
            self.supervisor.await_ready(part)

    def _wants_influx(self) -> bool:
        given = any(os.environ.get(name) for name in INFLUX)
        if given:
            InfluxSettings.read()  # says now what is missing or wrong, wherever it may be set
        return given

    def _wants_webhook(self) -> bool:
        given = bool(os.environ.get("RACKSTREAM_WEBHOOK_URL"))
        if given:
            WebhookSettings.read()
        return given

    def tend(self) -> None:
        """One round: starts again what has died, Kafka among it."""
        self.supervisor.tend()
        if self.broker is None or self.broker.alive():
            return
        now_s = time.monotonic()
        if not self._broker_next_s:
            delay_s = BACKOFF_S[min(self._broker_failures, len(BACKOFF_S) - 1)]
            self._broker_next_s = now_s + delay_s
            self.supervisor.say(f"kafka died; starting again in {delay_s:g} s")
        elif now_s >= self._broker_next_s:
            self._broker_next_s = 0.0
            try:
                self.broker.start()
                self._broker_failures = 0
                self.supervisor.say(f"kafka ready again after {time.monotonic() - now_s:.1f} s")
            except Failure as error:
                self._broker_failures += 1
                self.supervisor.say(f"kafka did not start: {error}")

    def drain(self) -> None:
        """Stops producing, and stops the rest once it has worked off what was produced. Kafka keeps running."""
        say = self.supervisor.say
        self.supervisor.stop([name for name in self.supervisor.parts if name.startswith("producer-")])
        say("producers stopped")
        group, stepped = ProcessorSettings.read().group, {step.input for step in mounted()}
        left = lag.await_none(self.settings, group, stepped, timeout_s=45, tend=self.tend)
        if left:
            say(f"processors still {left} records behind; they go on from there at the next start")
        self.supervisor.stop(["processor"])
        # Sinks drain by themselves: told to stop, they read to the ends of that moment.
        self.supervisor.stop([name for name in self.supervisor.parts if name.startswith("sink-")], timeout_s=60)
        say("processors and sinks drained and stopped")

    def close(self) -> None:
        """Stops whatever still runs, Kafka last."""
        self.supervisor.close()
        if self.broker is not None:
            self.broker.stop()


def run(pipeline: Pipeline, stopping: Callable[[], bool]) -> None:
    """Starts a pipeline, tends it until `stopping`, stops it in order."""
    try:
        pipeline.start()
        notify("READY=1")
        while not stopping():
            pipeline.tend()
            time.sleep(0.1)
        try:
            pipeline.drain()
        except Retry as error:
            pipeline.supervisor.say(f"not drained: {error}")
    finally:
        pipeline.close()
