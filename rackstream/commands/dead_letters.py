"""The commands about dead letters: records that a stage could not take."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rackstream.commands.common import DATA_DIR, JSON, connected
from runtime.errors import Misconfigured

if TYPE_CHECKING:
    from rackstream.dead_letters.store import Letter, Wanted
    from runtime.settings import KafkaSettings

WHEN = "Like 2026-01-02T03:04 (UTC), or -2h"


@click.group("dead-letters")
def dead_letters() -> None:
    """Records that a stage could not take: look at them, retry them, drop them."""


def _filtered(command: Callable[..., Any]) -> Callable[..., Any]:
    """The options that choose letters."""
    for option in (
        click.option("--reason", "reasons", multiple=True, help="Like unknown-schema or refused; may be repeated"),
        click.option("--stage", "stages", multiple=True, help="Like processors or sink-files; may be repeated"),
        click.option("--from", "since", metavar="TIME", help=f"Refused then or later. {WHEN}"),
        click.option("--to", "until", metavar="TIME", help="Refused before"),
    ):
        command = option(command)
    return command


def _wanted(ids: tuple[str, ...], given: dict[str, Any]) -> Wanted:
    from rackstream.dead_letters.store import Wanted
    from rackstream.text.time_arguments import moment

    now = datetime.now(UTC)
    times = {name: moment(given[name], now) if given[name] else None for name in ("since", "until")}
    return Wanted(ids, given["reasons"], given["stages"], **times)


def _chosen(settings: KafkaSettings, ids: tuple[str, ...], given: dict[str, Any]) -> list[Letter]:
    from rackstream.dead_letters.store import read

    return _wanted(ids, given).of(read(settings))


def _must_choose(ids: tuple[str, ...], given: dict[str, Any]) -> None:
    if not ids and not given["all"] and not any(given[name] for name in ("reasons", "stages", "since", "until")):
        raise Misconfigured("say which: ids, --reason, --stage, --from, --to, or --all")


@dead_letters.command("list")
@_filtered
@DATA_DIR
@JSON
def list_(data_dir: Path | None, *, as_json: bool, **given: Any) -> None:
    """The open letters, oldest first."""
    from rackstream.text.table import as_table

    with connected(data_dir) as (settings, _):
        found = _chosen(settings, (), given)
    if as_json:
        plain = [{name: value for name, value in each.as_plain().items() if name != "value"} for each in found]
        click.echo(json.dumps(plain, ensure_ascii=False))
        return
    names = ("id", "reason", "bytes", "refused", "detail")
    rows = (
        (
            each.id,
            each.record["reason"],
            each.record["size"],
            f"{each.record['failed_at']:%Y-%m-%d %H:%M:%S}",
            each.record["detail"][:160],
        )
        for each in found
    )
    as_table(names, rows)


@dead_letters.command()
@click.argument("letter")
@DATA_DIR
@JSON
def show(letter: str, data_dir: Path | None, *, as_json: bool) -> None:
    """All of one letter: why, where from, and its bytes (base64)."""
    from rackstream.dead_letters.store import Wanted, read

    with connected(data_dir) as (settings, _):
        found = Wanted(ids=(letter,)).of(read(settings))[0].as_plain()
    if as_json:
        click.echo(json.dumps(found, ensure_ascii=False))
        return
    for name, value in found.items():
        click.echo(f"{name:12} {value if value is not None else '–'}")


@dead_letters.command()
@click.argument("ids", nargs=-1)
@click.option("--all", is_flag=True, help="Every letter")
@_filtered
@DATA_DIR
@JSON
def retry(ids: tuple[str, ...], data_dir: Path | None, *, as_json: bool, **given: Any) -> None:
    """Run the stage that failed again, on the stored bytes. What succeeds is no dead letter any more.

    A sink's record is stored where that sink stores, once; what the processors make of a record is published once.
    Nothing is written to a raw topic. Exit code 1 if a letter is left.
    """
    from rackstream.dead_letters.retry import Retrier
    from rackstream.dead_letters.store import end

    _must_choose(ids, given)
    said = []
    with connected(data_dir) as (settings, _):
        retrier = Retrier(settings)
        for each in _chosen(settings, ids, given):
            outcome = retrier.retry(each)
            if outcome.done:
                end(settings, [each])
            said.append({"id": each.id, "done": outcome.done, "why": outcome.why})
            if not as_json:
                click.echo(f"{'done' if outcome.done else 'left'}  {each.id}  {outcome.why}")
    if as_json:
        click.echo(json.dumps(said, ensure_ascii=False))
    raise click.exceptions.Exit(0 if all(each["done"] for each in said) else 1)


@dead_letters.command()
@click.argument("ids", nargs=-1)
@click.option("--all", is_flag=True, help="Every letter")
@click.option("--yes", is_flag=True, help="Do not ask")
@_filtered
@DATA_DIR
@JSON
def drop(ids: tuple[str, ...], data_dir: Path | None, *, as_json: bool, yes: bool, **given: Any) -> None:
    """Give letters up: their records are never stored or stepped. The raw topics keep them as long as they keep any."""
    from rackstream.dead_letters.store import end

    _must_choose(ids, given)
    with connected(data_dir) as (settings, _):
        found = _chosen(settings, ids, given)
        if found and not yes:
            click.confirm(f"drop {len(found)} dead letters?", abort=True, err=True)
        end(settings, found)
    if as_json:
        click.echo(json.dumps({"dropped": [each.id for each in found]}, ensure_ascii=False))
    else:
        click.echo(f"{len(found)} dead letters dropped")
