"""The command that brings the past back."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rackstream.commands.common import DATA_DIR, JSON, connected
from runtime.errors import Misconfigured

if TYPE_CHECKING:
    from rackstream.replaying.fence import Noted
    from rackstream.replaying.refold import Ask
    from rackstream.replaying.source import Source
    from runtime.settings import KafkaSettings
    from sinks.replayed import Destination

WHEN = "Like 2026-01-02T03:04 (UTC), or -2h"


@click.command()
@click.option("--from", "since", required=True, metavar="TIME", help=f"First time of observation. {WHEN}")
@click.option("--to", "until", default="now", show_default=True, metavar="TIME", help="End, itself left out")
@click.option("--into", "kind", type=click.Choice(["files", "influx", "topic"]), help="Where to store")
@click.option("--topic", "names", multiple=True, help="Only the rows of this topic's records; may be repeated")
@click.option("--host", "hosts", multiple=True, help="Only the records of this host; may be repeated")
@click.option(
    "--archive", type=click.Path(path_type=Path, file_okay=False, exists=True), metavar="DIR",
    help="Read the records from this archive instead of Kafka",
)  # fmt: skip
@click.option("--raw", is_flag=True, help="Recompute nothing: take each topic's records as they are")
@click.option(
    "--rules", default="as-then", show_default=True, metavar="as-then|FILE",
    help="Judge by the packs that were applied then, or by this one",
)  # fmt: skip
@click.option("--id", "name", help="Part of the names of the topics that --into topic makes  [default: the time now]")
@click.option("--dry-run", is_flag=True, help="Count what would be stored, and store nothing")
@click.option("--verify", is_flag=True, help="Compare with the files instead: name every difference, exit 1 if any")
@DATA_DIR
@JSON
def replay(data_dir: Path | None, *, as_json: bool, **given: Any) -> None:
    """Store again what was observed in a stretch of time: raw records, and what the steps make of them.

    What is stored already stays as it is; a second run changes nothing, and completes one that was killed. To have rows
    anew, delete their files first: the whole files directory, or directories of datasets in it, but not _manifest
    alone. Into topics: give the --id of the run that was killed.
    """
    from rackstream.replaying.progress import Progress
    from rackstream.replaying.replay import Replay

    _check(given)
    started = datetime.now(UTC)
    with connected(data_dir) as (settings, _):
        ask, noted, source = _prepared(settings, given, started)
        differences: list[dict[str, Any]] = []
        into = _destination(settings, ask, noted, given, started, differences, as_json=as_json)
        try:
            found = Replay(settings, ask, noted, source, into, Progress("replay")).run()
        finally:
            into.close()
    if given["verify"]:
        _say_differences(found, into, differences, as_json=as_json)
        raise click.exceptions.Exit(1 if differences else 0)
    copies = sorted(found.rows.keys() | found.there.keys()) if given["kind"] == "topic" else []
    said = asdict(found) | {"into": given["kind"], "dry_run": given["dry_run"], "topics": copies}
    click.echo(json.dumps(said, ensure_ascii=False) if as_json else found.as_text(dry_run=given["dry_run"]))
    if copies and not as_json and not given["dry_run"]:
        click.echo("the topics above stay until you delete them")


def _check(given: dict[str, Any]) -> None:
    if given["verify"] and given["kind"] not in (None, "files"):
        raise Misconfigured("--verify compares with the stored files only; leave --into away")
    if given["kind"] is None and not given["verify"]:
        raise Misconfigured("say where to store: --into files, influx or topic")
    if given["name"] is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", given["name"]):
        raise Misconfigured("--id takes letters, digits, _ and -, 64 at most")


def _prepared(settings: KafkaSettings, given: dict[str, Any], started: datetime) -> tuple[Ask, Noted, Source]:
    """What is asked for, where everything stands now, and where the records come from."""
    from processors import packs
    from rackstream import history
    from rackstream.period import period
    from rackstream.replaying.fence import note
    from rackstream.replaying.plan import topics_needed
    from rackstream.replaying.refold import Ask
    from rackstream.replaying.source import ArchiveSource, KafkaSource
    from runtime.topics import verify
    from sinks.manifest import Range

    within = Range(*period(given["since"], given["until"], started), hosts=tuple(sorted(set(given["hosts"]))) or None)
    rules = None if given["rules"] == "as-then" else packs.Packs(packs.load(Path(given["rules"])))
    ask = Ask(within, _aliases(settings, given["names"]), rules, raw=given["raw"])
    verify(settings)
    into_files = given["verify"] or given["kind"] == "files"
    noted = note(settings, topics_needed(ask.aliases), history.root(settings) if into_files else None)
    if given["archive"] is None:
        return ask, noted, KafkaSource(settings, noted.spans)
    return ask, noted, ArchiveSource(settings.catalog, given["archive"], _ids(settings))


def _destination(
    settings: KafkaSettings, ask: Ask, noted: Noted, given: dict[str, Any], started: datetime,
    differences: list[dict[str, Any]], *, as_json: bool,
) -> Destination:  # fmt: skip
    from rackstream import history
    from rackstream.store import destination
    from sinks.compare import Comparison, line

    topics = {alias: (settings.catalog[alias].name, noted.ids.get(alias, "")) for alias in ask.aliases}
    root = history.root(settings)
    if given["verify"]:

        def differs(found: dict[str, Any]) -> None:
            differences.append(found)
            if not as_json:
                click.echo(line(found))

        # Kafka has only the newest of a compacted topic.
        compacted = {alias for alias in ask.aliases if "compact" in settings.catalog[alias].cleanup}
        return Comparison(root, ask.range, topics, set() if given["archive"] else compacted, differs)
    if given["kind"] == "topic":
        from sinks.copies import Copies

        name = given["name"] or started.strftime("%Y%m%dT%H%M%S")
        return Copies(settings, name, ask.aliases, write=not given["dry_run"])
    return destination(given["kind"], ask.range, topics, root, started=started, write=not given["dry_run"])


def _ids(settings: KafkaSettings) -> dict[str, str]:
    from runtime.topics import topic_id
    from sinks.archive import aliases

    names = [settings.catalog[alias].name for alias in aliases()]
    return {name: topic_id(settings, name) for name in names}


def _say_differences(found: Any, into: Any, differences: list[dict[str, Any]], *, as_json: bool) -> None:
    same = sum(found.there.values())
    if as_json:
        said = asdict(found) | {"counts": into.counts, "differences": differences}
        click.echo(json.dumps(said, ensure_ascii=False, default=str))
        return
    counts = ", ".join(f"{count:,} {what}" for what, count in into.counts.items())
    click.echo(f"{found.since} to {found.until}: {same:,} rows found in both; {counts}")
    for example in found.examples:
        click.echo(f"  {example}")


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
