"""The command that reads one target without Kafka, to show what it reports."""

from __future__ import annotations

from pathlib import Path

import click

from rackstream.commands.common import FLEET, JSON
from runtime.errors import Misconfigured


@click.command()
@click.argument("target")
@click.option("--username", help="User of the BMC")
@click.option("--password-env", metavar="NAME", help="Environment variable with the password")
@click.option("--password-file", type=click.Path(path_type=Path, dir_okay=False), help="File with the password")
@click.option("--insecure", is_flag=True, help="Do not verify the certificate")
@click.option("--ca", type=click.Path(path_type=Path, dir_okay=False), help="File of CA certificates to verify it with")
@click.option("--timeout", default=120.0, show_default=True, type=click.FloatRange(min=1), help="Seconds per category")
@FLEET
@JSON
def probe(  # noqa: PLR0917
    target: str,
    username: str | None,
    password_env: str | None,
    password_file: Path | None,
    insecure: bool,
    ca: Path | None,
    timeout: float,
    fleet: Path,
    as_json: bool,
) -> None:
    """Read one target once and show what it reports.

    TARGET is a BMC's URL (https://10.0.0.11), a libvirt URI, or a host of the fleet file. It is read as a producer
    would, and its session is deleted at the end. Nothing is published. Exit code 1 if it does not answer or a part
    could not be read, 2 if an operator must act.
    """
    from rackstream.probe import target as probing

    if password_env and password_file:
        raise Misconfigured("give --password-env or --password-file, not both")
    if insecure and ca:
        raise Misconfigured("give --insecure or --ca, not both")
    password = f"env:{password_env}" if password_env else f"file:{password_file}" if password_file else None
    access = probing.LoginOptions(username, password, ca or not insecure)
    is_complete = probing.run(probing.targets(target, access, fleet), timeout, as_json=as_json)
    raise click.exceptions.Exit(0 if is_complete else 1)
