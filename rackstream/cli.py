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

from rackstream import (
    cli_letters,
    cli_load,
    cli_look,
    cli_probe,
    cli_query,
    cli_replay,
    cli_rules,
    cli_run,
    cli_simulate,
    cli_targets,
)
from runtime.errors import Failure, Misconfigured


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="rackstream")
def cli() -> None:
    """Stream processing of fleet telemetry on Apache Kafka."""
    # Processes set their logs up by their settings; a command at a terminal only says what is wrong.
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


for each in (
    cli_run.up, cli_run.demo, cli_run.producer, cli_run.processor, cli_run.sink, cli_run.serve, cli_run.broker,
    cli_simulate.simulate, cli_look.topics, cli_look.tail, cli_look.audit, cli_replay.replay,
    cli_query.query, cli_targets.targets, cli_letters.dead_letters, cli_probe.probe, cli_rules.rules,
):  # fmt: skip
    cli.add_command(each)
cli_simulate.simulate.add_command(cli_load.simulate_libvirt)


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
