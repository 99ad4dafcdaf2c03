"""Commands about alerts: which there are, and which are not to be delivered for a while."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from rackstream.commands.common import DATA_DIR, JSON, connected, stop_event, user
from runtime.errors import Misconfigured


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Go on with transitions as they come, until Ctrl-C")
@click.option("--severity", type=click.Choice(["warning", "critical"]), help="Only these")
@click.option("--host", metavar="GLOB", help="Only of hosts like this")
@DATA_DIR
@JSON
def alerts(follow: bool, severity: str | None, host: str | None, data_dir: Path | None, as_json: bool) -> None:
    """Show the alerts that are active; with --follow, then each transition. --json: one object per line."""
    from rackstream.alerts.active import COLUMNS, Alerts, line, row, wanted
    from rackstream.text.table import as_table
    from rackstream.topics.tail import plain

    stop = stop_event()

    def show(alert: dict[str, Any]) -> None:
        click.echo(json.dumps(plain(alert), ensure_ascii=False) if as_json else line(alert))

    with connected(data_dir) as (settings, lives), closing(Alerts(settings)) as found:
        active = [each for each in found.active() if wanted(each, severity, host)]
        if as_json:
            for each in active:
                show(each)
        else:
            as_table(COLUMNS, map(row, active))
        if follow and lives:
            for transition in found.transitions(stop.is_set):
                if wanted(transition, severity, host):
                    show(transition)


@click.group()
def silence() -> None:
    """Silences: alerts that match are shown, but not delivered, for a time."""


@silence.command("add")
@click.argument("matchers", nargs=-1, required=True, metavar="NAME=PATTERN...")
@click.option("--for", "lasting", metavar="DURATION", help="How long, like 90m or 1d12h")
@click.option("--until", metavar="TIME", help="Or until when, like 2026-01-02T03:04 (UTC)")
@click.option("--from", "since", default="now", show_default=True, metavar="TIME", help="From when on")
@click.option("--why", required=True, help="For whoever wonders why nothing came")
@click.option("--who", help="Who wants it  [default: the user]")
@DATA_DIR
@JSON
def add(  # noqa: PLR0917  click passes options by name
    matchers: tuple[str, ...],
    lasting: str | None,
    until: str | None,
    since: str,
    why: str,
    who: str | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """Do not deliver alerts that match all of these: rule, host, severity, component, a label; * and ? are wild."""
    from rackstream.alerts import silences as silencing
    from rackstream.text.time_arguments import duration, moment
    from sinks.webhook import silences as situation

    pairs = silencing.pairs(matchers)
    if (lasting is None) == (until is None):
        raise Misconfigured("say how long: either --for or --until")
    now = datetime.now(UTC)
    begin = moment(since, now)
    end = moment(until, now) if until else begin + duration(lasting or "")
    made = situation.new_silence(pairs, begin, end, who=who or user(), why=why)
    with connected(data_dir) as (settings, _):
        silencing.add(settings, made)
    _show([made], as_json=as_json)


@silence.command("list")
@click.option("--all", "everything", is_flag=True, help="Those that have ended, too")
@DATA_DIR
@JSON
def list_(everything: bool, data_dir: Path | None, as_json: bool) -> None:
    """The silences that hold now or will."""
    from rackstream.alerts import silences as silencing

    with connected(data_dir) as (settings, _):
        found = silencing.known(settings)
    now = datetime.now(UTC)
    _show([each for each in found if everything or each["ends_at"] > now], as_json=as_json)


@silence.command("end")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@DATA_DIR
@JSON
def end(ids: tuple[str, ...], data_dir: Path | None, as_json: bool) -> None:
    """End silences now: what they muted and is still active is delivered."""
    from rackstream.alerts import silences as silencing

    with connected(data_dir) as (settings, _):
        ended = silencing.end(settings, ids)
    _show(ended, as_json=as_json)


def _show(silences: list[dict[str, Any]], *, as_json: bool) -> None:
    from rackstream.text.table import as_table
    from rackstream.topics.tail import plain

    now = datetime.now(UTC)
    for each in silences if as_json else ():
        click.echo(json.dumps(plain(each), ensure_ascii=False))
    if not as_json:
        columns = ("id", "what", "from", "until", "holds", "who", "why")
        as_table(columns, (_row(each, now) for each in silences))


def _row(each: dict[str, Any], now: datetime) -> tuple[str, ...]:
    what = " ".join(f"{matcher['name']}={matcher['pattern']}" for matcher in each["matchers"])
    holds = "ended" if each["ends_at"] <= now else "not yet" if each["starts_at"] > now else "now"
    times = (f"{each[name]:%Y-%m-%d %H:%M:%S}" for name in ("starts_at", "ends_at"))
    return (each["id"], what, *times, holds, each["who"], each["why"])
