"""One host: how its sources stand, its sensors with their limits, parts, VMs, own figures and history."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from nicegui import ui

from rackstream.web import cells, dialogs, parts
from rackstream.web.alerts import brief
from rackstream.web.charts import HOST, Charts
from rackstream.web.grid import Column, Grid
from rackstream.web.layout import Frame, main, panel

TARGETS: Final = (
    Column("Source"),
    Column("Status"),
    Column("Since"),
    Column("Told"),
    Column("A poll took", "number"),
    Column("Address"),
    Column("By"),
    Column("Detail", "wide"),
    Column("", "number"),
)
ALERTS: Final = (
    Column("Since (UTC)"),
    Column("Severity"),
    Column("What", "wide"),
    Column("Muted by"),
    Column("", "number"),
)
UNKNOWN: Final = (
    "Nothing is known of a host of this name. Is it in <code>fleet.yaml</code>? <code>rackstream doctor HOST</code> "
    "says where its data stops."
)


def _target(each: Any, now: datetime) -> list[str]:
    verb, words = ("start", "Start") if each.status == "stopped" else ("stop", "Stop")
    change = cells.button(words, f"{verb}:{each.source}", label=f"{words} {each.source} polls", danger=verb == "stop")
    took = cells.NOTHING if each.duration_s is None else f"{each.duration_s:.2f} s"
    return [
        cells.text(each.source),
        cells.state(each.status),
        cells.age(each.since, now),
        cells.age(each.observed_at, now),
        took,
        f'<span class="mono">{cells.text(each.address)}</span>',
        f'<span class="mono">{cells.text(each.producer)}</span>',
        cells.text(each.detail),
        change,
    ]


def _alert(alert: Any, now: datetime) -> list[str]:
    silence = cells.button("Silence", f"silence:{alert.rule}", label=f"Silence {alert.rule} of this host")
    since, severity, _, text = brief(alert, now)
    return [since, severity, text, cells.text(", ".join(alert.muted_by)), silence]


def _about(host: Any) -> str:
    pairs: list[tuple[str, Any]] = []
    for system in host.systems[:2]:
        model = " ".join(word for word in (system.manufacturer, system.model) if word)
        memory = f"{system.memory_gib:,.0f} GiB" if system.memory_gib else None
        pairs += [
            ("Model", model),
            ("Serial", system.serial),
            ("BIOS", system.bios),
            ("Power", system.power_state),
            ("CPUs", system.processors),
            ("Memory", memory),
        ]
    told = {target.firmware for target in host.targets if target.firmware}
    vendors = {target.vendor for target in host.targets if target.vendor} if not host.systems else set()
    pairs += [("Vendor", ", ".join(sorted(vendors))), ("BMC firmware", ", ".join(sorted(told)))]
    if host.row.watts is not None:
        pairs.append(("Consumes", f"{host.row.watts:,.0f} W"))
    available = host.power.get("available_watts")
    pairs.append(("of", f"{available:,.0f} W" if host.row.watts is not None and available else None))
    return cells.facts(pairs) + cells.labels(host.row.labels)


async def build(frame: Frame, name: str) -> None:
    """Builds the view of one host."""
    latest: dict[str, Any] = {}

    async def act(what: str) -> None:
        verb, _, which = what.partition(":")
        if verb in ("start", "stop") and which in latest.get("sources", ()):
            await dialogs.start_or_stop(frame, verb, which, name)
        elif verb == "silence" and which in latest.get("rules", ()):
            await dialogs.silence(frame, {"host": name, "rule": which})

    with main():
        with ui.element("div").classes("title"):
            ui.html(cells.text(name), tag="h1")
            health = ui.html("")
            with ui.element("div").classes("actions"):
                silence = ui.html("Silence alerts", tag="button").classes("action")
                silence.on("click", lambda: dialogs.silence(frame, {"host": name}))
        facts = ui.html("").classes("facts")
        missing = ui.html(UNKNOWN).classes("notice")
        with ui.element("div").style("display: contents") as known:
            with panel("Sources"):
                targets = Grid("Sources of this host", TARGETS, empty="No source reads it now.", on_act=act)
            with panel("Active alerts"):
                alerts = Grid("Active alerts of this host", ALERTS, empty="No alert is active.", on_act=act)
            tables = [parts.Part(each) for each in parts.FIRST]
            charts = Charts(frame, HOST, {"host": name})
            with ui.element("div").classes("panels"):
                tables += [parts.Part(each) for each in parts.REST]

    async def refresh() -> None:
        host = await frame.console.ask("host", name)
        known.set_visibility(host is not None)
        missing.set_visibility(host is None)
        if host is None:
            return
        now = datetime.now(UTC)
        latest["sources"] = {target.source for target in host.targets}
        latest["rules"] = {alert.rule for alert in host.alerts}
        since = f"since {host.health_since:%Y-%m-%d %H:%M} UTC" if host.health_since else None
        health.content = cells.state(host.row.health, "health", since)
        facts.content = _about(host)
        targets.show([_target(target, now) for target in host.targets])
        alerts.show([_alert(alert, now) for alert in host.alerts])
        for table in tables:
            table.show(host)

    await frame.every(1.0, refresh)
    ui.timer(0.1, charts.refresh, once=True)
    ui.timer(10.0, charts.refresh, immediate=False)
