"""Runs the demo: the pipeline on simulated and local targets, shown live, then audited."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sys
import time
from collections.abc import Callable
from typing import Final

from rich.console import RenderableType
from rich.live import Live

from rackstream.audit.audit import Audit, AuditResult
from rackstream.demo import fleet, screen
from rackstream.local import ports
from rackstream.local.broker import StartCancelled
from rackstream.local.pipeline import LocalPipeline
from rackstream.text import units
from rackstream.text.sanitize import echo, terminal_console
from rackstream.view.kafka_feed import KafkaFeed
from runtime.errors import Misconfigured
from runtime.private_files import make_private_directory
from runtime.settings import KafkaSettings

AUDIT_TIMEOUT_S: Final = 120.0
"""A demo that ran for hours has more records than anyone waits for."""
MARKER: Final = "rackstream-demo.json"
BMCS: Final = 2
HEAT_PERIOD_S: Final = 40.0
CHAOS_SCHEDULE: Final = (("processor", 0.25), ("sink-files", 0.45), ("kafka", 0.65))
"""Part to kill, and the share of the duration after which it is killed."""


class Demo:
    """A run of the demo in one directory."""

    def __init__(self, settings: KafkaSettings, *, duration_s: float | None, chaos: bool, as_json: bool) -> None:
        self._directory = settings.data_dir
        # Two partitions show that work is divided; more would only slow the start.
        self._settings = settings.model_copy(update={"partitions": settings.partitions or 2})
        self._duration_s = duration_s if duration_s or not chaos else 120.0
        self._chaos = chaos
        self._as_json = as_json
        self._live = sys.stdout.isatty() and not as_json
        self._began_s = time.monotonic()
        self._scheduled_kills = (
            [(name, share * (self._duration_s or 0)) for name, share in CHAOS_SCHEDULE] if chaos else []
        )

    def run(self, stopping: Callable[[], bool]) -> bool:
        """Runs until the duration is over or `stopping`.

        Returns:
            True if nothing is lost, duplicated, wrong or pending, and no unexpected alert was raised.
        """
        self._prepare()
        pipeline = self._pipeline()
        try:
            self._start(pipeline, stopping)
            with KafkaFeed(pipeline.settings) as feed:
                self._watch(pipeline, feed, stopping)
            pipeline.drain()
            result = Audit(pipeline.settings, timeout_s=AUDIT_TIMEOUT_S, progress=self._print_event).run()
            self._print_result(result)
        except StartCancelled as error:
            self._print_event(str(error))
            return False
        finally:
            pipeline.close()
        return result.healthy and not result.audit.pending and not fleet.unexpected(result.raised)

    def _print_event(self, text: str) -> None:
        echo(f"{time.monotonic() - self._began_s:6.1f} s  {text}", err=True)

    def _prepare(self) -> None:
        """Empties the directory of an earlier demo.

        Raises:
            Misconfigured: The directory holds anything else.
        """
        if self._directory.exists() and any(self._directory.iterdir()):
            if not (self._directory / MARKER).exists():
                raise Misconfigured(
                    f"{self._directory} is not empty and was not made by a demo; give another --data-dir"
                )
            from rackstream.local.broker import running

            if running(self._directory):
                raise Misconfigured(f"a demo is running in {self._directory}; stop it or give another --data-dir")
            shutil.rmtree(self._directory)
        make_private_directory(self._directory)
        (self._directory / MARKER).write_text(json.dumps({"what": "directory of a demo; the next demo empties it"}))

    def _pipeline(self) -> LocalPipeline:
        row = ports.free_ports(BMCS + 1)
        os.environ.setdefault(fleet.PASSWORD_VARIABLE, secrets.token_urlsafe(12))
        certificate, key, authority = fleet.create_certificates(self._directory)
        fleet_file = fleet.write_fleet_file(self._directory, row[:BMCS], authority, self._print_event)
        pipeline = LocalPipeline(
            self._settings,
            fleet_file,
            environment={
                "RACKSTREAM_FILES_MAX_SEC": "2",
                "RACKSTREAM_CONSOLE_PORT": str(row[BMCS]),
                "RACKSTREAM_PARTITIONS": str(self._settings.partitions),
            },
            on_event=(lambda _: None) if self._live else self._print_event,
        )
        arguments = ["--count", str(BMCS), "--port", str(row[0]), "--heat-period", str(HEAT_PERIOD_S)]
        arguments += ["--shape", "mix", "--cert", str(certificate), "--key", str(key)]
        arguments += ["--username", "demo", "--password-env", fleet.PASSWORD_VARIABLE]
        self._simulator = pipeline.part("simulator", "simulate", "redfish", *arguments, metrics=False)
        return pipeline

    def _start(self, pipeline: LocalPipeline, stopping: Callable[[], bool]) -> None:
        if self._live:
            with terminal_console(stderr=True).status("starting …") as status:
                pipeline.supervisor.on_event = lambda text: status.update(text.splitlines()[0])
                self._start_all(pipeline, stopping)
        else:
            self._start_all(pipeline, stopping)

    def _start_all(self, pipeline: LocalPipeline, stopping: Callable[[], bool]) -> None:
        pipeline.supervisor.start(self._simulator)
        pipeline.start(stopping)

    def _watch(self, pipeline: LocalPipeline, feed: KafkaFeed, stopping: Callable[[], bool]) -> None:
        """Supervises and shows the pipeline until the end."""
        began_s = time.monotonic()
        console = terminal_console()

        def frame() -> RenderableType:
            parts = {name: part.state for name, part in pipeline.supervisor.parts.items()}
            parts["kafka"] = "ready" if pipeline.broker is None or pipeline.broker.alive() else "waiting"
            elapsed = time.monotonic() - began_s
            clock = (
                f"{elapsed:.0f} of {self._duration_s:.0f} s"
                if self._duration_s
                else f"{elapsed:.0f} s · Ctrl-C to stop"
            )
            return screen.draw(
                feed.view,
                title=f"rackstream demo  {clock}  {pipeline.page_url}",
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
                pipeline.run_periodic()
                elapsed_s = time.monotonic() - began_s
                self._run_chaos(pipeline, elapsed_s)
                if live is None and elapsed_s >= next_line_s:
                    next_line_s += 10.0
                    self._progress(feed)
                time.sleep(0.1)
        finally:
            if live is not None:
                live.stop()
        pipeline.supervisor.on_event = self._print_event

    def _run_chaos(self, pipeline: LocalPipeline, elapsed_s: float) -> None:
        """Kills with SIGKILL what is due."""
        while self._scheduled_kills and elapsed_s >= self._scheduled_kills[0][1]:
            name, _ = self._scheduled_kills.pop(0)
            if name == "kafka":
                if pipeline.broker is None:
                    pipeline.supervisor.report("chaos: Kafka was not started here and is not killed")
                    continue
                pid = pipeline.broker.pid
                pipeline.broker.kill()
            else:
                pid = pipeline.supervisor.kill(name)
            pipeline.supervisor.report(f"chaos: killed {name} (pid {pid}) with SIGKILL")

    def _progress(self, feed: KafkaFeed) -> None:
        overview, alerts = feed.view.overview(), feed.view.alert_counts()
        records = sum(topic.records or 0 for topic in overview.topics)
        self._print_event(
            f"{overview.hosts} hosts, {overview.vms} VMs, {units.format_number(overview.watts, ' W')}, "
            f"{records:,} records, alerts {alerts.raised} raised, {alerts.cleared} cleared, {alerts.active} active"
        )

    def _print_result(self, result: AuditResult) -> None:
        if self._as_json:
            echo(result.as_json())
            return
        echo(result.as_text())
        for alert in fleet.unexpected(result.raised):
            echo(f"unexpected alert: {alert}")
        echo(f"\nStored files   {self._directory / 'files'}")
        echo(f"Show alerts    rackstream tail fleet.alerts --data-dir {self._directory}")
