"""The fleet in a few lines, what is wrong with Kafka, and one picture of it all. Pure: a view in, text out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from rich.text import Text

from rackstream.terminal import detail_tables, list_tables
from rackstream.terminal.layout import Line, Row, Table, joined, said, whole
from rackstream.text import units
from rackstream.view import answers
from rackstream.view.model import NOT_ASKED, View


def summary(found: answers.Overview) -> list[Text]:
    """The fleet at a glance, in parts that a line may be broken between."""
    up, targets = found.statuses.get("up", 0), sum(found.statuses.values())
    active = sum(found.alerts.values())
    worst = "bad" if found.alerts.get("critical") else "warn" if active else ""
    alerts = said(f"{active:,} alert{'s' * (active != 1)}", worst) + _counts(found.alerts)
    rate = [said(units.number(found.records_s, " records/s"))] if found.records_s is not None else []
    silent = [said(f"{len(found.silent)} producers silent", "bad")] if found.silent else []
    return [
        said(f"{found.hosts:,} host{'s' * (found.hosts != 1)}") + _counts(found.health),
        alerts,
        said(f"{up:,} of {targets:,} targets up", "" if up == targets else "warn"),
        *silent,
        said(units.number(found.watts, " W")),
        said(f"{found.vms:,} VM{'s' * (found.vms != 1)}"),
        *rate,
    ]


def _counts(counts: Mapping[str, int]) -> Text:
    """Those that are not zero, in brackets."""
    parts = [said(f"{count:,} {word}", units.tone(word)) for word, count in counts.items() if count]
    return Text(" (") + joined(parts, ", ") + Text(")") if parts else Text()


def notice(view: View) -> Text | None:
    """What whoever looks must know of the view itself; None: nothing."""
    if not view.ready:
        waiting = "" if view.kafka in ("", NOT_ASKED) else f": {view.kafka}"
        return said(f"Reading what Kafka holds …{waiting}", "bad" if waiting else "warn")
    if view.kafka:
        return said(f"Kafka is away ({view.kafka}); shown is what was known, and it goes on when Kafka is back", "bad")
    return None


def fleet(view: View, width: int, rows: int) -> list[Line]:
    """The fleet: its sums, hosts (the first `rows` by name) and active alerts (the first ten)."""
    at = datetime.now(UTC)
    page, alerts = view.hosts(limit=rows), view.alerts(limit=10)
    told = notice(view)
    left = page.total - len(page.rows)
    more = [Row((said(f"… and {left:,} more hosts", "soft"),))] if left > 0 else []
    return whole(
        [
            Table("", rows=[*([Row((told,))] if told else []), Row((joined(summary(view.overview(at)), "   "),))]),
            list_tables.hosts(page, at),
            Table("", rows=more),
            list_tables.alerts(alerts.rows, at, "No alert is active."),
        ],
        width,
    )


def host(view: View, name: str, width: int) -> list[Line] | None:
    """All of one host; None: nothing is known of it."""
    found = view.host(name)
    return None if found is None else whole(detail_tables.host(found, datetime.now(UTC)), width)
