"""The command that finds where data stops, and how to fix it."""

from __future__ import annotations

import shutil
from pathlib import Path

import click

from rackstream.commands.common import DATA_DIR, FLEET, JSON, bootstrapped, kafka_settings
from rackstream.text.sanitize import echo, json_text
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
    help="Timeout of each request to a target or to Kafka, in seconds",
)
@FLEET
@DATA_DIR
@JSON
def doctor(host: str | None, timeout: float, fleet: Path, data_dir: Path | None, as_json: bool) -> None:
    """Find where data stops, and what to do about it.

    With HOST, checks the path of that host: name, port, TLS, login, producer, records, processors, sinks, dead letters.
    Without, checks the whole installation and lists its targets, worst first. Changes nothing: it logs in to a BMC
    once, as its producer does. Exit code 1 if there is any problem.
    """
    from rackstream.doctor import report
    from rackstream.doctor.checklist import DoctorOptions, examine

    settings = kafka_settings(data_dir)
    kafka: KafkaSettings | Misconfigured
    try:
        kafka = settings if settings.bootstrap else bootstrapped(settings)  # checked below
    except Misconfigured as error:
        kafka = error
    options = DoctorOptions(settings, kafka, fleet, timeout, embedded=not settings.bootstrap)
    results = examine(options, host)
    if as_json:
        echo(json_text(report.to_json(host, results), indent=2))
    else:
        width = min(max(shutil.get_terminal_size((WIDTH[1], 24)).columns, WIDTH[0]), WIDTH[1])
        for line in report.render_lines(host, results, width):
            echo(line)
    raise click.exceptions.Exit(0 if report.is_healthy(results) else 1)
