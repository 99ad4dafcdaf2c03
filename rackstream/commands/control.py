"""Commands that pause and resume the polling of targets, wherever their producers run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from rackstream.commands.common import DATA_DIR, JSON, connected, user_name
from rackstream.text.sanitize import echo, json_text
from schemas.sources import SOURCES

if TYPE_CHECKING:
    from rackstream.control import CommandResult

SOURCE = click.option("--source", type=click.Choice(list(SOURCES)), help="Only targets of this source")
HOST = click.option("--host", metavar="HOST", help="Only targets of this host")
REASON = click.option("--reason", default="", help="Reason, e.g. a ticket")
WHO = click.option("--who", help="Your name  [default: the user]")
COMMAND_COLUMNS: Final = {"key": "key", "desired": "desired", "at": "time", "by": "author", "reason": "reason"}
"""Key of the record → column of the table."""
PENDING_COLUMNS: Final = ("source", "host", "desired", "status", "producer", "detail")
COUNT_COLUMNS: Final = ("targets", "running", "stopped", "pending")


@click.command()
@SOURCE
@HOST
@REASON
@WHO
@DATA_DIR
@JSON
def resume(
    source: str | None, host: str | None, reason: str, who: str | None, data_dir: Path | None, as_json: bool
) -> None:
    """Resume polling of paused targets.

    Resumes all targets, or only those of a source, of a host, or of both.
    """
    from rackstream.control import FleetControl

    by = who or user_name()
    with connected(data_dir) as (settings, _):
        _print_result(FleetControl(lambda: settings).start(source, host, by=by, reason=reason), as_json=as_json)


@click.command()
@SOURCE
@HOST
@REASON
@WHO
@DATA_DIR
@JSON
def pause(
    source: str | None, host: str | None, reason: str, who: str | None, data_dir: Path | None, as_json: bool
) -> None:
    """Pause polling of targets until they are resumed.

    Pauses all targets, or only those of a source, of a host, or of both. Their BMC sessions are deleted. The pause
    outlasts restarts. Alerts about the last readings of a paused target are shown, but not delivered.
    """
    from rackstream.control import FleetControl

    by = who or user_name()
    with connected(data_dir) as (settings, _):
        _print_result(FleetControl(lambda: settings).stop(source, host, by=by, reason=reason), as_json=as_json)


@click.command("commands")
@DATA_DIR
@JSON
def list_commands(data_dir: Path | None, as_json: bool) -> None:
    """List pauses in force, and targets that differ.

    Shows the commands in force, target counts by source, and the targets whose producers have not applied them yet.
    """
    from rackstream.control import FleetControl
    from rackstream.text.json import jsonable
    from rackstream.text.table import print_table

    with connected(data_dir) as (settings, _):
        state = FleetControl(lambda: settings).state()
    if as_json:
        echo(json_text(jsonable(state)))
        return
    print_table(
        ("source", *COUNT_COLUMNS),
        ((source, *(counts.get(column) for column in COUNT_COLUMNS)) for source, counts in state["observed"].items()),
    )
    if state["desired"]:
        columns = tuple(COMMAND_COLUMNS.values())
        print_table(columns, (tuple(row.get(key) for key in COMMAND_COLUMNS) for row in state["desired"]))
    if state["pending"]:
        print_table(PENDING_COLUMNS, (tuple(row.get(column) for column in PENDING_COLUMNS) for row in state["pending"]))


def _print_result(result: CommandResult, *, as_json: bool) -> None:
    from rackstream.text.json import jsonable

    echo(json_text(jsonable(result)) if as_json else result["message"])
