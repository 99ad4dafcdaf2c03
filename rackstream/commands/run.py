"""Commands that run the pipeline, its parts, and the embedded Kafka."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from producers.registry import SOURCE_SPECS
from rackstream.commands.common import DATA_DIR, FLEET, bootstrapped, kafka_settings, set_up, stop_event
from rackstream.text.sanitize import echo
from runtime.errors import Failure, Misconfigured
from sinks.registry import SINKS
from sinks.sink import SinkSpec

NAME: Final = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
"""Name of one of several sinks of a kind; part of the id of its consumer group."""


@click.command()
@FLEET
@DATA_DIR
def up(fleet: Path, data_dir: Path | None) -> None:
    """Run the pipeline of a fleet file on this machine.

    Starts Kafka (unless KAFKA_BOOTSTRAP_SERVERS is set), producers, processors, sinks and the web page, until Ctrl-C.
    """
    from rackstream.local.pipeline import LocalPipeline, run

    stop = stop_event()
    sinks = tuple(kind for kind, spec in SINKS.items() if spec.is_configured())
    run(LocalPipeline(kafka_settings(data_dir), fleet, sinks=sinks, on_event=echo), stop.is_set)


@click.command()
@click.option("--duration", type=click.FloatRange(min=10), help="Seconds to run  [default: until Ctrl-C]")
@click.option("--chaos", is_flag=True, help="Kill (-9) the processor, the files sink and Kafka meanwhile")
@click.option("--json", "as_json", is_flag=True, help="No live view; print one JSON object at the end")
@DATA_DIR
def demo(duration: float | None, chaos: bool, as_json: bool, data_dir: Path | None) -> None:
    """Run the pipeline on simulated machines, shown live.

    Polls this machine, libvirt's test driver and simulated BMCs, and audits the result at the end.
    """
    from rackstream.demo.demo import Demo

    stop = stop_event()
    settings = kafka_settings(data_dir)
    if data_dir is None:
        settings = settings.model_copy(update={"data_dir": settings.data_dir / "demo"})
    healthy = Demo(settings, duration_s=duration, chaos=chaos, as_json=as_json).run(stop.is_set)
    raise click.exceptions.Exit(0 if healthy else 1)


@click.command()
@click.argument("source", type=click.Choice(list(SOURCE_SPECS)))
@FLEET
@click.option("--name", help="Name of this producer  [default: <source>-<host name>]")
@click.option(
    "--shared", is_flag=True, help="Poll a share of the targets on Kafka (`targets add`) instead of a fleet file"
)
@click.pass_context
def producer(context: click.Context, source: str, fleet: Path, name: str | None, *, shared: bool) -> None:
    """Poll the targets of one source.

    Publishes the readings as raw records.
    """
    from producers.run import run, run_shared
    from rackstream.access import acls

    spec = SOURCE_SPECS[source]
    if shared and not spec.source.is_shareable:
        raise Misconfigured(f"{source} targets cannot be shared: a producer polls the machine it runs on")
    if shared and context.get_parameter_source("fleet") is not click.core.ParameterSource.DEFAULT:
        raise Misconfigured("--shared polls targets on Kafka; put a fleet file there with `rackstream targets import`")
    set_up(spec.role)
    settings = bootstrapped(kafka_settings(None), check_login=False)
    metadata = acls.require(settings, spec.role)
    if shared:
        run_shared(source, settings, stop_event(), name=name, metadata=metadata)
    else:
        run(source, fleet, settings, stop_event(), name=name, metadata=metadata)


@click.command()
def processor() -> None:
    """Run a worker: rates, totals, power, alerts."""
    from processors.app import main as work
    from processors.engine.worker import ProcessorSettings
    from rackstream.access import acls

    set_up("processor")
    settings = bootstrapped(kafka_settings(None), check_login=False)
    metadata = acls.require(settings, "processor")
    work(ProcessorSettings.read(bootstrap=settings.bootstrap, data_dir=settings.data_dir), metadata)


def _list_sinks() -> str:
    width = max(map(len, SINKS))
    return "\b\nKinds:\n" + "\n".join(f"  {kind.ljust(width)}  {spec.help}" for kind, spec in SINKS.items())


def _kinds(*, supporting: Callable[[SinkSpec], bool]) -> str:
    return ", ".join(kind for kind, spec in SINKS.items() if supporting(spec))


@click.command(epilog=_list_sinks())
@click.argument("kind", type=click.Choice(list(SINKS)))
@click.option("--check", is_flag=True, help="influx: only check server, token and databases")
@click.option("--set-up", "create", is_flag=True, help="influx: the same, and create missing databases with retention")
@click.option("--name", help="webhook: run several, each with its own receiver and position")
def sink(kind: str, *, check: bool, create: bool, name: str | None) -> None:
    """Store records, or deliver alerts to a webhook."""
    from rackstream.access import acls
    from sinks.run import run

    spec = SINKS[kind]
    if (check or create) and spec.set_up is None:
        kinds = _kinds(supporting=lambda spec: spec.set_up is not None)
        raise click.UsageError(f"--check and --set-up are options of `rackstream sink` {kinds}")
    if name is not None and not (spec.is_named and NAME.fullmatch(name)):
        kinds = _kinds(supporting=lambda spec: spec.is_named)
        raise Misconfigured(f"--name is an option of {kinds}: lower-case letters and digits, separated by -")
    if spec.set_up is not None and (check or create):
        spec.set_up(create, echo)
        return
    set_up(spec.role)
    settings = bootstrapped(kafka_settings(None), check_login=False)
    metadata = acls.require(settings, spec.role)
    run(kind, settings, stop_event(), name, metadata=metadata)


@click.command()
@click.option("--port", type=int, help="Port to listen on  [default: RACKSTREAM_CONSOLE_PORT or 8000]")
def serve(port: int | None) -> None:
    """Serve the web page, the REST API and schemas."""
    from rackstream.api.serve import serve as listen

    set_up("console")
    settings = kafka_settings(None)
    listen(settings, lambda: bootstrapped(settings), port)


@click.command()
@DATA_DIR
def broker(data_dir: Path | None) -> None:
    """Run the embedded Kafka alone, until Ctrl-C."""
    from rackstream.local.broker import EmbeddedKafka

    stop = stop_event()
    settings = kafka_settings(data_dir)
    with EmbeddedKafka(settings.data_dir) as kafka:
        echo(f"KAFKA_BOOTSTRAP_SERVERS={kafka.bootstrap}")
        _wait_until(stop.is_set, kafka.alive)


def _wait_until(stopping: Callable[[], bool], alive: Callable[[], bool]) -> None:
    while not stopping():
        if not alive():
            raise Failure("kafka exited unexpectedly; see kafka/broker.log in the data directory")
        time.sleep(0.2)
