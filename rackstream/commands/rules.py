"""Commands that test, apply and list alert rules."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import click

from rackstream.commands.common import DATA_DIR, JSON, connected, stop_event
from rackstream.text.sanitize import echo, json_text, printable
from runtime.errors import Misconfigured

if TYPE_CHECKING:
    from processors.alerting.rule import Rule
    from schemas.records import Alert

WHEN = "Such as 2026-01-02T03:04 (UTC), or -2h"
FILE = click.argument("file", type=click.Path(path_type=Path, dir_okay=False))


@click.group()
def rules() -> None:
    """Test, apply and list alert rules.

    A rule pack is a record on fleet.rules and applies from a given time on.
    """


@rules.command("apply")
@FILE
@click.option(
    "--effective-from", metavar="TIME", help="Apply to records observed from then on  [default: in a few seconds]"
)
@click.option("--dry-run", is_flag=True, help="Only check the file")
@DATA_DIR
@JSON
def apply(file: Path, effective_from: str | None, dry_run: bool, data_dir: Path | None, as_json: bool) -> None:
    """Check a rule pack and put it on Kafka.

    The processors apply it to records observed from its effective time on.
    """
    from processors.alerting import rule_pack, rule_topic
    from rackstream.text.time_arguments import parse_time

    pack = rule_pack.load(file)
    result: dict[str, object] = {"pack": pack.fingerprint, "rules": len(pack.rules), "applied": False}
    if not dry_run:
        with connected(data_dir) as (settings, _):
            now = datetime.now(UTC)
            soonest = now + rule_pack.ACTIVATION_DELAY
            effective = parse_time(effective_from, now) if effective_from else soonest
            if effective < now:
                raise Misconfigured(
                    f"{effective_from} is in the past, whose records have been evaluated already. Give a future time, "
                    f"or test the pack on past records: `rackstream rules test {file} --from {effective_from}`"
                )
            if (
                effective == soonest
                and rule_topic.read_packs(settings).pack_at(soonest, soonest + rule_pack.ACTIVATION_DELAY).fingerprint
                == pack.fingerprint
            ):
                result |= {"already": True}
            else:
                rule_topic.publish(settings, pack, file.read_text(), effective)
                result |= {"applied": True, "effective_from": effective.isoformat()}
    if as_json:
        echo(json_text(result))
    elif result["applied"]:
        echo(f"pack {pack.fingerprint}, {len(pack.rules)} rules, applies from {effective:%Y-%m-%d %H:%M:%S} UTC on")
    else:
        echo(f"pack {pack.fingerprint}, {len(pack.rules)} rules: {'already applied' if not dry_run else 'valid'}")


@rules.command("list")
@DATA_DIR
@JSON
def list_(data_dir: Path | None, as_json: bool) -> None:
    """List applied rule packs and the current rules."""
    from processors.alerting import rule_topic

    with connected(data_dir) as (settings, _):
        history = rule_topic.read_packs(settings)
    now = datetime.now(UTC)
    active = history.pack_at(now, now)
    packs = [
        {
            "pack": applied.pack.fingerprint,
            "name": applied.pack.name,
            "effective_from": applied.effective_from.isoformat(),
            "rules": len(applied.pack.rules),
        }
        for applied in history.applied
    ]
    if as_json:
        answer = {"active": active.fingerprint, "name": active.name, "packs": packs}
        echo(json_text(answer | {"rules": [rule.model_dump(exclude_defaults=True) for rule in active.rules]}))
        return
    for applied in history.applied:
        pack = applied.pack
        since = f"{applied.effective_from:%Y-%m-%dT%H:%M:%S}"
        echo(printable(f"{since}  {pack.fingerprint}  {len(pack.rules):>3} rules  {pack.name}"))
    origin = "" if packs else ", built in; no pack was applied yet"
    echo()
    echo(printable(f"current pack {active.fingerprint} ({active.name}{origin}):"))
    for rule in active.rules:
        echo(printable(f"  {rule.name:28} {rule.severity:9} {rule.topic:13} {_condition(rule)}"))


def _condition(rule: Rule) -> str:
    from rackstream.text.units import humanize

    if rule.missing:
        return f"missing for {rule.hold} records"
    if rule.word is not None:
        subject = "VM state" if rule.word == "state" and rule.topic == "raw-libvirt" else humanize(rule.word)
        if rule.good == (False,) or rule.bad == (True,):
            return subject
        return f"{subject} is {'not ' if rule.good else ''}{_values(rule)}"
    limit = rule.limit
    assert limit is not None
    base = f"({' + '.join(limit.field_names)})" if limit.plus else limit.field
    share = f"{limit.ratio:g} × {base}" if base else f"{limit.fixed:g}"
    otherwise = f", else {limit.otherwise:g}" if limit.otherwise is not None else ""
    at_least = f", at least {limit.at_least:g}" if limit.at_least is not None else ""
    return f"{rule.value} {rule.worse} {share}{otherwise}{at_least}"


def _values(rule: Rule) -> str:
    """Returns the values of a rule on a word, libvirt's state numbers as names."""
    from rackstream.text.alert_text import DOMAIN_STATES

    values = rule.good or rule.bad or ()
    if rule.word == "state" and rule.topic == "raw-libvirt":
        return " or ".join(DOMAIN_STATES.get(int(value), str(value)) for value in values)
    return " or ".join(map(str, values))


@rules.command("test")
@FILE
@click.option("--from", "since", metavar="TIME", help=f"Start time, by observation. {WHEN}")
@click.option("--to", "until", default="now", show_default=True, metavar="TIME", help="End time, exclusive")
@click.option("--live", is_flag=True, help="Run on live records until Ctrl-C")
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
    """Try a rule pack on past or live records.

    Shows the alerts that the pack would raise, and how they differ from those of the applied packs. Writes nothing.
    """
    from processors.alerting import rule_pack, rule_topic
    from processors.alerting.rule_pack import RulePackHistory
    from rackstream.alerts.rule_tryout import RuleTryout
    from rackstream.alerts.rule_tryout_kafka import RuleTryoutSource
    from rackstream.text.time_arguments import parse_period

    if live == (since is not None):
        raise Misconfigured("give either --from (and perhaps --to) or --live")
    pack, now = rule_pack.load(file), datetime.now(UTC)
    first, end = parse_period(since, until, now) if since else (now, now + timedelta(days=36500))
    stop = stop_event()
    with connected(data_dir) as (settings, _):
        tryout = RuleTryout(settings.catalog, RulePackHistory(pack), rule_topic.read_packs(settings), first)
        source = RuleTryoutSource(settings)
        source.process_history(tryout, first, end)
        if live:
            ends_s = time.monotonic() + duration if duration is not None else float("inf")
            echo("running on live records; Ctrl-C to stop", err=True)
            source.follow(
                tryout,
                lambda origin, transition: _print_transition(origin, transition, as_json=as_json),
                lambda: stop.is_set() or time.monotonic() >= ends_s,
            )
    summary = {
        "pack": pack.fingerprint,
        "from": first.isoformat(),
        "to": datetime.now(UTC).isoformat() if live else end.isoformat(),
    }
    echo(json_text(summary | tryout.as_plain()) if as_json else tryout.as_text())


def _print_transition(origin: str, transition: Alert, *, as_json: bool) -> None:
    if not as_json:
        at = f"{transition['observed_at']:%H:%M:%S}"
        line = f"{at}  {origin:9} {transition['transition']:8} {transition['host']:16} {transition['text']}"
        echo(printable(line))
