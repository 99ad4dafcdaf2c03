"""The `rackstream` command.

Each command imports what it needs when it runs: a producer starts without Faust and pyarrow.
"""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import sys
from typing import NoReturn

import click
import structlog

from rackstream.command_groups import SectionedGroup, renamed
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
from rackstream.text.sanitize import echo
from runtime import sanitize
from runtime.errors import Failure, Misconfigured
from runtime.private_files import set_private_umask
from runtime.settings import SUPERVISED


@click.group(
    cls=SectionedGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(prog_name="rackstream", package_name="rackstream")
def cli() -> None:
    """Stream processing of fleet telemetry on Apache Kafka.

    \b
      rackstream demo                     try it on simulated machines
      rackstream up --fleet fleet.yaml    run it on your own machines
    """  # noqa: D301  click reads \b as a backspace
    # Processes configure their logs by settings; commands on a terminal print warnings only.
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="%Y-%m-%d %H:%M:%S", utc=False),
            sanitize.clean_event,
            structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), exception_formatter=sanitize.write_traceback),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


simulate.simulate.add_command(simulate_libvirt.simulate_libvirt)
for command in (control.pause, control.resume, control.list_commands):
    targets.targets.add_command(command)
cli.add_section("Start here", run.demo, run.up, probe.probe, targets.targets)
cli.add_section("Look", top.top, doctor.doctor, topics.topics, topics.tail)
cli.add_section("Alerts", alerts.alerts, alerts.silence, rules.rules)
cli.add_section("History", query.query, replay.replay, topics.audit)
cli.add_section(
    "Parts of the pipeline", run.producer, run.processor, run.sink, run.serve, run.broker, simulate.simulate
)
cli.add_section("Upkeep", dead_letters.dead_letters, acls.acls)
cli.add_command(renamed(control.pause, "stop", "targets pause"))
cli.add_command(renamed(control.resume, "start", "targets resume"))
cli.add_command(renamed(control.list_commands, "control", "targets commands"))


def main() -> NoReturn:
    """Runs the command line. Exit codes: 0 done, 1 try again, 2 an operator must act.

    Errors are printed as one message that says what to do.
    """
    set_private_umask()
    if os.environ.get(SUPERVISED):
        _die_with_parent()
    # By default SIGTERM ends a command in order, so that a Kafka started just for it stops too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        # In non-standalone mode click returns the code of an `Exit`; commands themselves return None.
        code = cli(standalone_mode=False)
    except click.Abort:
        sys.exit(130)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except BrokenPipeError:
        # The reader of the output (head, jq) has closed the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        failure = error if isinstance(error, Failure) else _kafka_failure(error)
        if failure is None:
            raise
        echo(f"rackstream: {failure}", err=True)
        sys.exit(2 if isinstance(failure, Misconfigured) else 1)
    sys.exit(code or 0)


def _kafka_failure(error: Exception) -> Failure | None:
    """Converts an exception of Kafka's client, which only some commands import, to a Failure."""
    client = sys.modules.get("confluent_kafka")
    if client is None or not isinstance(error, client.KafkaException):
        return None
    return Failure(f"no answer from Kafka: {error.args[0].str()}")


def _die_with_parent() -> None:
    """Makes Linux send SIGTERM to this process when its supervisor dies, for whatever reason."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
