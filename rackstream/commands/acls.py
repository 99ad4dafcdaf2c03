"""The command that prints, checks and creates Kafka ACLs."""

from __future__ import annotations

from pathlib import Path

import click

from rackstream.access.roles import ROLES, Acl, acls_of
from rackstream.commands.common import bootstrapped, kafka_settings
from rackstream.text.sanitize import echo, json_text


@click.command()
@click.option(
    "--role", "selected", multiple=True, type=click.Choice(list(ROLES)), help="Only this role  [default: all]"
)
@click.option("--principal-prefix", default="User:", show_default=True, help="Prefix of the principals")
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["kafka-acls", "json"]),
    default="kafka-acls",
    show_default=True,
    help="Commands of Kafka's own tool, or one JSON object",
)
@click.option("--check", is_flag=True, help="List missing and extra ACLs; exit code 1 if there are any")
@click.option("--apply", "create", is_flag=True, help="Create missing ACLs; none are deleted")
@click.option(
    "--passwords",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="With --apply: directory of files named like roles; sets each role's password to the content of its file",
)
def acls(
    selected: tuple[str, ...],
    principal_prefix: str,
    output_format: str,
    *,
    check: bool,
    create: bool,
    passwords: Path | None,
) -> None:
    """Print, check or create each role's Kafka ACLs.

    Each role gets the ACLs that it needs, and no others.
    """
    from rackstream.access import acls as kafka_acls

    if passwords is not None and not create:
        raise click.UsageError("--passwords needs --apply")
    settings = kafka_settings(None)
    roles = selected or tuple(ROLES)
    required = {f"{principal_prefix}{role}": acls_of(role, settings.catalog, settings.topic_prefix) for role in roles}
    if not check and not create:
        _print_acls(required, output_format)
        return
    settings = bootstrapped(settings)
    missing, extra = kafka_acls.compare(settings, required)
    if create:
        echo(f"created {kafka_acls.create(settings, missing)} ACLs")
        missing = {}
        if passwords is not None:
            echo(f"set the passwords of {', '.join(kafka_acls.set_passwords(settings, passwords, roles))}")
    for principal in required:
        for acl in missing.get(principal, ()):
            echo(f"{principal} lacks {acl}")
        for description in extra[principal]:
            echo(f"{principal} has {description}, which its role does not need")
    raise click.exceptions.Exit(1 if check and any((*missing.values(), *extra.values())) else 0)


def _print_acls(required: dict[str, frozenset[Acl]], output_format: str) -> None:
    from rackstream.access.acls import kafka_acls_commands

    if output_format == "json":
        entries = {
            principal: [
                {"operation": acl.operation, "resource": acl.resource_type, "name": acl.name, "prefixed": acl.prefixed}
                for acl in sorted(acls)
            ]
            for principal, acls in required.items()
        }
        echo(json_text(entries, indent=1))
        return
    for principal, acls in required.items():
        for line in kafka_acls_commands(principal, acls):
            echo(line)
