"""The demo: the main job on real input of this machine, shown live, with a summary and an audit at the end."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable
from typing import Any, Final

import click
from rich.console import Console
from rich.live import Live

from rackstream.audit.audit import Audit, Finding
from rackstream.demo import fleet as scene
from rackstream.demo import screen
from rackstream.local import ports
from rackstream.local.pipeline import Pipeline
from rackstream.text import units
from rackstream.view.kafka_feed import Feed
from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings

MARKER: Final = "rackstream-demo.json"
BMCS: Final = 2
HEAT_PERIOD_S: Final = 40.0
CHAOS: Final = (("processor", 0.25), ("sink-files", 0.45), ("kafka", 0.65))
"""What is killed, and at which share of the duration."""


class Demo:
    """One run of the demo in one directory."""

    def __init__(self, settings: KafkaSettings, *, duration_s: float | None, chaos: bool, as_json: bool) -> None:
        self._directory = settings.data_dir
        # Two partitions show that work is divided; more would only cost start-up time here.
        self._settings = settings.model_copy(update={"partitions": settings.partitions or 2})
        self._duration_s = duration_s if duration_s or not chaos else 120.0
        self._chaos = chaos
        self._as_json = as_json
        self._live = sys.stdout.isatty() and not as_json
        self._began_s = time.monotonic()
        self._due = [(name, share * (self._duration_s or 0)) for name, share in CHAOS] if chaos else []

    def run(self, stopping: Callable[[], bool]) -> bool:
        """Runs until the duration is over or `stopping`; true if nothing is lost, doubled, wrong, pending or alarming.

        Alarming: an alert that the demo does not expect.
        """
        self._prepare()
        pipeline = self._pipeline()
        try:
            self._start(pipeline)
            with Feed(pipeline.settings) as feed:
                self._watch(pipeline, feed, stopping)
            pipeline.drain()
            found = Audit(pipeline.settings).run()
            self._tell(found)
        finally:
            pipeline.close()
        return found.healthy and not found.audit.pending and not scene.unexpected(found.raised)

    def _say(self, text: str) -> None:
        click.echo(f"{time.monotonic() - self._began_s:6.1f} s  {text}", err=True)

    def _prepare(self) -> None:
        """Empties the directory of an earlier demo; refuses one that holds anything else.

        Raises:
            Misconfigured: the directory is not ours to empty.
        """
        if self._directory.exists() and any(self._directory.iterdir()):
            if not (self._directory / MARKER).exists():
                raise Misconfigured(
                    f"{self._directory} is not empty and not an earlier demo's; give another --data-dir"
                )
            from rackstream.local.broker import running

            if running(self._directory):
                raise Misconfigured(f"a demo is running in {self._directory}; stop it or give another --data-dir")
            shutil.rmtree(self._directory)
        self._directory.mkdir(parents=True, exist_ok=True)
        (self._directory / MARKER).write_text(json.dumps({"what": "a demo's directory; the next demo empties it"}))

    def _pipeline(self) -> Pipeline:
        row = ports.free_row(BMCS + 1)
        os.environ.setdefault(scene.PASSWORD, secrets.token_urlsafe(12))
        certificate, key, authority = scene.certificates(self._directory)
        fleet = scene.fleet(self._directory, row[:BMCS], authority, self._say)
        pipeline = Pipeline(
            self._settings,
            fleet,
            environment={
                "RACKSTREAM_FILES_MAX_SEC": "2",
                "RACKSTREAM_CONSOLE_PORT": str(row[BMCS]),
                "RACKSTREAM_PARTITIONS": str(self._settings.partitions),
            },
            on_event=(lambda _: None) if self._live else self._say,
        )
        arguments = ["--count", str(BMCS), "--port", str(row[0]), "--heat-period", str(HEAT_PERIOD_S)]
        arguments += ["--shape", "mix", "--cert", str(certificate), "--key", str(key)]
        arguments += ["--username", "demo", "--password-env", scene.PASSWORD]
        self._simulator = pipeline.part("simulator", "simulate", "redfish", *arguments, metrics=False)
        return pipeline

    def _start(self, pipeline: Pipeline) -> None:
        if self._live:
            with Console(stderr=True).status("starting …") as status:
                pipeline.supervisor.on_event = lambda text: status.update(text.splitlines()[0])
                self._start_all(pipeline)
        else:
            self._start_all(pipeline)

    def _start_all(self, pipeline: Pipeline) -> None:
        pipeline.supervisor.start(self._simulator)
        pipeline.start()

    def _watch(self, pipeline: Pipeline, feed: Feed, stopping: Callable[[], bool]) -> None:
        """Tends and shows the pipeline until it is time."""
        began_s = time.monotonic()
        console = Console()

        def frame() -> Any:
            parts = {name: part.state for name, part in pipeline.supervisor.parts.items()}
            parts["kafka"] = "ready" if pipeline.broker is None or pipeline.broker.alive() else "waiting"
            elapsed = time.monotonic() - began_s
            until = f" of {self._duration_s:.0f}" if self._duration_s else ", Ctrl-C ends it"
            return screen.draw(
                feed.view,
                title=f"rackstream demo  {elapsed:.0f}{until} s  {pipeline.page}",
                parts=parts,
                events=list(pipeline.supervisor.events),
                width=console.width,
                height=console.height,
            )

        live = Live(get_renderable=frame, console=console, screen=True, refresh_per_second=2) if self._live else None
        if live is not None:
            live.start()
        try:
            next_line_s = 10.0
            while not stopping() and not (self._duration_s and time.monotonic() - began_s >= self._duration_s):
                pipeline.tend()
                elapsed_s = time.monotonic() - began_s
                self._strike(pipeline, elapsed_s)
                if live is None and elapsed_s >= next_line_s:
                    next_line_s += 10.0
                    self._progress(feed)
                time.sleep(0.1)
        finally:
            if live is not None:
                live.stop()
        pipeline.supervisor.on_event = self._say

    def _strike(self, pipeline: Pipeline, elapsed_s: float) -> None:
        """Chaos: kills what is due, with SIGKILL."""
        while self._due and elapsed_s >= self._due[0][1]:
            name, _ = self._due.pop(0)
            if name == "kafka":
                if pipeline.broker is None:
                    pipeline.supervisor.say("chaos: Kafka is not ours, it is left alone")
                    continue
                pid = pipeline.broker.pid
                pipeline.broker.kill()
            else:
                pid = pipeline.supervisor.kill(name)
            pipeline.supervisor.say(f"chaos: killed {name} (pid {pid}) with SIGKILL")

    def _progress(self, feed: Feed) -> None:
        found, alerts = feed.view.overview(), feed.view.counts()
        records = sum(topic.records or 0 for topic in found.topics)
        self._say(
            f"{found.hosts} hosts, {found.vms} VMs, {units.number(found.watts, ' W')}, {records:,} records, "
            f"alerts {alerts.raised} raised, {alerts.cleared} cleared, {alerts.active} active"
        )

    def _tell(self, found: Finding) -> None:
        if self._as_json:
            click.echo(found.as_json())
            return
        click.echo(found.as_text())
        for each in scene.unexpected(found.raised):
            click.echo(f"unexpected alert: {each}")
        click.echo(f"\nStored files   {self._directory / 'files'}")
        click.echo(f"Look again     rackstream tail fleet.alerts --data-dir {self._directory}")
