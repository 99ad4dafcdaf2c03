"""Commands about targets: is the fleet file right, and how do the targets stand."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from rackstream.commands.common import DATA_DIR, JSON, connected
from rackstream.printable import printable


@click.group()
def targets() -> None:
    """What is polled: check a fleet file, see how its targets stand."""


@targets.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), default=Path("fleet.yaml"))
@click.option("--without-secrets", is_flag=True, help="Do not look whether variables and files it names are there")
def check(file: Path, without_secrets: bool) -> None:
    """Name everything that is wrong with FILE [default: fleet.yaml], with its lines; exit 2 if anything is."""
    from producers import targets as fleet_file

    fleet = fleet_file.load(file)
    if not without_secrets:
        fleet_file.check_references(fleet, file)
    for source in fleet.sources:
        found = getattr(fleet, source).targets
        hosts = {host for target in found for host in getattr(target, "systems", {}).values()}
        more = f", {len(hosts)} more hosts by their systems" if hosts else ""
        click.echo(f"{source}: {len(found)} target{'s' * (len(found) != 1)}{more}")
    if not fleet.sources:
        click.echo(f"{file} names no targets", err=True)


@targets.command()
@click.option("--all", "everything", is_flag=True, help="Those that were removed from the fleet file, too")
@DATA_DIR
@JSON
def status(everything: bool, data_dir: Path | None, as_json: bool) -> None:
    """How each target stands: the worst first, with requests, latency and who polls it."""
    from producers.status import WORSE
    from rackstream.tail import plain
    from runtime import tables

    with connected(data_dir) as (settings, _):
        found = [
            each for each in tables.newest(settings, "state-targets").values() if everything or not each["removed"]
        ]
    ranks = {name: -rank for rank, name in enumerate(WORSE)}
    found.sort(key=lambda each: (ranks.get(each["status"], 1), each["source"], each["host"]))
    for each in found:
        click.echo(json.dumps(plain(each), ensure_ascii=False) if as_json else _line(each))
    if not found and not as_json:
        click.echo("no target has been polled yet", err=True)


def _line(each: dict[str, Any]) -> str:
    """One target."""
    polls = f"{each['polls']} polls, {each['failures']} failed, {each['late']} late"
    requests = ""
    if each["requests"]:
        mean = "" if each["request_mean_s"] is None else f" of {1000 * each['request_mean_s']:.0f} ms"
        requests = f", {each['requests']} requests{mean}"
    who = printable(" ".join(each[name] for name in ("vendor", "model", "firmware") if each[name]))
    parts = [f"since {each['since']:%Y-%m-%d %H:%M:%S}", polls + requests, who, each["detail"]]
    return f"{each['status']:<12} {each['source']:<8} {each['host']:<20} " + "; ".join(part for part in parts if part)
