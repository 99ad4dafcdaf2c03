"""Commands about alert rules: apply a pack, list those there are, try one out on history or live."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from rackstream.commands.common import DATA_DIR, JSON, connected, stop_event
from runtime.errors import Misconfigured

WHEN = "Like 2026-01-02T03:04 (UTC), or -2h"
FILE = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))


@click.group()
def rules() -> None:
    """Alert rules: packs of them are records on fleet.rules, and judge from a time on."""


@rules.command("apply")
@FILE
@click.option(
    "--effective-from", metavar="TIME", help="Judge what is observed from then on  [default: in a few seconds]"
)
@click.option("--dry-run", is_flag=True, help="Only check the file")
@DATA_DIR
@JSON
def apply(file: Path, effective_from: str | None, dry_run: bool, data_dir: Path | None, as_json: bool) -> None:
    """Check a pack and put it on Kafka; the processors judge by it from its time on."""
    from processors.alerting import rule_pack, rule_topic
    from rackstream.text.time_arguments import moment

    pack = rule_pack.load(file)
    said: dict[str, Any] = {"pack": pack.fingerprint, "rules": len(pack.rules), "applied": False}
    if not dry_run:
        with connected(data_dir) as (settings, _):
            now = datetime.now(UTC)
            soonest = now + rule_pack.LEAD
            begin = moment(effective_from, now) if effective_from else soonest
            if begin < now:
                raise Misconfigured(
                    f"{effective_from} is past: what was observed then has been judged. Give a time to come, or try "
                    f"the pack out on what was: `rackstream rules test {file} --from {effective_from}`"
                )
            if (
                begin == soonest
                and rule_topic.read(settings).at(soonest, soonest + rule_pack.LEAD).fingerprint == pack.fingerprint
            ):
                said |= {"already": True}
            else:
                rule_topic.publish(settings, pack, file.read_text(), begin)
                said |= {"applied": True, "effective_from": begin.isoformat()}
    if as_json:
        click.echo(json.dumps(said))
    elif said["applied"]:
        click.echo(f"pack {pack.fingerprint}, {len(pack.rules)} rules, judges from {begin:%Y-%m-%d %H:%M:%S} UTC on")
    else:
        click.echo(
            f"pack {pack.fingerprint}, {len(pack.rules)} rules: {'it judges already' if not dry_run else 'good'}"
        )


@rules.command("list")
@DATA_DIR
@JSON
def list_(data_dir: Path | None, as_json: bool) -> None:
    """The packs on Kafka, and the rules of the one that judges now."""
    from processors.alerting import rule_topic

    with connected(data_dir) as (settings, _):
        found = rule_topic.read(settings)
    now = datetime.now(UTC)
    active = found.at(now, now)
    packs_: list[dict[str, Any]] = [
        {
            "pack": each.pack.fingerprint,
            "name": each.pack.name,
            "effective_from": each.effective_from.isoformat(),
            "rules": len(each.pack.rules),
        }
        for each in found.applied
    ]
    if as_json:
        said = {"active": active.fingerprint, "name": active.name, "packs": packs_}
        click.echo(json.dumps(said | {"rules": [rule.model_dump(exclude_defaults=True) for rule in active.rules]}))
        return
    for each in packs_:
        click.echo(f"{each['effective_from'][:19]}  {each['pack']}  {each['rules']:>3} rules  {each['name']}")
    origin = "" if packs_ else ", which comes with the code; none was applied yet"
    click.echo(f"\nnow judges {active.fingerprint} ({active.name}{origin}):")
    for rule in active.rules:
        click.echo(f"  {rule.name:28} {rule.severity:9} {rule.topic:13} {_what(rule)}")


def _what(rule: Any) -> str:
    if rule.missing:
        return f"missing for {rule.hold} records"
    if rule.word is not None:
        return f"{rule.word} {'not ' if rule.good else ''}in {', '.join(map(str, rule.good or rule.bad))}"
    limit = rule.limit
    of = f"({' + '.join(limit.fields)})" if limit.plus else limit.field
    share = f"{limit.ratio:g} × {of}" if of else f"{limit.fixed:g}"
    otherwise = f", else {limit.otherwise:g}" if limit.otherwise is not None else ""
    at_least = f", at least {limit.at_least:g}" if limit.at_least is not None else ""
    return f"{rule.value} {rule.worse} {share}{otherwise}{at_least}"


@rules.command("test")
@FILE
@click.option("--from", "since", metavar="TIME", help=f"First time of observation. {WHEN}")
@click.option("--to", "until", default="now", show_default=True, metavar="TIME", help="End, itself left out")
@click.option("--live", is_flag=True, help="On what comes, until Ctrl-C")
@click.option("--duration", type=click.FloatRange(min=0), help="With --live: seconds")
@DATA_DIR
@JSON
def test(  # noqa: PLR0917  click passes options by name
    file: Path,
    since: str | None,
    until: str,
    live: bool,
    duration: float | None,
    data_dir: Path | None,
    as_json: bool,
) -> None:
    """What a pack would do, on history or live, and how that differs from the packs applied. Writes nothing."""
    from processors.alerting import rule_pack, rule_topic
    from processors.alerting.rule_pack import Packs
    from rackstream.alerts.rule_tryout import Tryout
    from rackstream.alerts.rule_tryout_kafka import Source
    from rackstream.text.time_arguments import period

    if live == (since is not None):
        raise Misconfigured("give either --from (and --to) or --live")
    pack, now = rule_pack.load(file), datetime.now(UTC)
    first, end = period(since, until, now) if since else (now, now + timedelta(days=36500))
    stop = stop_event()
    with connected(data_dir) as (settings, _):
        tryout = Tryout(settings.catalog, Packs(pack), rule_topic.read(settings), first)
        source = Source(settings)
        source.recorded(tryout, first, end)
        if live:
            ends_s = time.monotonic() + duration if duration is not None else float("inf")
            click.echo("as it comes; Ctrl-C ends it", err=True)
            source.live(
                tryout,
                lambda whose, each: _tell(whose, each, as_json=as_json),
                lambda: stop.is_set() or time.monotonic() >= ends_s,
            )
    said = {
        "pack": pack.fingerprint,
        "from": first.isoformat(),
        "to": datetime.now(UTC).isoformat() if live else end.isoformat(),
    }
    click.echo(json.dumps(said | tryout.as_plain(), ensure_ascii=False) if as_json else tryout.as_text())


def _tell(whose: str, transition: dict[str, Any], *, as_json: bool) -> None:
    if not as_json:
        at = f"{transition['observed_at']:%H:%M:%S}"
        click.echo(f"{at}  {whose:9} {transition['transition']:8} {transition['host']:16} {transition['text']}")
