"""Alerts: what is active and what mutes it, how they came and went, silences."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from nicegui import ui

from rackstream.web import cells, dialogs
from rackstream.web.grid import Column, Grid
from rackstream.web.layout import Frame, main, panel

PAGE: Final = 50
SEVERITIES: Final = {"": "Any severity", "critical": "critical", "warning": "warning"}
ACTIVE: Final = (
    Column("Since (UTC)"),
    Column("Severity"),
    Column("Host"),
    Column("Rule"),
    Column("What", "wide"),
    Column("Muted by"),
    Column("", "number"),
)
PAST: Final = (
    Column("At (UTC)"),
    Column("Transition"),
    Column("Severity"),
    Column("Host"),
    Column("Rule"),
    Column("What", "wide"),
)
SILENCES: Final = (
    Column("Matches", "wide"),
    Column("Holds"),
    Column("Until (UTC)"),
    Column("Who"),
    Column("Why", "wide"),
    Column("", "number"),
)


def host_link(name: str) -> str:
    """A host's name as a link to its view."""
    return cells.link(name, cells.path("hosts", name))


def brief(alert: Any, now: datetime) -> list[str]:
    """An active alert in four cells."""
    return [
        cells.since(alert.started_at, now),
        cells.state(alert.severity),
        host_link(alert.host),
        cells.text(alert.text),
    ]


def _active(alert: Any, now: datetime) -> list[str]:
    since, severity, host, text = brief(alert, now)
    silence = cells.button("Silence", f"silence:{alert.id}", label=f"Silence {alert.rule} of {alert.host}")
    return [since, severity, host, cells.text(alert.rule), text, cells.text(", ".join(alert.muted_by)), silence]


def _past(alert: Any) -> list[str]:
    transition = alert.transition + (f" ({alert.cause})" if alert.cause else "")
    tone = "good" if alert.transition == "cleared" else ""
    return [
        cells.moment(alert.observed_at),
        cells.text(transition, tone),
        cells.state(alert.severity),
        host_link(alert.host),
        cells.text(alert.rule),
        cells.text(alert.text),
    ]


def _silence(each: Any, now: datetime) -> list[str]:
    matchers = " ".join(f"{matcher['name']}={matcher['pattern']}" for matcher in each["matchers"])
    holds = "ended" if each["ends_at"] <= now else "not yet" if each["starts_at"] > now else "now"
    end = cells.button("End", f"end:{each['id']}", label=f"End the silence of {matchers}") if holds != "ended" else ""
    return [
        cells.text(matchers),
        holds,
        cells.moment(each["ends_at"]),
        cells.text(each["who"]),
        cells.text(each["why"]),
        end,
    ]


async def build(frame: Frame) -> None:
    """Builds the view."""
    shown: dict[str, Any] = {}
    silences: set[str] = set()

    async def act(what: str) -> None:
        verb, _, name = what.partition(":")
        if verb == "silence" and (alert := shown.get(name)) is not None:
            await dialogs.silence(frame, {"host": alert.host, "rule": alert.rule})
        elif verb == "end" and name in silences:
            await dialogs.end_silence(frame, name)

    with main():
        with ui.element("div").classes("title"):
            ui.html("Alerts", tag="h1")
            with ui.element("div").classes("actions"):
                new = ui.html("New silence", tag="button").classes("action")
                new.on("click", lambda: dialogs.silence(frame, {}))
        with panel("Active") as box:
            with box.tools:
                search = ui.input(placeholder="Search host, rule or text")
                search.props('outlined dense clearable debounce=250 aria-label="Search alerts"')
                severity = ui.select(SEVERITIES, value="").props('outlined dense options-dense aria-label="Severity"')
            active = Grid("Active alerts", ACTIVE, empty="No alert is active.", on_act=act)
            more = ui.html("").classes("pager")
        with panel("Silences"):
            silenced = Grid("Silences", SILENCES, empty="Nothing is silenced.", on_act=act)
        with panel("History"):
            past = Grid("Transitions of alerts, newest first", PAST, empty="No alert has come or gone yet.")

    async def refresh() -> None:
        ask = frame.console.ask
        wanted = {"search": search.value or "", "severity": severity.value or None, "limit": PAGE}
        found = await ask("alerts", state="active", **wanted)
        shown.clear()
        shown.update({row.id: row for row in found.rows})
        active.empty("No active alert matches." if wanted["search"] or wanted["severity"] else "No alert is active.")
        now = datetime.now(UTC)
        active.show([_active(row, now) for row in found.rows])
        left = found.total - len(found.rows)
        more.content = f"{left:,} more: search for them" if left > 0 else ""
        more.set_visibility(left > 0)
        gone = await ask("alerts", state="history", **wanted)
        past.show([_past(row) for row in gone.rows])
        known = [each for each in await ask("silences") if each["ends_at"] > now]
        silences.clear()
        silences.update(each["id"] for each in known)
        silenced.show([_silence(each, now) for each in known])

    search.on_value_change(refresh)
    severity.on_value_change(refresh)
    await frame.every(1.0, refresh)
