"""The command that says where data stops, and what to do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import click

from rackstream.commands.common import DATA_DIR, FLEET, JSON, bootstrapped, kafka_settings
from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings

WIDTH = (60, 120)
"""Columns at least and at most."""


@click.command()
@click.argument("host", required=False)
@click.option(
    "--timeout",
    default=5.0,
    show_default=True,
    type=click.FloatRange(1, 60),
    help="Seconds for each question to a target or to Kafka",
)
@FLEET
@DATA_DIR
@JSON
def doctor(host: str | None, timeout: float, fleet: Path, data_dir: Path | None, as_json: bool) -> None:
    """Where does data stop between targets and sinks, and what is to be done?

    With HOST, the path of that host: name, port, TLS, login, producer, records, processors, sinks, dead letters.
    Without, the whole installation and its targets, the worst first. Looks only: it logs in to a BMC once, as its
    producer does, and changes nothing. Exit code 1 if anything is amiss.
    """
    from rackstream.doctor import report
    from rackstream.doctor.checklist import Wanted, examine

    settings = kafka_settings(data_dir)
    reached: KafkaSettings | Misconfigured
    try:
        reached = settings if settings.bootstrap else bootstrapped(settings)  # how it answers is looked at below
    except Misconfigured as error:
        reached = error
    found = examine(Wanted(settings, reached, fleet, timeout, embedded=not settings.bootstrap), host)
    if as_json:
        click.echo(json.dumps(report.as_plain(host, found), ensure_ascii=False, indent=2))
    else:
        width = min(max(shutil.get_terminal_size((WIDTH[1], 24)).columns, WIDTH[0]), WIDTH[1])
        for line in report.lines(host, found, width):
            click.echo(line)
    raise click.exceptions.Exit(0 if report.healthy(found) else 1)
