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

from rackstream.commands import alerts, letters, load, look, probe, query, replay, rules, run, simulate, targets
from runtime.errors import Failure, Misconfigured


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
    run.up, run.demo, run.producer, run.processor, run.sink, run.serve, run.broker, simulate.simulate,
    look.topics, look.tail, look.audit, query.query, probe.probe, targets.targets,
    alerts.alerts, alerts.silence, rules.rules, replay.replay, letters.dead_letters,
):  # fmt: skip
    cli.add_command(each)
simulate.simulate.add_command(load.simulate_libvirt)


def main() -> NoReturn:
    """The console script. Errors are one message saying what to do; exit codes 0, 1 try again, 2 a person must act."""
    if os.environ.get("RACKSTREAM_SUPERVISED"):
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
    except Failure as error:
        click.echo(f"rackstream: {error}", err=True)
        sys.exit(2 if isinstance(error, Misconfigured) else 1)
    sys.exit(code or 0)


def _die_with_parent() -> None:
    """Linux ends this process with SIGTERM when its supervisor dies, however that dies."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
