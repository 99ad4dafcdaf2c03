"""Commands that stop and start the polling of targets, wherever their producers run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final

import click

from rackstream.commands.common import DATA_DIR, JSON, connected, user

SOURCE = click.option("--source", type=click.Choice(["host", "libvirt", "redfish"]), help="Only targets of this source")
HOST = click.option("--host", metavar="HOST", help="Only targets of this host")
COMMANDS: Final = ("key", "desired", "at", "by", "reason")
PENDING: Final = ("source", "host", "desired", "status", "producer", "detail")
WHO = click.option("--who", help="Who wants it  [default: the user]")


@click.command()
@SOURCE
@HOST
@click.option("--reason", default="", help="For whoever wonders, such as a ticket")
@WHO
@DATA_DIR
@JSON
def start(
    source: str | None, host: str | None, reason: str, who: str | None, data_dir: Path | None, as_json: bool
) -> None:
    """Have targets polled again: all of the fleet, or those of a source, of a host, of both."""
    from rackstream.control import Commands

    by = who or user()
    with connected(data_dir) as (settings, _):
        _show(Commands(lambda: settings).start(source, host, by=by, reason=reason), as_json=as_json)


@click.command()
@SOURCE
@HOST
@click.option("--reason", default="", help="For whoever wonders why it is not polled, such as a ticket")
@WHO
@DATA_DIR
@JSON
def stop(
    source: str | None, host: str | None, reason: str, who: str | None, data_dir: Path | None, as_json: bool
) -> None:
    """Have targets left alone until `start`: all of the fleet, or those of a source, of a host, of both.

    Their sessions are deleted. It lasts over restarts. Alerts about what they last said are shown, not delivered.
    """
    from rackstream.control import Commands

    by = who or user()
    with connected(data_dir) as (settings, _):
        _show(Commands(lambda: settings).stop(source, host, by=by, reason=reason), as_json=as_json)


@click.command()
@DATA_DIR
@JSON
def control(data_dir: Path | None, as_json: bool) -> None:
    """Show what was commanded by `start` and `stop`, and how targets stand next to that."""
    from rackstream.control import Commands
    from rackstream.text.table import as_table
    from rackstream.topics.tail import plain

    with connected(data_dir) as (settings, _):
        found = Commands(lambda: settings).state()
    if as_json:
        click.echo(json.dumps(plain(found), ensure_ascii=False))
        return
    names = ("targets", "running", "stopped", "pending")
    as_table(
        ("source", *names),
        ((source, *(each[name] for name in names)) for source, each in found["observed"].items()),
    )
    for name, columns in (("desired", COMMANDS), ("pending", PENDING)):
        if found[name]:
            as_table(columns, (tuple(each[column] for column in columns) for each in found[name]))


def _show(said: dict[str, Any], *, as_json: bool) -> None:
    from rackstream.topics.tail import plain

    click.echo(json.dumps(plain(said), ensure_ascii=False) if as_json else said["message"])
