"""Commands that look: topics, records, the audit."""

from __future__ import annotations

from pathlib import Path

import click

from rackstream.commands.common import DATA_DIR, JSON, connected, stop_event


@click.command()
@click.option("--create", is_flag=True, help="Create the topics that are missing, publish the schemas")
@click.option("--replication", default=1, show_default=True, help="Replication factor of topics created")
@DATA_DIR
@JSON
def topics(create: bool, replication: int, data_dir: Path | None, as_json: bool) -> None:
    """List the topics: partitions, records, what they are."""
    from rackstream.topics.tail import print_topics
    from runtime import topics as on_broker

    with connected(data_dir) as (settings, _):
        if create:
            for name in on_broker.create(settings, replication=replication):
                click.echo(f"created {name}", err=True)
            on_broker.publish_schemas(settings)
        print_topics(settings, as_json=as_json)


@click.command()
@click.argument("topic")
@click.option("-n", "--last", default=100, show_default=True, help="Begin with this many records, or fewer")
@click.option("--follow/--no-follow", default=True, help="Go on with what comes  [default: while Kafka runs]")
@DATA_DIR
@JSON
def tail(topic: str, last: int, follow: bool, data_dir: Path | None, as_json: bool) -> None:
    """Print the records of a topic, oldest first, then those that come."""
    from rackstream.topics.tail import tail as print_records

    stop = stop_event()
    with connected(data_dir) as (settings, lives):
        print_records(settings, topic, last=last, follow=follow and lives, as_json=as_json, stopping=stop.is_set)


@click.command()
@DATA_DIR
@JSON
def audit(data_dir: Path | None, as_json: bool) -> None:
    """Recount everything on topics and in files: what is lost, stored twice, late, by epoch, sequence and identity."""
    from rackstream.audit.audit import Audit

    with connected(data_dir) as (settings, _):
        found = Audit(settings).run()
        click.echo(found.as_json() if as_json else found.as_text())
        raise click.exceptions.Exit(0 if found.healthy else 1)
