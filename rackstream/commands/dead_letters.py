"""Commands that list, show, retry and drop dead letters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rackstream.commands.common import DATA_DIR, JSON, connected
from rackstream.text.sanitize import echo, json_text, printable
from runtime.errors import Misconfigured

if TYPE_CHECKING:
    from rackstream.dead_letters.store import StoredDeadLetter
    from runtime.settings import KafkaSettings

WHEN = "Such as 2026-01-02T03:04 (UTC), or -2h"
COLUMNS = ("id", "reason", "bytes", "failed", "detail")


@dataclass(frozen=True)
class Selection:
    """Options that select dead letters."""

    reasons: tuple[str, ...]
    stages: tuple[str, ...]
    since: str | None
    until: str | None
    ids: tuple[str, ...] = ()
    all: bool = False

    def require(self) -> None:
        """Checks that the user selected something.

        Raises:
            Misconfigured: No option is given.
        """
        if not (self.ids or self.all or self.reasons or self.stages or self.since or self.until):
            raise Misconfigured("nothing selected: give ids, --reason, --stage, --from, --to, or --all")

    def read(self, settings: KafkaSettings) -> list[StoredDeadLetter]:
        """Reads the selected dead letters."""
        from rackstream.dead_letters.store import DeadLetterFilter, read_open
        from rackstream.text.time_arguments import parse_time

        now = datetime.now(UTC)
        since = parse_time(self.since, now) if self.since else None
        until = parse_time(self.until, now) if self.until else None
        return DeadLetterFilter(self.ids, self.reasons, self.stages, since, until).select(read_open(settings))


@click.group("dead-letters")
def dead_letters() -> None:
    """List, retry or drop records that failed.

    A dead letter is a record that a stage could not process, with its bytes and the reason.
    """


def _filter_options(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options of `Selection`."""
    for option in (
        click.option("--reason", "reasons", multiple=True, help="Such as unknown-schema or refused; may be repeated"),
        click.option("--stage", "stages", multiple=True, help="Such as processors or sink-files; may be repeated"),
        click.option("--from", "since", metavar="TIME", help=f"Failed at or after this time. {WHEN}"),
        click.option("--to", "until", metavar="TIME", help="Failed before this time"),
    ):
        command = option(command)
    return command


@dead_letters.command("list")
@_filter_options
@DATA_DIR
@JSON
def list_(data_dir: Path | None, *, as_json: bool, **options: Any) -> None:
    """List open dead letters, oldest first."""
    from rackstream.text.table import print_table

    with connected(data_dir) as (settings, _):
        selected = Selection(**options).read(settings)
    if as_json:
        entries = [
            {name: value for name, value in dead_letter.as_plain().items() if name != "value"}
            for dead_letter in selected
        ]
        echo(json_text(entries))
        return
    rows = (
        (
            dead_letter.id,
            dead_letter.record["reason"],
            dead_letter.record["size"],
            f"{dead_letter.record['failed_at']:%Y-%m-%d %H:%M:%S}",
            dead_letter.record["detail"][:160],
        )
        for dead_letter in selected
    )
    print_table(COLUMNS, rows)


@dead_letters.command()
@click.argument("dead_letter_id", metavar="ID")
@DATA_DIR
@JSON
def show(dead_letter_id: str, data_dir: Path | None, *, as_json: bool) -> None:
    """Show a dead letter: reason, origin, bytes (base64)."""
    from rackstream.dead_letters.store import DeadLetterFilter, read_open

    with connected(data_dir) as (settings, _):
        [dead_letter] = DeadLetterFilter(ids=(dead_letter_id,)).select(read_open(settings))
    fields = dead_letter.as_plain()
    if as_json:
        echo(json_text(fields))
        return
    for name, value in fields.items():
        echo(printable(f"{name:12} {value if value is not None else '–'}"))


@dead_letters.command()
@click.argument("ids", nargs=-1)
@click.option("--all", is_flag=True, help="All dead letters")
@_filter_options
@DATA_DIR
@JSON
def retry(data_dir: Path | None, *, as_json: bool, **options: Any) -> None:
    """Run the failed stage again on the stored bytes.

    A dead letter that succeeds is deleted. A record that a sink failed on is stored once; what the processors derive
    from a record is published once. Nothing is written to a raw topic. Exit code 1 if a dead letter is left.
    """
    from rackstream.dead_letters.retry import DeadLetterRetrier
    from rackstream.dead_letters.store import resolve

    selection = Selection(**options)
    selection.require()
    results: list[dict[str, str | bool]] = []
    with connected(data_dir) as (settings, _):
        retrier = DeadLetterRetrier(settings)
        for dead_letter in selection.read(settings):
            outcome = retrier.retry(dead_letter)
            if outcome.done:
                resolve(settings, [dead_letter])
            results.append({"id": dead_letter.id, "done": outcome.done, "why": outcome.detail})
            if not as_json:
                echo(printable(f"{'done' if outcome.done else 'left'}  {dead_letter.id}  {outcome.detail}"))
    if as_json:
        echo(json_text(results))
    raise click.exceptions.Exit(0 if all(result["done"] for result in results) else 1)


@dead_letters.command()
@click.argument("ids", nargs=-1)
@click.option("--all", is_flag=True, help="All dead letters")
@click.option("--yes", is_flag=True, help="Do not ask for confirmation")
@_filter_options
@DATA_DIR
@JSON
def drop(data_dir: Path | None, *, as_json: bool, yes: bool, **options: Any) -> None:
    """Delete dead letters without processing them.

    Their records are never stored or processed. The raw topics keep them until their retention ends.
    """
    from rackstream.dead_letters.store import resolve

    selection = Selection(**options)
    selection.require()
    with connected(data_dir) as (settings, _):
        selected = selection.read(settings)
        if selected and not yes:
            click.confirm(f"drop {len(selected)} dead letters?", abort=True, err=True)
        resolve(settings, selected)
    if as_json:
        echo(json_text({"dropped": [dead_letter.id for dead_letter in selected]}))
    else:
        echo(f"{len(selected)} dead letters dropped")
