"""The command that brings the past back."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

import click

from rackstream.cli_common import DATA_DIR, JSON, connected
from runtime.errors import Misconfigured
from runtime.settings import KafkaSettings

WHEN = "Like 2026-01-02T03:04 (UTC), or -2h"


@click.command()
@click.option("--from", "since", required=True, metavar="TIME", help=f"First time of observation. {WHEN}")
@click.option("--to", "until", default="now", show_default=True, metavar="TIME", help="End, itself left out")
@click.option("--into", "kind", required=True, type=click.Choice(["files", "influx"]), help="Where to store")
@click.option("--topic", "names", multiple=True, help="Only the rows of this topic's records; may be repeated")
@click.option("--host", "hosts", multiple=True, help="Only the records of this host; may be repeated")
@click.option("--dry-run", is_flag=True, help="Count what would be stored, and store nothing")
@DATA_DIR
@JSON
def replay(  # noqa: PLR0917  click passes options by name
    since: str,
    until: str,
    kind: str,
    names: tuple[str, ...],
    hosts: tuple[str, ...],
    dry_run: bool,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Store again what was observed in a stretch of time, from Kafka: raw records, and what the steps make of them.

    What is stored already stays as it is; a second run changes nothing. To have rows anew, delete their files first:
    the whole files directory, or directories of datasets in it, but not _manifest alone.
    """
    from rackstream import history
    from rackstream.fence import note
    from rackstream.period import period
    from rackstream.refold import Ask
    from rackstream.replay import Replay, topics_needed
    from rackstream.store import destination
    from runtime.topics import verify
    from sinks.manifest import Range

    started = datetime.now(UTC)
    within = Range(*period(since, until, started), hosts=tuple(sorted(set(hosts))) or None)
    with connected(data_dir) as (settings, _):
        ask = Ask(within, _aliases(settings, names))
        verify(settings)
        root = history.root(settings)
        noted = note(settings, topics_needed(ask.aliases), root if kind == "files" else None)
        topics = {alias: (settings.catalog[alias].name, noted.ids.get(alias, "")) for alias in ask.aliases}
        into = destination(kind, within, topics, root, started=started, write=not dry_run)
        try:
            found = Replay(settings, ask, noted, into, lambda text: click.echo(text, err=True)).run()
        finally:
            into.close()
    said = asdict(found) | {"into": kind, "dry_run": dry_run}
    click.echo(json.dumps(said, ensure_ascii=False) if as_json else found.as_text(dry_run=dry_run))


def _aliases(settings: KafkaSettings, names: tuple[str, ...]) -> tuple[str, ...]:
    """The topics asked for; all that make rows where none is.

    Raises:
        Misconfigured: there is no such topic, or its records make no rows.
    """
    from sinks import datasets

    try:
        asked = {settings.catalog.named(name).alias for name in names}
    except KeyError as error:
        raise Misconfigured(error.args[0]) from None
    if bare := asked - set(datasets.aliases()):
        listed = ", ".join(settings.catalog[alias].name for alias in sorted(bare))
        raise Misconfigured(f"the records of {listed} make no rows: there is nothing to store")
    return tuple(alias for alias in datasets.aliases() if not asked or alias in asked)
