"""Commands about targets: is the fleet file right, how do the targets stand, and which do shared producers divide."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rackstream.commands.common import DATA_DIR, JSON, connected
from rackstream.text.sanitize import printable
from runtime.errors import Misconfigured, Retry

if TYPE_CHECKING:
    from producers.shared_targets.admin import Plan
    from runtime.settings import KafkaSettings


@click.group()
def targets() -> None:
    """What is polled: check a fleet file, see how targets stand; and those on Kafka that shared producers divide."""


@targets.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), default=Path("fleet.yaml"))
@click.option("--without-secrets", is_flag=True, help="Do not look whether variables and files it names are there")
def check(file: Path, without_secrets: bool) -> None:
    """Name everything that is wrong with FILE [default: fleet.yaml], with its lines; exit 2 if anything is."""
    from producers.fleet import config as fleet_file

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
    from producers.polling.status import WORSE
    from rackstream.topics.tail import plain
    from runtime import compacted_topic

    with connected(data_dir) as (settings, _):
        found = [
            each
            for each in compacted_topic.newest(settings, "state-targets").values()
            if everything or not each["removed"]
        ]
    ranks = {name: -rank for rank, name in enumerate(WORSE)}
    found.sort(key=lambda each: (ranks.get(each["status"], 1), each["source"], each["host"]))
    for each in found:
        click.echo(json.dumps(plain(each), ensure_ascii=False) if as_json else _line(each))
    if not found and not as_json:
        click.echo("no target has been polled yet", err=True)


SOURCE = click.argument("source", type=click.Choice(["redfish", "libvirt"]))
ACCESS = (
    click.option("--username", help="User of a BMC"),
    click.option("--password", help="env:NAME or file:PATH, where its producer finds it; never the password itself"),
    click.option("--verify", help="Check certificates: true, false, or a file of CA certificates  [default: true]"),
    click.option("--interval", type=float, help="Seconds between two polls  [default: 10; libvirt: 1]"),
)


def _access(command: Any) -> Any:
    for option in reversed(ACCESS):
        command = option(command)
    return command


def _given(**options: Any) -> dict[str, Any]:
    """Options that were given, as entries of a fleet file."""
    found = {name: value for name, value in options.items() if value is not None}
    if (verify := found.get("verify")) in {"true", "false"}:
        found["verify"] = verify == "true"
    return found


@targets.command()
@SOURCE
@click.argument("host")
@click.argument("address")
@_access
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="May be repeated")
@click.option("--system", "systems", multiple=True, metavar="ID=HOST", help="Host of one System of the BMC; repeatable")
@DATA_DIR
@JSON
def add(  # noqa: PLR0917  click passes options by name
    source: str,
    host: str,
    address: str,
    username: str | None,
    password: str | None,
    verify: str | None,
    interval: float | None,
    labels: tuple[str, ...],
    systems: tuple[str, ...],
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Have shared producers poll HOST at ADDRESS (https://… of its BMC, or a libvirt URI); again: as is said now."""
    from producers.shared_targets import admin

    entry = {"host": host, "uri" if source == "libvirt" else "address": address, "labels": _pairs("--label", labels)}
    entry |= _given(username=username, password=password, verify=verify, interval=interval)
    if systems:
        entry["systems"] = _pairs("--system", systems)
    wanted = admin.one(source, entry)
    with connected(data_dir) as (settings, _):
        changes = admin.plan(admin.read(settings), [wanted])
        admin.write(settings, changes)
        _tell(settings, changes, as_json=as_json)


@targets.command()
@SOURCE
@click.argument("hosts", nargs=-1, required=True)
@DATA_DIR
@JSON
def remove(source: str, hosts: tuple[str, ...], data_dir: Path | None, as_json: bool) -> None:
    """Have shared producers poll these no more."""
    from producers.shared_targets import admin

    with connected(data_dir) as (settings, _):
        changes = admin.removal(admin.read(settings), source, hosts)
        admin.write(settings, changes)
        _tell(settings, changes, as_json=as_json)


@targets.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--prune", is_flag=True, help="Remove those that FILE does not name, of the sources that it names")
@click.option("--dry-run", is_flag=True, help="Only say what would be written")
@_access
@DATA_DIR
@JSON
def import_(  # noqa: PLR0917  click passes options by name
    file: Path,
    prune: bool,
    dry_run: bool,
    username: str | None,
    password: str | None,
    verify: str | None,
    interval: float | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Have shared producers poll what FILE names: a fleet file, CSV (host, address, …), or Prometheus's file_sd.

    --username, --password, --verify and --interval hold for targets of CSV and file_sd that do not say otherwise.
    """
    from producers.fleet import importers
    from producers.shared_targets import admin

    given = _given(username=username, password=password, verify=verify, interval=interval)
    fleet = importers.load(file, given)
    wanted = admin.records(fleet)
    if fleet.host.targets:
        click.echo("section host is left out: each is the machine that its producer runs on", err=True)
    if not wanted:
        raise Misconfigured(f"{file} names no targets that can be shared; `targets remove` removes")
    with connected(data_dir) as (settings, _):
        sources = {each["source"] for each in wanted}
        changes = admin.plan(admin.read(settings), wanted, prune=sources if prune else ())
        if not dry_run:
            admin.write(settings, changes)
        _tell(settings, changes, as_json=as_json, dry_run=dry_run)


@targets.command("list")
@DATA_DIR
@JSON
def list_(data_dir: Path | None, as_json: bool) -> None:
    """The targets on Kafka that shared producers divide; `status` says how they stand."""
    from producers.shared_targets import admin

    with connected(data_dir) as (settings, _):
        found = [each for _, each in sorted(admin.read(settings).items()) if not each["removed"]]
    for each in found:
        click.echo(json.dumps(each, ensure_ascii=False) if as_json else _described(each))
    if not found and not as_json:
        click.echo("no targets on Kafka; `rackstream targets import fleet.yaml` puts them there", err=True)


def _pairs(option: str, given: tuple[str, ...]) -> dict[str, str]:
    found = dict(each.partition("=")[::2] for each in given)
    if not all("=" in each and each[0] != "=" for each in given):
        raise Misconfigured(f"{option}: NAME=VALUE is expected")
    return found


def _described(each: dict[str, Any]) -> str:
    """One record."""
    login = f"as {each['username']} by {each['password']}" if each["username"] else ""
    labels = " ".join(f"{name}={value}" for name, value in sorted(each["labels"].items()))
    every = f"every {each['interval_s']:g} s" if each["interval_s"] else ""
    what = f"{each['source']:<8} {each['host']:<20} {each['address']}"
    return str(printable("  ".join(filter(None, (what, every, login, labels)))))


def _tell(settings: KafkaSettings, changes: Plan, *, as_json: bool, dry_run: bool = False) -> None:
    """What a command has changed, and whether anybody polls it."""
    lists = {"added": changes.added, "changed": changes.changed, "removed": changes.removed}
    if as_json:
        said = {name: [each["host"] for each in found] for name, found in lists.items()}
        click.echo(json.dumps(said | {"unchanged": changes.unchanged, "dry_run": dry_run}, ensure_ascii=False))
        return
    signs = {"added": "+", "changed": "~", "removed": "-"}
    for name, found in lists.items() if dry_run else ():
        for each in found:
            click.echo(f"{signs[name]} {_described(each)}")
    counts = ", ".join(f"{len(found)} {name}" for name, found in lists.items() if found)
    same = f"{changes.unchanged} as it was" if changes.unchanged else ""
    click.echo(
        ("nothing written; it would be: " if dry_run else "") + (", ".join(filter(None, (counts, same))) or "nothing")
    )
    if dry_run:
        return
    for source in sorted({each["source"] for each in (*changes.added, *changes.changed)}):
        _tell_of_group(settings, source)


def _tell_of_group(settings: KafkaSettings, source: str) -> None:
    """That nobody polls them, if so. Not who may: it costs rights that an import does not need."""
    from producers.shared_targets.group_member import members

    try:
        if not members(settings, source):
            click.echo(f"no producer shares them yet: start `rackstream producer {source} --shared`", err=True)
    except Retry:
        return


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
