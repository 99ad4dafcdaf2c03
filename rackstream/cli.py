"""The `rackstream` command. Each command imports what it needs: a producer starts without Faust and pyarrow."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
from typing import NoReturn

import click
import structlog

from rackstream.commands import (
    acls,
    alerts,
    control,
    dead_letters,
    doctor,
    probe,
    query,
    replay,
    rules,
    run,
    simulate,
    simulate_libvirt,
    targets,
    top,
    topics,
)
from runtime.errors import Failure, Misconfigured
from runtime.settings import SUPERVISED


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(prog_name="rackstream", package_name="rackstream")
def cli() -> None:
    """Stream processing of fleet telemetry on Apache Kafka."""
    # Processes set their logs up by their settings; a command at a terminal only says what is wrong.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


for each in (
    run.up,
    run.demo,
    run.producer,
    run.processor,
    run.sink,
    run.serve,
    run.broker,
    simulate.simulate,
    top.top,
    topics.topics,
    topics.tail,
    topics.audit,
    query.query,
    probe.probe,
    doctor.doctor,
    targets.targets,
    control.start,
    control.stop,
    control.control,
    alerts.alerts,
    alerts.silence,
    rules.rules,
    replay.replay,
    dead_letters.dead_letters,
    acls.acls,
):
    cli.add_command(each)
simulate.simulate.add_command(simulate_libvirt.simulate_libvirt)


def main() -> NoReturn:
    """The console script. Errors are one message saying what to do; exit codes 0, 1 try again, 2 a person must act."""
    if os.environ.get(SUPERVISED):
        _die_with_parent()
    # A command that does not say otherwise ends in order, so that a Kafka started just for it ends too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        # Not standalone, click returns the code of an `Exit` instead of raising it; commands themselves return nothing.
        code = cli(standalone_mode=False)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except BrokenPipeError:
        # The reader of our output (head, jq) has seen enough.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        failure = error if isinstance(error, Failure) else _of_kafka(error)
        if failure is None:
            raise
        click.echo(f"rackstream: {failure}", err=True)
        sys.exit(2 if isinstance(failure, Misconfigured) else 1)
    sys.exit(code or 0)


def _of_kafka(error: Exception) -> Failure | None:
    """What Kafka's client raises, in one line. Not everyone who runs a command has imported it."""
    client = sys.modules.get("confluent_kafka")
    if client is None or not isinstance(error, client.KafkaException):
        return None
    return Failure(f"no answer from Kafka: {error.args[0].str()}")


def _die_with_parent() -> None:
    """Linux ends this process with SIGTERM when its supervisor dies, however that dies."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
