"""Alerts view: active alerts and their mutes, silences, latest transitions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from nicegui import ui

from rackstream.view.answers import AlertRow
from rackstream.web import cells, dialogs
from rackstream.web.grid import Grid, GridColumn
from rackstream.web.layout import PageFrame, main, panel
from schemas.records import Silence

MAX_ROWS: Final = 50
SEVERITIES: Final = {"": "Any severity", "critical": "critical", "warning": "warning"}
ACTIVE_ALERTS: Final = (
    GridColumn("Start (UTC)"),
    GridColumn("Severity"),
    GridColumn("Host"),
    GridColumn("Rule"),
    GridColumn("Description", "wide"),
    GridColumn("Muted by"),
    GridColumn("", "number"),
)
TRANSITIONS: Final = (
    GridColumn("Time (UTC)"),
    GridColumn("Transition"),
    GridColumn("Severity"),
    GridColumn("Host"),
    GridColumn("Rule"),
    GridColumn("Description", "wide"),
)
SILENCES: Final = (
    GridColumn("Matchers", "wide"),
    GridColumn("State"),
    GridColumn("End (UTC)"),
    GridColumn("Author"),
    GridColumn("Reason", "wide"),
    GridColumn("", "number"),
)


def host_link(name: str) -> str:
    """A host's name as a link to its view."""
    return cells.link(name, cells.path("hosts", name))


def alert_cells(alert: AlertRow, now: datetime) -> list[str]:
    """Start, severity, host and description of an active alert."""
    return [
        cells.short_time(alert.started_at, now),
        cells.state(alert.severity),
        host_link(alert.host),
        cells.text(alert.text),
    ]


def _active_row(alert: AlertRow, now: datetime) -> list[str]:
    start, severity, host, text = alert_cells(alert, now)
    silence = cells.button("Silence", f"silence:{alert.id}", description=f"Silence {alert.rule} of {alert.host}")
    return [start, severity, host, cells.text(alert.rule), text, cells.text(", ".join(alert.muted_by)), silence]


def _transition_row(alert: AlertRow) -> list[str]:
    transition = alert.transition + (f" ({alert.cause})" if alert.cause else "")
    tone = "good" if alert.transition == "cleared" else ""
    return [
        cells.timestamp(alert.observed_at),
        cells.text(transition, tone),
        cells.state(alert.severity),
        host_link(alert.host),
        cells.text(alert.rule),
        cells.text(alert.text),
    ]


def _silence_row(silence: Silence, now: datetime) -> list[str]:
    matchers = " ".join(f"{matcher['name']}={matcher['pattern']}" for matcher in silence["matchers"])
    state = "expired" if silence["ends_at"] <= now else "pending" if silence["starts_at"] > now else "active"
    end = cells.button("End", f"end:{silence['id']}", description=f"End the silence of {matchers}")
    return [
        cells.text(matchers),
        state,
        cells.timestamp(silence["ends_at"]),
        cells.text(silence["who"]),
        cells.text(silence["why"]),
        end if state != "expired" else "",
    ]


async def build(frame: PageFrame) -> None:
    """Builds the view."""
    shown_alerts: dict[str, AlertRow] = {}
    shown_silences: set[str] = set()

    async def on_action(action: str) -> None:
        verb, _, subject = action.partition(":")
        if verb == "silence" and (alert := shown_alerts.get(subject)) is not None:
            await dialogs.create_silence(frame, {"host": alert.host, "rule": alert.rule})
        elif verb == "end" and subject in shown_silences:
            await dialogs.end_silence(frame, subject)

    with main():
        with ui.element("div").classes("title"):
            ui.html("Alerts", tag="h1")
            with ui.element("div").classes("actions"):
                new = ui.html("New silence", tag="button").classes("action")
                new.on("click", lambda: dialogs.create_silence(frame, {}))
        with panel("Active") as box:
            with box.tools:
                search = ui.input(placeholder="Search host, rule or text")
                search.props('outlined dense clearable debounce=250 aria-label="Search alerts"')
                severity = ui.select(SEVERITIES, value="").props('outlined dense options-dense aria-label="Severity"')
            active_grid = Grid("Active alerts", ACTIVE_ALERTS, empty="No active alerts.", on_action=on_action)
            more = ui.html("").classes("pager")
        with panel("Silences"):
            silence_grid = Grid("Silences", SILENCES, empty="No silences.", on_action=on_action)
        with panel("History"):
            history_grid = Grid("Transitions of alerts, newest first", TRANSITIONS, empty="No transitions yet.")

    async def refresh() -> None:
        alerts = frame.view.alerts
        words, level = search.value or "", severity.value or None
        active = await frame.query(alerts, words, severity=level, state="active", limit=MAX_ROWS)
        shown_alerts.clear()
        shown_alerts.update({row.id: row for row in active.rows})
        active_grid.set_empty("No matching alerts." if words or level else "No active alerts.")
        now = datetime.now(UTC)
        active_grid.show([_active_row(row, now) for row in active.rows])
        remaining = active.total - len(active.rows)
        more.content = f"{remaining:,} more: search for them" if remaining > 0 else ""
        more.set_visibility(remaining > 0)
        history = await frame.query(alerts, words, severity=level, state="history", limit=MAX_ROWS)
        history_grid.show([_transition_row(row) for row in history.rows])
        silences = [silence for silence in await frame.query(frame.view.silences) if silence["ends_at"] > now]
        shown_silences.clear()
        shown_silences.update(silence["id"] for silence in silences)
        silence_grid.show([_silence_row(silence, now) for silence in silences])

    search.on_value_change(refresh)
    severity.on_value_change(refresh)
    await frame.refresh_every(1.0, refresh)
