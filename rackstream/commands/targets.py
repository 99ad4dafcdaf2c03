"""Commands that check fleet files, show target status, and edit the targets on Kafka."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, cast

import click

from rackstream.commands.common import DATA_DIR, JSON, connected
from rackstream.text.sanitize import echo, json_text, printable
from rackstream.text.units import quantity
from runtime.errors import Misconfigured, Retry
from schemas.sources import SHAREABLE_SOURCES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from producers.shared_targets.admin import TargetPlan
    from runtime.settings import KafkaSettings
    from schemas.records import Target, TargetStatus


@click.group()
def targets() -> None:
    """Check, list, add, pause and resume targets.

    Targets are in a fleet file, or stored on Kafka and divided among producers (`producer --shared`).
    """


@targets.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False), default=Path("fleet.yaml"))
@click.option("--without-secrets", is_flag=True, help="Do not check that variables and files it refers to exist")
def check(file: Path, without_secrets: bool) -> None:
    """Check a fleet file; exit code 2 if it is wrong.

    Reports everything that is wrong with FILE [default: fleet.yaml], with line numbers.
    """
    from producers.fleet import config as fleet_file

    fleet = fleet_file.load(file)
    if not without_secrets:
        fleet_file.check_references(fleet.all_targets, file)
    for source in fleet.sources:
        source_targets = fleet.targets(source)
        hosts = {host for target in source_targets for host in getattr(target, "systems", {}).values()}
        systems = f", {len(hosts)} more hosts as systems of these" if hosts else ""
        echo(f"{source}: {len(source_targets)} target{'s' * (len(source_targets) != 1)}{systems}")
    if not fleet.sources:
        echo(f"{file} has no targets", err=True)


@targets.command()
@click.option("--all", "everything", is_flag=True, help="Include targets removed from the fleet")
@DATA_DIR
@JSON
def status(everything: bool, data_dir: Path | None, as_json: bool) -> None:
    """Show the status of each target, worst first.

    With requests, latency, and the producer that polls it.
    """
    from producers.polling.status import STATUSES_BY_SEVERITY
    from rackstream.text.json import jsonable
    from runtime import compacted_topic

    with connected(data_dir) as (settings, _):
        latest = cast("Mapping[str, TargetStatus]", compacted_topic.read_latest(settings, "state-targets"))
    statuses = [status for status in latest.values() if everything or not status["removed"]]
    ranks = {name: -rank for rank, name in enumerate(STATUSES_BY_SEVERITY)}
    statuses.sort(key=lambda status: (ranks.get(status["status"], 1), status["source"], status["host"]))
    for target_status in statuses:
        echo(json_text(jsonable(target_status)) if as_json else _status_line(target_status))
    if not statuses and not as_json:
        echo("no target has been polled yet", err=True)


SOURCE = click.argument("source", type=click.Choice(SHAREABLE_SOURCES))
ACCESS = (
    click.option("--username", help="User of a BMC"),
    click.option("--password", help="env:NAME or file:PATH as its producer reads it; never the password itself"),
    click.option("--verify", help="Verify certificates: true, false, or a file of CA certificates  [default: true]"),
    click.option("--interval", type=float, help="Seconds between two polls  [default: 10; libvirt: 1]"),
)


def _access(command: Callable[..., None]) -> Callable[..., None]:
    """Adds the options for access to a target."""
    for option in reversed(ACCESS):
        command = option(command)
    return command


def _fleet_entry(**options: str | float | None) -> dict[str, object]:
    """Returns the options that were given, as an entry of a fleet file."""
    entry: dict[str, object] = {name: value for name, value in options.items() if value is not None}
    if (verify := entry.get("verify")) in {"true", "false"}:
        entry["verify"] = verify == "true"
    return entry


@targets.command()
@SOURCE
@click.argument("host")
@click.argument("address")
@_access
@click.option("--label", "labels", multiple=True, metavar="NAME=VALUE", help="May be repeated")
@click.option(
    "--system", "systems", multiple=True, metavar="ID=HOST", help="Host name of a System of the BMC; may be repeated"
)
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
    """Add or change a target on Kafka.

    A shared producer polls HOST at ADDRESS (https://… of its BMC, or a libvirt URI). Adding a host again replaces its
    entry.
    """
    from producers.registry import SOURCE_SPECS
    from producers.shared_targets import admin

    entry: dict[str, object] = {
        "host": host,
        SOURCE_SPECS[source].target.address_field: address,
        "labels": _pairs("--label", labels),
    }
    entry |= _fleet_entry(username=username, password=password, verify=verify, interval=interval)
    if systems:
        entry["systems"] = _pairs("--system", systems)
    target = admin.record_from_entry(source, entry)
    with connected(data_dir) as (settings, _):
        changes = admin.plan_changes(admin.read_targets(settings), [target])
        admin.publish_plan(settings, changes)
        _print_changes(settings, changes, as_json=as_json)


@targets.command()
@SOURCE
@click.argument("hosts", nargs=-1, required=True)
@DATA_DIR
@JSON
def remove(source: str, hosts: tuple[str, ...], data_dir: Path | None, as_json: bool) -> None:
    """Remove targets from Kafka.

    Shared producers stop polling them.
    """
    from producers.shared_targets import admin

    with connected(data_dir) as (settings, _):
        changes = admin.plan_removal(admin.read_targets(settings), source, hosts)
        admin.publish_plan(settings, changes)
        _print_changes(settings, changes, as_json=as_json)


@targets.command("import")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--prune", is_flag=True, help="Remove targets that FILE does not have, of the sources that it has")
@click.option("--dry-run", is_flag=True, help="Print the changes, write nothing")
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
    """Put the targets of a file on Kafka.

    FILE is a fleet file, CSV (host, address, …), or Prometheus' file_sd. --username, --password, --verify and
    --interval are defaults for targets of CSV and file_sd.
    """
    from producers.fleet import importers
    from producers.shared_targets import admin

    defaults = _fleet_entry(username=username, password=password, verify=verify, interval=interval)
    fleet = importers.load(file, defaults)
    targets = admin.shareable_records(fleet)
    if fleet.targets("host"):
        echo("section host is skipped: a producer polls the machine it runs on", err=True)
    if not targets:
        raise Misconfigured(f"{file} has no targets that can be shared; to remove targets, use `targets remove`")
    with connected(data_dir) as (settings, _):
        sources = {target["source"] for target in targets}
        changes = admin.plan_changes(admin.read_targets(settings), targets, prune=sources if prune else ())
        if not dry_run:
            admin.publish_plan(settings, changes)
        _print_changes(settings, changes, as_json=as_json, dry_run=dry_run)


@targets.command("list")
@DATA_DIR
@JSON
def list_(data_dir: Path | None, as_json: bool) -> None:
    """List the targets on Kafka.

    They are divided among shared producers; `targets status` shows their status.
    """
    from producers.shared_targets import admin

    with connected(data_dir) as (settings, _):
        stored = [target for _, target in sorted(admin.read_targets(settings).items()) if not target["removed"]]
    for target in stored:
        echo(json_text(target) if as_json else _target_line(target))
    if not stored and not as_json:
        echo("no targets on Kafka; add them with `rackstream targets import fleet.yaml`", err=True)


def _pairs(option: str, arguments: tuple[str, ...]) -> dict[str, str]:
    pairs = dict(argument.partition("=")[::2] for argument in arguments)
    if not all("=" in argument and argument[0] != "=" for argument in arguments):
        raise Misconfigured(f"{option}: NAME=VALUE is expected")
    return pairs


def _target_line(target: Target) -> str:
    login = f"as {target['username']} by {target['password']}" if target["username"] else ""
    labels = " ".join(f"{name}={value}" for name, value in sorted(target["labels"].items()))
    interval = f"every {target['interval_s']:g} s" if target["interval_s"] else ""
    address = f"{target['source']:<8} {target['host']:<20} {target['address']}"
    return printable("  ".join(filter(None, (address, interval, login, labels))))


def _print_changes(settings: KafkaSettings, changes: TargetPlan, *, as_json: bool, dry_run: bool = False) -> None:
    """Prints what a command has changed, and warns if no producer polls the targets."""
    lists = {"added": changes.added, "changed": changes.changed, "removed": changes.removed}
    if as_json:
        hosts = {name: [target["host"] for target in targets] for name, targets in lists.items()}
        echo(json_text(hosts | {"unchanged": changes.unchanged, "dry_run": dry_run}))
        return
    signs = {"added": "+", "changed": "~", "removed": "-"}
    for name, targets in lists.items() if dry_run else ():
        for target in targets:
            echo(f"{signs[name]} {_target_line(target)}")
    counts = [f"{len(targets)} {name}" for name, targets in lists.items() if targets]
    counts += [f"{changes.unchanged} unchanged"] if changes.unchanged else []
    echo(("dry run, nothing written: " if dry_run else "") + (", ".join(counts) or "no changes"))
    if dry_run:
        return
    for source in sorted({target["source"] for target in (*changes.added, *changes.changed)}):
        _warn_if_unshared(settings, source)


def _warn_if_unshared(settings: KafkaSettings, source: str) -> None:
    """Warns if no shared producer polls the source.

    Which one does is not checked: that needs ACLs which an import does not need.
    """
    from producers.shared_targets.group_member import count_members

    try:
        if not count_members(settings, source):
            echo(f"no producer polls them yet: start `rackstream producer {source} --shared`", err=True)
    except Retry:
        return


def _status_line(status: TargetStatus) -> str:
    polls = f"{quantity(status['polls'], 'poll')}, {status['failures']} failed, {status['late']} late"
    requests = ""
    if status["requests"]:
        mean_s = status["request_mean_s"]
        mean = "" if mean_s is None else f" ({1000 * mean_s:.0f} ms on average)"
        requests = f", {quantity(status['requests'], 'request')}{mean}"
    product = " ".join(filter(None, (status["vendor"], status["model"], status["firmware"])))
    details = [f"since {status['since']:%Y-%m-%d %H:%M:%S}", polls + requests, product, status["detail"]]
    target = f"{status['status']:<12} {status['source']:<8} {status['host']:<20} "
    return printable(target + "; ".join(filter(None, details)))
