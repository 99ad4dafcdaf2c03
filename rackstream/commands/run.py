"""Commands that run things: the whole pipeline, its parts, the embedded Kafka."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path

import click

from rackstream.commands.common import DATA_DIR, FLEET, bootstrapped, kafka_settings, set_up, stop_event
from runtime.errors import Failure, Misconfigured


@click.command()
@FLEET
@DATA_DIR
def up(fleet: Path, data_dir: Path | None) -> None:
    """Run everything on this machine, as the fleet file says, until Ctrl-C."""
    from rackstream.local.pipeline import Pipeline, run
    from sinks.settings import ArchiveSettings

    stop = stop_event()
    sinks = ("files", "archive") if ArchiveSettings.read().root else ("files",)
    run(Pipeline(kafka_settings(data_dir), fleet, sinks=sinks, on_event=click.echo), stop.is_set)


@click.command()
@click.option("--duration", type=click.FloatRange(min=10), help="Seconds to run  [default: until Ctrl-C]")
@click.option("--chaos", is_flag=True, help="Kill (-9) the processor, the files sink and Kafka on the way")
@click.option("--json", "as_json", is_flag=True, help="No live view; one JSON object last")
@DATA_DIR
def demo(duration: float | None, chaos: bool, as_json: bool, data_dir: Path | None) -> None:
    """Run the whole pipeline on this machine, libvirt's test driver and simulated BMCs, and show it live."""
    from rackstream.demo.demo import Demo

    stop = stop_event()
    settings = kafka_settings(data_dir)
    if data_dir is None:
        settings = settings.model_copy(update={"data_dir": settings.data_dir / "demo"})
    healthy = Demo(settings, duration_s=duration, chaos=chaos, as_json=as_json).run(stop.is_set)
    raise click.exceptions.Exit(0 if healthy else 1)


@click.command()
@click.argument("source", type=click.Choice(["host", "libvirt", "redfish"]))
@FLEET
@click.option("--name", help="Name of this producer  [default: <source>-<host name>]")
@click.option("--shared", is_flag=True, help="Its share of the targets on Kafka (`targets add`), not a file's")
@click.pass_context
def producer(context: click.Context, source: str, fleet: Path, name: str | None, *, shared: bool) -> None:
    """Poll the targets of one source and publish raw records."""
    from producers.run import run, share
    from producers.shared_targets.record import SOURCES
    from rackstream.access import acls

    if shared and source not in SOURCES:
        raise Misconfigured(f"{source} targets cannot be shared: each is the machine that its producer runs on")
    if shared and context.get_parameter_source("fleet") is not click.core.ParameterSource.DEFAULT:
        raise Misconfigured("--shared polls what is on Kafka; `rackstream targets import` takes a fleet file there")
    set_up(f"producer-{source}")
    settings = bootstrapped(kafka_settings(None))
    acls.require(settings, f"producer-{source}")
    if shared:
        share(source, settings, stop_event(), name=name)
    else:
        run(source, fleet, settings, stop_event(), name=name)


@click.command()
def processor() -> None:
    """Run a Faust worker: rates, totals, power, alerts."""
    from processors.app import main as work
    from processors.engine.worker import ProcessorSettings
    from rackstream.access import acls

    set_up("processor")
    settings = bootstrapped(kafka_settings(None))
    acls.require(settings, "processor")
    work(ProcessorSettings.read(bootstrap=settings.bootstrap, data_dir=settings.data_dir))


@click.command()
@click.argument("kind", type=click.Choice(["files", "influx", "archive", "webhook"]))
@click.option("--check", is_flag=True, help="influx: only say whether server, token and databases are as they must be")
@click.option("--set-up", "create", is_flag=True, help="influx: the same, and create databases with their retention")
@click.option("--name", help="webhook: each name has a receiver and a position of its own")
def sink(kind: str, *, check: bool, create: bool, name: str | None) -> None:
    """Store records (files, InfluxDB, an archive of their own bytes), or deliver alerts to a webhook."""
    from rackstream.access import acls
    from sinks.run import prepare_influx, run

    if (check or create) and kind != "influx":
        raise click.UsageError("--check and --set-up are of `rackstream sink influx`")
    if name is not None and (kind != "webhook" or not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", name)):
        raise Misconfigured("--name goes with webhook, and is small letters and digits, with - between them")
    if check or create:
        prepare_influx(create=create, say=click.echo)
        return
    set_up(f"sink-{kind}")
    settings = bootstrapped(kafka_settings(None))
    acls.require(settings, f"sink-{kind}")
    run(kind, settings, stop_event(), name)


@click.command()
@click.option("--port", type=int, help="Port to listen on  [default: RACKSTREAM_CONSOLE_PORT or 8000]")
def serve(port: int | None) -> None:
    """Serve REST: start, stop and status of one hypervisor; the schemas, so that any Avro deserialiser reads."""
    from rackstream.api.serve import serve as listen

    set_up("console")
    settings = kafka_settings(None)
    listen(settings, lambda: bootstrapped(settings), port)


@click.command()
@DATA_DIR
def broker(data_dir: Path | None) -> None:
    """Run the embedded Kafka of a data directory alone, until Ctrl-C."""
    from rackstream.local.broker import EmbeddedKafka

    stop = stop_event()
    settings = kafka_settings(data_dir)
    with EmbeddedKafka(settings.data_dir) as kafka:
        click.echo(f"KAFKA_BOOTSTRAP_SERVERS={kafka.bootstrap}")
        _wait_until(stop.is_set, kafka.alive)


def _wait_until(stopping: Callable[[], bool], alive: Callable[[], bool]) -> None:
    while not stopping():
        if not alive():
            raise Failure("kafka ended by itself; see kafka/broker.log in the data directory")
        time.sleep(0.2)
