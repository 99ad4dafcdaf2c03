"""Host view: sources, alerts, sensors with their limits, components, VMs, operating system and history."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from nicegui import ui

from rackstream.view.answers import AlertRow
from rackstream.view.detail_answers import HostDetail, TargetDetail
from rackstream.web import cells, dialogs
from rackstream.web.alerts import alert_cells
from rackstream.web.charts import HOST_CHARTS, HistoryCharts
from rackstream.web.grid import Grid, GridColumn
from rackstream.web.layout import PageFrame, main, panel
from rackstream.web.parts import PARTS, PARTS_ABOVE_CHARTS, PartPanel

TARGETS: Final = (
    GridColumn("Source"),
    GridColumn("Status"),
    GridColumn("Last change"),
    GridColumn("Last report"),
    GridColumn("Poll duration", "number"),
    GridColumn("Address"),
    GridColumn("Producer"),
    GridColumn("Detail", "wide"),
    GridColumn("", "number"),
)
ALERTS: Final = (
    GridColumn("Start (UTC)"),
    GridColumn("Severity"),
    GridColumn("Description", "wide"),
    GridColumn("Muted by"),
    GridColumn("", "number"),
)
UNKNOWN: Final = (
    "Unknown host. Is it in <code>fleet.yaml</code>? <code>rackstream doctor HOST</code> finds where its data stops."
)


def _target_row(target: TargetDetail, now: datetime) -> list[str]:
    verb, label = ("resume", "Resume") if target.status == "stopped" else ("pause", "Pause")
    description = f"{label} polling of {target.source}"
    change = cells.button(label, f"{verb}:{target.source}", description=description, danger=verb == "pause")
    duration = cells.NOTHING if target.duration_s is None else f"{target.duration_s:.2f} s"
    return [
        cells.text(target.source),
        cells.state(target.status),
        cells.age(target.since, now),
        cells.age(target.observed_at, now),
        duration,
        cells.mono(target.address),
        cells.mono(target.producer),
        cells.text(target.detail),
        change,
    ]


def _alert_row(alert: AlertRow, now: datetime) -> list[str]:
    silence = cells.button("Silence", f"silence:{alert.rule}", description=f"Silence {alert.rule} of this host")
    start, severity, _, text = alert_cells(alert, now)
    return [start, severity, text, cells.text(", ".join(alert.muted_by)), silence]


def _facts(host: HostDetail) -> str:
    pairs: list[tuple[str, object]] = []
    for system in host.systems[:2]:
        pairs += [
            ("Model", " ".join(word for word in (system.manufacturer, system.model) if word)),
            ("Serial", system.serial),
            ("BIOS", system.bios),
            ("Power", system.power_state),
            ("CPUs", system.processors),
            ("Memory", f"{system.memory_gib:,.0f} GiB" if system.memory_gib else None),
        ]
    firmware = {target.firmware for target in host.targets if target.firmware}
    vendors = {target.vendor for target in host.targets if target.vendor} if not host.systems else set()
    pairs += [("Vendor", ", ".join(sorted(vendors))), ("BMC firmware", ", ".join(sorted(firmware)))]
    if host.row.watts is not None:
        pairs.append(("Consumption", f"{host.row.watts:,.0f} W"))
        available = host.power.get("available_watts")
        pairs.append(("of", f"{available:,.0f} W" if available else None))
    return cells.facts(pairs) + cells.labels(host.row.labels)


async def build(frame: PageFrame, name: str) -> None:
    """Builds the view of one host."""
    sources: set[str] = set()
    rules: set[str] = set()

    async def on_action(action: str) -> None:
        verb, _, subject = action.partition(":")
        if verb == "pause" and subject in sources:
            await dialogs.pause_polling(frame, subject, name)
        elif verb == "resume" and subject in sources:
            await dialogs.resume_polling(frame, subject, name)
        elif verb == "silence" and subject in rules:
            await dialogs.create_silence(frame, {"host": name, "rule": subject})

    with main():
        with ui.element("div").classes("title"):
            ui.html(cells.text(name), tag="h1")
            health = ui.html("")
            with ui.element("div").classes("actions"):
                silence = ui.html("Silence alerts", tag="button").classes("action")
                silence.on("click", lambda: dialogs.create_silence(frame, {"host": name}))
        facts = ui.html("").classes("facts")
        unknown = ui.html(UNKNOWN).classes("notice")
        with ui.element("div").style("display: contents") as content:
            with panel("Sources"):
                target_grid = Grid(
                    "Sources of this host", TARGETS, empty="No source polls this host.", on_action=on_action
                )
            with panel("Active alerts"):
                alert_grid = Grid("Active alerts of this host", ALERTS, empty="No active alerts.", on_action=on_action)
            part_panels = [PartPanel(part) for part in PARTS_ABOVE_CHARTS]
            charts = HistoryCharts(frame, HOST_CHARTS, {"host": name})
            with ui.element("div").classes("panels"):
                part_panels += [PartPanel(part) for part in PARTS]

    async def refresh() -> None:
        host = await frame.query(frame.view.host, name)
        content.set_visibility(host is not None)
        unknown.set_visibility(host is None)
        if host is None:
            return
        now = datetime.now(UTC)
        sources.clear()
        sources.update(target.source for target in host.targets)
        rules.clear()
        rules.update(alert.rule for alert in host.alerts)
        since = f"since {host.health_since:%Y-%m-%d %H:%M} UTC" if host.health_since else None
        health.content = cells.state(host.row.health, "health", since)
        facts.content = _facts(host)
        target_grid.show([_target_row(target, now) for target in host.targets])
        alert_grid.show([_alert_row(alert, now) for alert in host.alerts])
        for part_panel in part_panels:
            part_panel.show(host)

    await frame.refresh_every(1.0, refresh)
    ui.timer(0.1, charts.refresh, once=True)
    ui.timer(10.0, charts.refresh, immediate=False)
