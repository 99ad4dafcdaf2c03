"""The `rackstream` command. Each command imports what it needs: a producer starts without Faust and pyarrow."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import click

from runtime.errors import Failure, Misconfigured
from runtime.settings import KafkaSettings, ProcessSettings

DATA_DIR = click.option(
    "--data-dir",
    type=click.Path(path_type=Path, file_okay=False),
    help="Where files and the embedded Kafka live  [default: RACKSTREAM_DATA_DIR or .rackstream]",
)
JSON = click.option("--json", "as_json", is_flag=True, help="JSON instead of text")
FLEET = click.option(
    "--fleet",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("fleet.yaml"),
    show_default=True,
    help="What to poll",
)
INSTANCE = click.option("--instance", help="A lasting name: after a crash the same name takes its work over at once")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="rackstream")
def cli() -> None:
    """Stream processing of fleet telemetry on Apache Kafka."""
    import logging

    import structlog

    # Processes set their logs up by their settings; a command at a terminal only says what is wrong.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def main() -> NoReturn:
    """The console script. Errors are one message saying what to do; exit codes 0, 1 try again, 2 a person must act."""
    if os.environ.get("RACKSTREAM_SUPERVISED"):
        _die_with_parent()
    # A command that does not say otherwise ends in order, so that a Kafka started just for it ends too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        cli(standalone_mode=False)
    except click.exceptions.Exit as error:
        sys.exit(error.exit_code)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except BrokenPipeError:
        # The reader of our output (head, jq) has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Failure as error:
        click.echo(f"rackstream: {error}", err=True)
        sys.exit(2 if isinstance(error, Misconfigured) else 1)
    sys.exit(0)


def _die_with_parent() -> None:
    """Linux ends this process with SIGTERM when its supervisor dies, however that dies."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)


def _stop_event() -> threading.Event:
    """Set by the first SIGINT or SIGTERM; the second ends the process at once."""
    event = threading.Event()

    def ask(number: int, _frame: Any) -> None:
        event.set()
        signal.signal(number, signal.SIG_DFL)

    signal.signal(signal.SIGINT, ask)
    signal.signal(signal.SIGTERM, ask)
    return event


def _kafka_settings(data_dir: Path | None) -> KafkaSettings:
    return KafkaSettings.read(**({"data_dir": data_dir} if data_dir else {}))


def _bootstrapped(settings: KafkaSettings) -> KafkaSettings:
    """The settings with the address of the embedded Kafka that runs, where none is configured."""
    if settings.bootstrap:
        return settings
    from rackstream.broker import running

    found = running(settings.data_dir) or running(settings.data_dir / "demo")
    if found is None:
        raise Misconfigured(
            f"no Kafka runs for {settings.data_dir}: start `rackstream up` or `rackstream demo`, name its directory "
            "with --data-dir, or set KAFKA_BOOTSTRAP_SERVERS"
        )
    return settings.model_copy(update={"bootstrap": found})


@contextlib.contextmanager
def _connected(data_dir: Path | None) -> Iterator[tuple[KafkaSettings, bool]]:
    """Settings with an address, and whether the Kafka there goes on living.

    Where an earlier run's data lies but no Kafka runs, one is started just for this command.
    """
    settings = _kafka_settings(data_dir)
    try:
        yield _bootstrapped(settings), True
        return
    except Misconfigured:
        from rackstream.broker import attached

        places = (settings.data_dir, settings.data_dir / "demo")
        kept = [each for each in places if (each / "kafka" / "kafka.json").exists()]
        if not kept:
            raise
    with attached(kept[0]) as bootstrap:
        yield settings.model_copy(update={"bootstrap": bootstrap, "data_dir": kept[0]}), False


def _set_up(component: str) -> None:
    from runtime import observe

    observe.set_up(ProcessSettings.read(), component)


@cli.command()
@FLEET
@DATA_DIR
def up(fleet: Path, data_dir: Path | None) -> None:
    """Run everything on this machine, as the fleet file says, until Ctrl-C."""
    from rackstream.pipeline import Pipeline, run

    stop = _stop_event()
    run(Pipeline(_kafka_settings(data_dir), fleet, on_event=click.echo), stop.is_set)


@cli.command()
@click.option("--duration", type=click.FloatRange(min=10), help="Seconds to run  [default: until Ctrl-C]")
@click.option("--chaos", is_flag=True, help="Kill (-9) the processor, the files sink and Kafka on the way")
@click.option("--json", "as_json", is_flag=True, help="No live view; one JSON object last")
@DATA_DIR
def demo(duration: float | None, chaos: bool, as_json: bool, data_dir: Path | None) -> None:
    """Run the whole pipeline on this machine, libvirt's test driver and simulated BMCs, and show it live."""
    from rackstream.demo import Demo

    stop = _stop_event()
    settings = _kafka_settings(data_dir)
    if data_dir is None:
        settings = settings.model_copy(update={"data_dir": settings.data_dir / "demo"})
    healthy = Demo(settings, duration_s=duration, chaos=chaos, as_json=as_json).run(stop.is_set)
    raise click.exceptions.Exit(0 if healthy else 1)


@cli.command()
@click.argument("source", type=click.Choice(["host", "libvirt", "redfish"]))
@FLEET
@click.option("--name", help="Name of this producer  [default: <source>-<host name>]")
def producer(source: str, fleet: Path, name: str | None) -> None:
    """Poll the targets of one source and publish raw records."""
    from rackstream.produce import run

    _set_up(f"producer-{source}")
    run(source, fleet, _bootstrapped(_kafka_settings(None)), _stop_event(), name=name)


@cli.command()
@INSTANCE
def processor(instance: str | None) -> None:
    """Run a Faust worker: rates, totals, power, alerts."""
    from processors.app import ProcessorSettings
    from processors.app import main as work

    _set_up("processor")
    settings = _bootstrapped(_kafka_settings(None))
    work(ProcessorSettings.read(bootstrap=settings.bootstrap, data_dir=settings.data_dir), instance=instance)


@cli.command()
@click.argument("kind", type=click.Choice(["files", "influx"]))
@INSTANCE
def sink(kind: str, instance: str | None) -> None:
    """Store records: Parquet or JSONL files, or InfluxDB."""
    from rackstream.store import run

    _set_up(f"sink-{kind}")
    run(kind, _bootstrapped(_kafka_settings(None)), _stop_event(), instance=instance)


@cli.command()
@click.option("--port", type=int, help="Port on 127.0.0.1  [default: RACKSTREAM_CONSOLE_PORT or 8000]")
def serve(port: int | None) -> None:
    """Serve the schemas read-only (Confluent's REST shape), so that any Avro deserialiser reads the topics."""
    from rackstream.api import serve as listen

    _set_up("console")
    listen(_bootstrapped(_kafka_settings(None)), port)


@cli.command()
@click.option("--create", is_flag=True, help="Create the topics that are missing, publish the schemas")
@click.option("--replication", default=1, show_default=True, help="Replication factor of topics created")
@DATA_DIR
@JSON
def topics(create: bool, replication: int, data_dir: Path | None, as_json: bool) -> None:
    """List the topics: partitions, records, what they are."""
    from rackstream.tail import print_topics
    from runtime import topics as on_broker

    with _connected(data_dir) as (settings, _):
        if create:
            for name in on_broker.create(settings, replication=replication):
                click.echo(f"created {name}", err=True)
            on_broker.publish_schemas(settings)
        print_topics(settings, as_json=as_json)


@cli.command()
@click.argument("topic")
@click.option("-n", "--last", default=100, show_default=True, help="Begin with this many records, or fewer")
@click.option("--follow/--no-follow", default=True, help="Go on with what comes  [default: while Kafka runs]")
@DATA_DIR
@JSON
def tail(topic: str, last: int, follow: bool, data_dir: Path | None, as_json: bool) -> None:
    """Print the records of a topic, oldest first, then those that come."""
    from rackstream.tail import tail as print_records

    stop = _stop_event()
    with _connected(data_dir) as (settings, lives):
        print_records(settings, topic, last=last, follow=follow and lives, as_json=as_json, stopping=stop.is_set)


@cli.command()
@DATA_DIR
@JSON
def audit(data_dir: Path | None, as_json: bool) -> None:
    """Recount everything on topics and in files: what is lost, stored twice, late, by epoch, sequence and identity."""
    from rackstream.audit import Audit

    with _connected(data_dir) as (settings, _):
        found = Audit(settings).run()
        click.echo(found.as_json() if as_json else found.as_text())
        raise click.exceptions.Exit(0 if found.healthy else 1)


@cli.group()
def simulate() -> None:
    """Simulated sources that speak the real protocols."""


@simulate.command("redfish")
@click.option("--count", default=1, show_default=True, type=click.IntRange(1), help="How many BMCs, one port each")
@click.option("--port", default=0, show_default=True, help="First port on 127.0.0.1; 0: free ones")
@click.option("--username", help="Basic authentication: user")
@click.option("--password-env", help="Basic authentication: variable that holds the password")
@click.option("--cert", type=click.Path(path_type=Path, exists=True), help="Certificate chain; with --key: HTTPS")
@click.option("--key", type=click.Path(path_type=Path, exists=True), help="Key of the certificate")
@click.option("--heat-period", default=40.0, show_default=True, help="Seconds from one overheating to the next")
def simulate_redfish(  # noqa: PLR0917  click passes options by name
    count: int,
    port: int,
    username: str | None,
    password_env: str | None,
    cert: Path | None,
    key: Path | None,
    heat_period: float,
) -> None:
    """Simulate BMCs over HTTP(S), with values that move and a CPU that overheats and recovers."""
    from producers.simulate import redfish
    from runtime import observe

    password = os.environ.get(password_env) if password_env else None
    if password_env and password is None:
        raise Misconfigured(f"the variable {password_env}, named by --password-env, is not set")

    def announce(urls: Sequence[str]) -> None:
        for url in urls:
            click.echo(url)
        observe.notify("READY=1")

    redfish.run(
        count=count, first_port=port, username=username, password=password, cert=cert, key=key,
        heat_period_s=heat_period, announce=announce,
    )  # fmt: skip


@cli.command()
@DATA_DIR
def broker(data_dir: Path | None) -> None:
    """Run the embedded Kafka of a data directory alone, until Ctrl-C."""
    from rackstream.broker import EmbeddedKafka

    stop = _stop_event()
    settings = _kafka_settings(data_dir)
    with EmbeddedKafka(settings.data_dir) as kafka:
        click.echo(f"KAFKA_BOOTSTRAP_SERVERS={kafka.bootstrap}")
        _wait_until(stop.is_set, kafka.alive)


def _wait_until(stopping: Callable[[], bool], alive: Callable[[], bool]) -> None:
    import time

    while not stopping():
        if not alive():
            raise Failure("kafka ended by itself; see kafka/broker.log in the data directory")
        time.sleep(0.2)
