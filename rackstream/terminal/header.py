"""Summary line, notice about Kafka, and the one-shot picture of `rackstream top --once`. Pure: a view in, text out."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from rich.text import Text

from rackstream.terminal import detail_tables, list_tables
from rackstream.terminal.layout import ScreenLine, TableRow, TextTable, join, render_tables, styled
from rackstream.text import units
from rackstream.view.answers import KAFKA_NOT_CONTACTED, Overview
from rackstream.view.model import View


def summary(overview: Overview) -> list[Text]:
    """The fleet's totals, in parts between which the line may be broken."""
    up, targets = overview.statuses.get("up", 0), sum(overview.statuses.values())
    active = sum(overview.alerts.values())
    worst = "bad" if overview.alerts.get("critical") else "warn" if active else ""
    alerts = styled(f"{active:,} alert{'s' * (active != 1)}", worst) + _counts(overview.alerts)
    records_s = overview.records_s
    rate = [styled(units.format_number(records_s, " records/s"))] if records_s is not None else []
    silent = [styled(f"{len(overview.silent)} producers silent", "bad")] if overview.silent else []
    return [
        styled(f"{overview.hosts:,} host{'s' * (overview.hosts != 1)}") + _counts(overview.health),
        alerts,
        styled(f"{up:,} of {targets:,} targets up", "" if up == targets else "warn"),
        *silent,
        styled(units.format_number(overview.watts, " W")),
        styled(f"{overview.vms:,} VM{'s' * (overview.vms != 1)}"),
        *rate,
    ]


def _counts(counts: Mapping[str, int]) -> Text:
    """The counts above zero, in brackets."""
    parts = [styled(f"{count:,} {word}", units.tone(word)) for word, count in counts.items() if count]
    return Text(" (") + join(parts, ", ") + Text(")") if parts else Text()


def notice(view: View) -> Text | None:
    """Warning that the view is incomplete or out of date; None if it is current."""
    if not view.ready:
        error = "" if view.kafka in ("", KAFKA_NOT_CONTACTED) else f": {view.kafka}"
        return styled(f"Reading from Kafka …{error}", "bad" if error else "warn")
    if view.kafka or view.reader_problem:
        return styled(view.pipeline().outage_notice, "bad")
    return None


def fleet(view: View, width: int, rows: int) -> list[ScreenLine]:
    """Renders the fleet: totals, the first `rows` hosts by name, and the first ten active alerts."""
    at = datetime.now(UTC)
    page, alerts = view.hosts(limit=rows), view.alerts(limit=10)
    warning = notice(view)
    remaining = page.total - len(page.rows)
    more = [TableRow((styled(f"… and {remaining:,} more hosts", "soft"),))] if remaining > 0 else []
    totals = TableRow((join(summary(view.overview(at)), "   "),))
    return render_tables(
        [
            TextTable("", rows=[*([TableRow((warning,))] if warning else []), totals]),
            list_tables.hosts(page, at),
            TextTable("", rows=more),
            list_tables.alerts(alerts.rows, at, "No active alerts."),
        ],
        width,
    )


def host(view: View, name: str, width: int) -> list[ScreenLine] | None:
    """Renders the details of one host; None if there is no host of this name."""
    detail = view.host(name)
    return None if detail is None else render_tables(detail_tables.host(detail, datetime.now(UTC)), width)
