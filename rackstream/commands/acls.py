"""The command about rights on Kafka."""

from __future__ import annotations

import json
from pathlib import Path

import click

from rackstream.access import roles as rights
from rackstream.commands.common import bootstrapped, kafka_settings


@click.command()
@click.option(
    "--role", "chosen", multiple=True, type=click.Choice(list(rights.ROLES)), help="Only this  [default: all]"
)
@click.option(
    "--principal-prefix", default="User:", show_default=True, help="What stands before a role in its principal"
)
@click.option(
    "--format",
    "shape",
    type=click.Choice(["kafka-acls", "json"]),
    default="kafka-acls",
    show_default=True,
    help="Commands of Kafka's own tool, or one JSON object",
)
@click.option("--check", is_flag=True, help="Say what Kafka lacks of it, and has beyond it; exit code 1 if anything")
@click.option("--apply", "create", is_flag=True, help="Create what lacks; nothing is taken away")
@click.option(
    "--passwords",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="With --apply: a directory of files called as roles; each role's user gets the password in its file",
)
def acls(
    chosen: tuple[str, ...], principal_prefix: str, shape: str, *, check: bool, create: bool, passwords: Path | None
) -> None:
    """Print, check or create the rights that each role needs on Kafka, and none beyond them."""
    from rackstream.access import acls as lists

    if passwords is not None and not create:
        raise click.UsageError("--passwords goes with --apply")
    settings = kafka_settings(None)
    roles = chosen or tuple(rights.ROLES)
    wanted = {f"{principal_prefix}{role}": rights.of(role, settings.catalog, settings.topic_prefix) for role in roles}
    if not check and not create:
        _print(wanted, shape)
        return
    settings = bootstrapped(settings)
    lacking, beyond = lists.compare(settings, wanted)
    if create:
        click.echo(f"created {lists.create(settings, lacking)} rights")
        lacking = {}
        if passwords is not None:
            click.echo(f"set the passwords of {', '.join(lists.set_passwords(settings, passwords, roles))}")
    for principal in wanted:
        for each in lacking.get(principal, ()):
            click.echo(f"{principal} lacks {each}")
        for text in beyond[principal]:
            click.echo(f"{principal} has {text}, which its role does not need")
    raise click.exceptions.Exit(1 if check and any((*lacking.values(), *beyond.values())) else 0)


def _print(wanted: dict[str, frozenset[rights.Right]], shape: str) -> None:
    from rackstream.access.acls import commands

    if shape == "json":
        found = {
            principal: [
                {"operation": each.operation, "resource": each.kind, "name": each.name, "prefixed": each.prefixed}
                for each in sorted(needed)
            ]
            for principal, needed in wanted.items()
        }
        click.echo(json.dumps(found, indent=1))
        return
    for principal, needed in wanted.items():
        for line in commands(principal, needed):
            click.echo(line)
