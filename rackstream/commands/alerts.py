"""Commands that list alerts, and list, add and end silences."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rackstream.commands.common import DATA_DIR, JSON, connected, stop_event, user_name
from rackstream.text.sanitize import echo, json_text, printable
from runtime.errors import Misconfigured

if TYPE_CHECKING:
    from rackstream.alerts.active import ListedAlert
    from schemas.records import Silence


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Follow transitions until Ctrl-C")
@click.option("--severity", type=click.Choice(["warning", "critical"]), help="Only alerts of this severity")
@click.option("--host", metavar="GLOB", help="Only alerts of matching hosts")
@DATA_DIR
@JSON
def alerts(follow: bool, severity: str | None, host: str | None, data_dir: Path | None, as_json: bool) -> None:
    """List active alerts and follow transitions.

    With --follow, prints each later transition. --json prints one object per line.
    """
    from rackstream.alerts.active import COLUMNS, AlertFollower, matches, table_row, transition_line
    from rackstream.text.json import jsonable
    from rackstream.text.table import print_table

    stop = stop_event()

    def show(alert: ListedAlert) -> None:
        echo(json_text(jsonable(alert)) if as_json else printable(transition_line(alert)))

    with connected(data_dir) as (settings, keeps_running), closing(AlertFollower(settings)) as follower:
        active = [alert for alert in follower.active() if matches(alert, severity, host)]
        if as_json:
            for alert in active:
                show(alert)
        else:
            print_table(COLUMNS, map(table_row, active))
        if follow and keeps_running:
            for transition in follower.transitions(stop.is_set):
                if matches(transition, severity, host):
                    show(transition)


@click.group()
def silence() -> None:
    """Add, list and end silences.

    Alerts that match an active silence are shown, but not delivered.
    """


@silence.command("add")
@click.argument("matchers", nargs=-1, required=True, metavar="NAME=PATTERN...")
@click.option("--for", "lasting", metavar="DURATION", help="Duration, such as 90m or 1d12h")
@click.option("--until", metavar="TIME", help="End time instead of a duration, such as 2026-01-02T03:04 (UTC)")
@click.option("--from", "since", default="now", show_default=True, metavar="TIME", help="Start time")
@click.option("--why", required=True, help="Reason, e.g. a ticket")
@click.option("--who", help="Your name  [default: the user]")
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
    """Add a silence for alerts that match all matchers.

    Matchers are NAME=PATTERN. NAME is rule, host, severity, component, or a label. Wildcards in PATTERN: * and ?.
    """
    from rackstream.alerts.silences import add_silence, parse_matchers
    from rackstream.text.time_arguments import parse_duration, parse_time
    from sinks.webhook.silences import new_silence

    pairs = parse_matchers(matchers)
    if (lasting is None) == (until is None):
        raise Misconfigured("give either --for or --until")
    now = datetime.now(UTC)
    start = parse_time(since, now)
    end = parse_time(until, now) if until else start + parse_duration(lasting or "")
    silence = new_silence(pairs, start, end, author=who or user_name(), reason=why)
    with connected(data_dir) as (settings, _):
        add_silence(settings, silence)
    _print_silences([silence], as_json=as_json)


@silence.command("list")
@click.option("--all", "everything", is_flag=True, help="Include ended silences")
@DATA_DIR
@JSON
def list_(everything: bool, data_dir: Path | None, as_json: bool) -> None:
    """List active and pending silences."""
    from rackstream.alerts.silences import read_silences

    with connected(data_dir) as (settings, _):
        silences = read_silences(settings)
    now = datetime.now(UTC)
    _print_silences([silence for silence in silences if everything or silence["ends_at"] > now], as_json=as_json)


@silence.command("end")
@click.argument("ids", nargs=-1, required=True, metavar="ID...")
@DATA_DIR
@JSON
def end(ids: tuple[str, ...], data_dir: Path | None, as_json: bool) -> None:
    """End silences now.

    Alerts that they muted and that are still active are delivered.
    """
    from rackstream.alerts.silences import end_silences

    with connected(data_dir) as (settings, _):
        ended = end_silences(settings, ids)
    _print_silences(ended, as_json=as_json)


def _print_silences(silences: list[Silence], *, as_json: bool) -> None:
    from rackstream.text.json import jsonable
    from rackstream.text.table import print_table

    now = datetime.now(UTC)
    for silence in silences if as_json else ():
        echo(json_text(jsonable(silence)))
    if not as_json:
        columns = ("id", "matchers", "start", "end", "state", "author", "reason")
        print_table(columns, (_row(silence, now) for silence in silences))


def _row(silence: Silence, now: datetime) -> tuple[str, ...]:
    matchers = " ".join(f"{matcher['name']}={matcher['pattern']}" for matcher in silence["matchers"])
    state = "ended" if silence["ends_at"] <= now else "pending" if silence["starts_at"] > now else "active"
    times = (f"{time:%Y-%m-%d %H:%M:%S}" for time in (silence["starts_at"], silence["ends_at"]))
    return (silence["id"], matchers, *times, state, silence["who"], silence["why"])
