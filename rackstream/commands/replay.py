"""The command that brings the past back."""

from __future__ import annotations

import json
import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from rackstream.commands.common import DATA_DIR, JSON, connected, kafka_settings
from runtime.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Callable

    from rackstream.replay.live_boundary import Noted
    from rackstream.replay.recompute import Ask
    from rackstream.replay.source import Source
    from runtime.settings import KafkaSettings
    from sinks.replay.destination import Destination

WHEN = "Like 2026-01-02T03:04 (UTC), or -2h"


@click.command()
@click.option("--from", "since", required=True, metavar="TIME", help=f"First time of observation. {WHEN}")
@click.option("--to", "until", default="now", show_default=True, metavar="TIME", help="End, itself left out")
@click.option("--into", "kind", type=click.Choice(["files", "influx", "topic"]), help="Where to store")
@click.option("--topic", "names", multiple=True, help="Only the rows of this topic's records; may be repeated")
@click.option("--host", "hosts", multiple=True, help="Only the records of this host; may be repeated")
@click.option(
    "--archive",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="DIR",
    help="Read the records from this archive instead of Kafka",
)
@click.option(
    "--without-kafka", is_flag=True, help="With --archive, into files: Kafka and its topics are gone for good"
)
@click.option("--raw", is_flag=True, help="Recompute nothing: take each topic's records as they are")
@click.option(
    "--rules",
    default="as-then",
    show_default=True,
    metavar="as-then|FILE",
    help="Judge by the packs that were applied then, or by this one",
)
@click.option("--id", "name", help="Part of the names of the topics that --into topic makes  [default: the time now]")
@click.option("--dry-run", is_flag=True, help="Count what would be stored, and store nothing")
@click.option(
    "--verify",
    is_flag=True,
    help="Store nothing; compare with the files (--into influx: InfluxDB), name every difference, exit 1 if any",
)
@DATA_DIR
@JSON
def replay(data_dir: Path | None, *, as_json: bool, **given: Any) -> None:
    """Store again what was observed in a stretch of time: raw records, and what the steps make of them.

    What is stored already stays as it is; a second run changes nothing, and completes one that was killed. To have rows
    anew, delete their files first: the whole files directory, or directories of datasets in it, but not _manifest
    alone. Into topics: give the --id of the run that was killed.
    """
    from rackstream.replay.progress import Progress
    from rackstream.replay.replay import Replay

    _check(given)
    started = datetime.now(UTC)
    if given["verify"]:
        _verify(data_dir, given, started, as_json=as_json)
    with _kafka(data_dir, given) as (settings, _):
        ask = _ask(settings, given, started)
        noted, source = _read(settings, ask, given)
        into = _destination(settings, ask, noted, given, started)
        try:
            found = Replay(settings, ask, noted, source, into, Progress("replay")).run()
        finally:
            into.close()
    copies = sorted(found.rows.keys() | found.there.keys()) if given["kind"] == "topic" else []
    said = asdict(found) | {"into": given["kind"], "dry_run": given["dry_run"], "topics": copies}
    click.echo(json.dumps(said, ensure_ascii=False) if as_json else found.as_text(dry_run=given["dry_run"]))
    if copies and not as_json and not given["dry_run"]:
        click.echo("the topics above stay until you delete them")


def _check(given: dict[str, Any]) -> None:
    if given["verify"] and given["kind"] == "topic":
        raise Misconfigured("--verify compares with the stored files, or with --into influx; not with topics")
    if given["without_kafka"] and (given["verify"] or given["archive"] is None or given["kind"] != "files"):
        raise Misconfigured("--without-kafka goes with --archive DIR --into files")
    if given["kind"] is None and not given["verify"]:
        raise Misconfigured("say where to store: --into files, influx or topic")
    if given["name"] is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", given["name"]):
        raise Misconfigured("--id takes letters, digits, _ and -, 64 at most")


def _verify(data_dir: Path | None, given: dict[str, Any], started: datetime, *, as_json: bool) -> NoReturn:
    """Compares what is stored with what a replay gives; ends with 1 where they differ."""
    from rackstream.replay.progress import Progress
    from rackstream.replay.replay import Replay
    from sinks.replay.compare_files import line
    from sinks.run import comparison
    from sinks.settings import files_root

    differences: list[dict[str, Any]] = []

    def differs(found: dict[str, Any]) -> None:
        differences.append(found)
        if not as_json:
            click.echo(line(found))

    kind = given["kind"] or "files"
    with connected(data_dir) as (settings, _):
        ask = _ask(settings, given, started)
        # Kafka has only the newest of a compacted topic.
        compacted = {alias for alias in ask.aliases if "compact" in settings.catalog[alias].cleanup}
        unknown = set() if given["archive"] else compacted
        topics = {settings.catalog[alias].name: alias for alias in ask.aliases}
        into = comparison(kind, ask.range, topics, files_root(settings), incomplete=unknown, tell=differs)
        try:
            noted = _note(settings, ask, kind, look=into.look)
            source = _source(settings, noted, given)
            found = Replay(settings, ask, noted, source, into, Progress("replay")).run()
            into.finish(found.left_out)
        finally:
            into.close()
    _say_differences(found, into, differences, as_json=as_json)
    raise click.exceptions.Exit(1 if differences else 0)


def _ask(settings: KafkaSettings, given: dict[str, Any], started: datetime) -> Ask:
    from processors.alerting import rule_pack
    from rackstream.replay.recompute import Ask
    from rackstream.text.time_arguments import period
    from runtime.topics import verify
    from sinks.files.manifest import Range

    within = Range(*period(given["since"], given["until"], started), hosts=tuple(sorted(set(given["hosts"]))) or None)
    rules = None if given["rules"] == "as-then" else rule_pack.Packs(rule_pack.load(Path(given["rules"])))
    ask = Ask(within, _aliases(settings, given["names"]), rules, raw=given["raw"])
    if not given["without_kafka"]:
        verify(settings)
    return ask


def _note(settings: KafkaSettings, ask: Ask, kind: str, look: Callable[[], None] | None = None) -> Noted:
    """Where everything stands now; `look`: where what is stored is compared, and how it is looked at."""
    from rackstream.replay.live_boundary import note
    from rackstream.replay.plan import topics_needed
    from sinks.settings import files_root

    files = files_root(settings) if kind == "files" else None
    sink = kind if files or look else None
    return note(settings, topics_needed(ask.aliases), sink, files=files, look=look)


def _kafka(data_dir: Path | None, given: dict[str, Any]) -> AbstractContextManager[tuple[KafkaSettings, bool]]:
    return nullcontext((kafka_settings(data_dir), False)) if given["without_kafka"] else connected(data_dir)


def _read(settings: KafkaSettings, ask: Ask, given: dict[str, Any]) -> tuple[Noted, Source]:
    """Where everything stands now, and where the records come from."""
    from rackstream.replay.source import ArchiveSource

    if given["without_kafka"]:
        source = ArchiveSource(settings.catalog, given["archive"], None)
        return source.noted(), source
    noted = _note(settings, ask, given["kind"])
    return noted, _source(settings, noted, given)


def _source(settings: KafkaSettings, noted: Noted, given: dict[str, Any]) -> Source:
    from rackstream.replay.source import ArchiveSource, KafkaSource

    if given["archive"] is None:
        return KafkaSource(settings, noted.spans)
    return ArchiveSource(settings.catalog, given["archive"], _ids(settings))


def _destination(
    settings: KafkaSettings, ask: Ask, noted: Noted, given: dict[str, Any], started: datetime
) -> Destination:
    from sinks.run import destination
    from sinks.settings import files_root

    if given["kind"] == "topic":
        from sinks.replay.topics import Copies

        name = given["name"] or started.strftime("%Y%m%dT%H%M%S")
        return Copies(settings, name, ask.aliases, write=not given["dry_run"])
    topics = {alias: (settings.catalog[alias].name, noted.ids.get(alias, "")) for alias in ask.aliases}
    return destination(
        given["kind"], ask.range, topics, files_root(settings), started=started, write=not given["dry_run"]
    )


def _ids(settings: KafkaSettings) -> dict[str, str]:
    from runtime.topics import topic_id
    from sinks.files.archive_sink import aliases

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
