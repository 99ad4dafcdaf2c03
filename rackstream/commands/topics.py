"""Commands that list topics, print records, and run the audit."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import click

from rackstream.audit.legend import LEGEND
from rackstream.commands.common import DATA_DIR, JSON, connected, stop_event
from rackstream.text.sanitize import echo


@click.command()
@click.option("--create", is_flag=True, help="Create missing topics and publish the schemas")
@click.option("--replication", default=1, show_default=True, help="Replication factor of created topics")
@DATA_DIR
@JSON
def topics(create: bool, replication: int, data_dir: Path | None, as_json: bool) -> None:
    """List topics with partitions and record counts."""
    from rackstream.topics.tail import print_topics
    from runtime import topics as topic_admin

    with connected(data_dir) as (settings, _):
        if create:
            for name in topic_admin.create(settings, replication=replication):
                echo(f"created {name}", err=True)
            topic_admin.publish_schemas(settings)
        print_topics(settings, as_json=as_json)


@click.command()
@click.argument("topic")
@click.option("-n", "--last", default=100, show_default=True, help="Start with at most this many records")
@click.option("--follow/--no-follow", default=True, help="Follow new records  [default: while Kafka runs]")
@DATA_DIR
@JSON
def tail(topic: str, last: int, follow: bool, data_dir: Path | None, as_json: bool) -> None:
    """Print a topic's latest records and follow it."""
    from rackstream.topics.tail import print_records

    stop = stop_event()
    with connected(data_dir) as (settings, keeps_running):
        print_records(
            settings, topic, last=last, follow=follow and keeps_running, as_json=as_json, stopping=stop.is_set
        )


@click.command(epilog="\b\nCounters:\n" + "\n".join(f"  {name:12} {meaning}" for name, meaning in LEGEND.items()))
@DATA_DIR
@JSON
def audit(data_dir: Path | None, as_json: bool) -> None:
    """Count what is lost, duplicated, late or wrong.

    Reads all topics and stored files, and reconciles their records by epoch, sequence and identity. Exit code 1 if
    anything is lost, stored twice, wrong or invented.
    """
    from rackstream.audit.audit import Audit

    with connected(data_dir) as (settings, _):
        result = Audit(settings, progress=partial(echo, err=True) if sys.stderr.isatty() else lambda _: None).run()
        echo(result.as_json() if as_json else result.as_text())
        raise click.exceptions.Exit(0 if result.healthy else 1)
