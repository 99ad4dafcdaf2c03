"""The command that stores past records again, or compares them with what is stored."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from rackstream.commands.common import DATA_DIR, JSON, connected, kafka_settings
from rackstream.text.sanitize import echo, json_text
from runtime.errors import Misconfigured
from sinks.registry import SINKS

if TYPE_CHECKING:
    from collections.abc import Callable

    from rackstream.replay.live_boundary import StartOffsets
    from rackstream.replay.recompute import ReplayRequest
    from rackstream.replay.replay import ReplaySummary
    from rackstream.replay.source import RecordSource
    from runtime.settings import KafkaSettings
    from sinks.replay.destination import Difference, ReplayComparison, ReplayDestination

WHEN = "Such as 2026-01-02T03:04 (UTC), or -2h"
REPLAYABLE = {kind: spec.replay for kind, spec in SINKS.items() if spec.replay is not None}
"""Kind of sink → its support for replays."""


@dataclass(frozen=True)
class ReplayOptions:
    """Options of the command, except for --data-dir and --json."""

    since: str
    until: str
    kind: str | None
    """Destination: `files`, `influx` or `topic`."""
    names: tuple[str, ...]
    hosts: tuple[str, ...]
    archive: Path | None
    without_kafka: bool
    raw: bool
    rules: str
    name: str | None
    """Part of the names of the topics that are written."""
    dry_run: bool
    verify: bool


@click.command()
@click.option("--from", "since", required=True, metavar="TIME", help=f"Start time, by observation. {WHEN}")
@click.option("--to", "until", default="now", show_default=True, metavar="TIME", help="End time, exclusive")
@click.option("--into", "kind", type=click.Choice([*REPLAYABLE, "topic"]), help="Where to store")
@click.option("--topic", "names", multiple=True, help="Only rows of this topic's records; may be repeated")
@click.option("--host", "hosts", multiple=True, help="Only records of this host; may be repeated")
@click.option(
    "--archive",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    metavar="DIR",
    help="Read the records from this archive instead of Kafka",
)
@click.option("--without-kafka", is_flag=True, help="With --archive, into files: Kafka and its topics no longer exist")
@click.option("--raw", is_flag=True, help="Recompute nothing: copy each topic's records")
@click.option(
    "--rules",
    default="as-then",
    show_default=True,
    metavar="as-then|FILE",
    help="Rules to apply: those in effect at the time, or a rule pack",
)
@click.option("--id", "name", help="Part of the topic names of --into topic  [default: the current time]")
@click.option("--dry-run", is_flag=True, help="Count what would be stored, and store nothing")
@click.option(
    "--verify",
    is_flag=True,
    help="Store nothing; compare with the files (--into influx: InfluxDB), list differences, exit 1 if any",
)
@DATA_DIR
@JSON
def replay(data_dir: Path | None, *, as_json: bool, **options: Any) -> None:
    """Store past records again, or verify stored ones.

    Reads the raw records of a period and recomputes what is derived from them. Rows that are already stored stay as
    they are, so a second run changes nothing, and completes one that was killed. To rebuild rows, delete their files
    first: the whole files directory, or directories of datasets in it, but not _manifest alone. To continue a killed
    run into topics, give its --id.
    """
    _run(ReplayOptions(**options), data_dir, as_json=as_json)


def _run(options: ReplayOptions, data_dir: Path | None, *, as_json: bool) -> None:
    from rackstream.replay.progress import ReplayProgress
    from rackstream.replay.replay import Replay

    _check(options)
    started = datetime.now(UTC)
    if options.verify:
        _verify(options, data_dir, started, as_json=as_json)
    with _kafka(options, data_dir) as (settings, _):
        request = _request(settings, options, started)
        start, source = _start_and_source(settings, request, options)
        destination = _destination(settings, request, start, options, started)
        try:
            summary = Replay(settings, request, start, source, destination, ReplayProgress("replay")).run()
        finally:
            destination.close()
    topics = sorted(summary.rows.keys() | summary.there.keys()) if options.kind == "topic" else []
    if as_json:
        answer = asdict(summary) | {"into": options.kind, "dry_run": options.dry_run, "topics": topics}
        echo(json_text(answer))
        return
    echo(summary.as_text(dry_run=options.dry_run))
    if topics and not options.dry_run:
        echo("these topics stay until you delete them")


def _check(options: ReplayOptions) -> None:
    if options.verify and options.kind == "topic":
        raise Misconfigured("--verify compares with the stored files, or with --into influx; not with topics")
    if options.without_kafka and (options.verify or options.archive is None or options.kind != "files"):
        raise Misconfigured("--without-kafka needs --archive DIR --into files")
    if options.kind is None and not options.verify:
        raise Misconfigured("no destination given: use --into files, influx or topic")
    if options.name is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", options.name):
        raise Misconfigured("--id takes letters, digits, _ and -, 64 at most")


def _verify(options: ReplayOptions, data_dir: Path | None, started: datetime, *, as_json: bool) -> NoReturn:
    """Compares stored rows with those of a replay; exits with 1 if they differ."""
    from rackstream.replay.progress import ReplayProgress
    from rackstream.replay.replay import Replay
    from sinks.replay.compare_files import difference_line

    differences: list[Difference] = []

    def add_difference(difference: Difference) -> None:
        differences.append(difference)
        if not as_json:
            echo(difference_line(difference))

    kind = options.kind or "files"
    with connected(data_dir) as (settings, _):
        request = _request(settings, options, started)
        # Kafka keeps only the newest records of a compacted topic.
        compacted = {alias for alias in request.aliases if "compact" in settings.catalog[alias].cleanup}
        incomplete = set() if options.archive else compacted
        topics = {settings.catalog[alias].name: alias for alias in request.aliases}
        comparison = REPLAYABLE[kind].compare(
            settings, request.range, topics, incomplete=incomplete, on_difference=add_difference
        )
        try:
            start = _start_offsets(settings, request, kind, inspect_stored=comparison.read_stored)
            source = _source(settings, start, options)
            summary = Replay(settings, request, start, source, comparison, ReplayProgress("replay")).run()
            comparison.finish(summary.left_out)
        finally:
            comparison.close()
    _print_differences(summary, comparison, differences, as_json=as_json)
    raise click.exceptions.Exit(1 if differences else 0)


def _request(settings: KafkaSettings, options: ReplayOptions, started: datetime) -> ReplayRequest:
    from processors.alerting import rule_pack
    from rackstream.replay.recompute import ReplayRequest
    from rackstream.text.time_arguments import parse_period
    from runtime.topics import verify
    from sinks.files.manifest import ReplayRange

    since, until = parse_period(options.since, options.until, started)
    period = ReplayRange(since, until, hosts=tuple(sorted(set(options.hosts))) or None)
    packs = None if options.rules == "as-then" else rule_pack.RulePackHistory(rule_pack.load(Path(options.rules)))
    request = ReplayRequest(period, _aliases(settings, options.names), packs, raw=options.raw)
    if not options.without_kafka:
        verify(settings)
    return request


def _start_offsets(
    settings: KafkaSettings,
    request: ReplayRequest,
    kind: str | None,
    inspect_stored: Callable[[], None] | None = None,
) -> StartOffsets:
    """Records the current positions; `inspect_stored` reads the stored rows meanwhile."""
    from rackstream.replay.live_boundary import record_start
    from rackstream.replay.plan import topics_needed

    directory = SINKS[kind].directory if kind is not None and kind in SINKS else None
    files = directory(settings) if directory is not None else None
    sink = kind if files or inspect_stored else None
    return record_start(settings, topics_needed(request.aliases), sink, files=files, inspect_stored=inspect_stored)


def _kafka(options: ReplayOptions, data_dir: Path | None) -> AbstractContextManager[tuple[KafkaSettings, bool]]:
    return nullcontext((kafka_settings(data_dir), False)) if options.without_kafka else connected(data_dir)


def _start_and_source(
    settings: KafkaSettings, request: ReplayRequest, options: ReplayOptions
) -> tuple[StartOffsets, RecordSource]:
    """Returns the current positions, and the source of the records."""
    from rackstream.replay.source import ArchiveSource

    if options.without_kafka and options.archive is not None:
        source = ArchiveSource(settings.catalog, options.archive, None)
        return source.start_offsets(), source
    start = _start_offsets(settings, request, options.kind)
    return start, _source(settings, start, options)


def _source(settings: KafkaSettings, start: StartOffsets, options: ReplayOptions) -> RecordSource:
    from rackstream.replay.source import ArchiveSource, KafkaSource

    if options.archive is None:
        return KafkaSource(settings, start.spans)
    return ArchiveSource(settings.catalog, options.archive, _topic_ids(settings))


def _destination(
    settings: KafkaSettings, request: ReplayRequest, start: StartOffsets, options: ReplayOptions, started: datetime
) -> ReplayDestination:
    if options.kind is None or options.kind not in REPLAYABLE:
        from sinks.replay.topics import ReplayTopics

        name = options.name or started.strftime("%Y%m%dT%H%M%S")
        return ReplayTopics(settings, name, request.aliases, write=not options.dry_run)
    topics = {alias: (settings.catalog[alias].name, start.ids.get(alias, "")) for alias in request.aliases}
    support = REPLAYABLE[options.kind]
    destination: ReplayDestination = support.backfill(
        settings, request.range, topics, started=started, write=not options.dry_run
    )
    return destination


def _topic_ids(settings: KafkaSettings) -> dict[str, str]:
    from runtime.topics import topic_id
    from sinks.files.archive_sink import archived_topics

    names = [settings.catalog[alias].name for alias in archived_topics()]
    return {name: topic_id(settings, name) for name in names}


def _print_differences(
    summary: ReplaySummary, comparison: ReplayComparison, differences: list[Difference], *, as_json: bool
) -> None:
    same = sum(summary.there.values())
    if as_json:
        answer = asdict(summary) | {"counts": comparison.difference_counts, "differences": differences}
        echo(json_text(answer, default=str))
        return
    counts = ", ".join(f"{count:,} {kind}" for kind, count in comparison.difference_counts.items())
    echo(f"{summary.since} to {summary.until}: {same:,} rows found in both; {counts}")
    for example in summary.examples:
        echo(f"  {example}")


def _aliases(settings: KafkaSettings, names: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the requested topics, or all topics with rows if none is requested.

    Raises:
        Misconfigured: There is no such topic, or its records have no rows.
    """
    from sinks import datasets

    try:
        requested = {settings.catalog.find(name).alias for name in names}
    except KeyError as error:
        raise Misconfigured(error.args[0]) from None
    if without_rows := requested - set(datasets.aliases()):
        listed = ", ".join(settings.catalog[alias].name for alias in sorted(without_rows))
        raise Misconfigured(f"the records of {listed} have no rows: there is nothing to store")
    return tuple(alias for alias in datasets.aliases() if not requested or alias in requested)
