"""Fleet view: totals, hottest sensors, newest alerts, and the list of hosts, searched and paged on the server."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, cast

from nicegui import ui

from rackstream.text import units
from rackstream.view.answers import HostRow, HotSensor
from rackstream.view.lists import HostOrder
from rackstream.web import cells
from rackstream.web.alerts import alert_cells, host_link
from rackstream.web.grid import Grid, GridColumn
from rackstream.web.layout import PageFrame, main, panel, tile

PAGE_SIZE: Final = 50
TOP_ROWS: Final = 5
"""Rows of the hottest sensors and of the newest alerts."""
HEALTHS: Final = ("critical", "warning", "ok", "unknown")
STATUSES: Final = ("up", "slow", "partial", "late", "auth_failed", "unreachable", "stopped", "unknown")
EMPTY: Final = (
    "No hosts yet. Name them in <code>fleet.yaml</code> (a copy of <code>fleet.example.yaml</code>) and run "
    "<code>rackstream up</code>, or try simulated hosts: <code>rackstream demo</code>."
)
HOSTS: Final = (
    GridColumn("Host", sort="name"),
    GridColumn("Health", sort="health"),
    GridColumn("Sources", sort="status"),
    GridColumn("Power", "number", "watts"),
    GridColumn("Hottest sensor", sort="temperature"),
    GridColumn("VMs", "number", "vms"),
    GridColumn("CPU", "number", "cpu"),
    GridColumn("Alerts", "number", "alerts"),
    GridColumn("Labels"),
)
HOTTEST_SENSORS: Final = (
    GridColumn("Host"),
    GridColumn("Sensor", "wide"),
    GridColumn("Reading", "number"),
    GridColumn("Share of limit", "number"),
)
NEWEST_ALERTS: Final = (
    GridColumn("Start (UTC)"),
    GridColumn("Severity"),
    GridColumn("Host"),
    GridColumn("Description", "wide"),
)


class HostList:
    """The list of hosts with its search, filters, sort order and pages."""

    def __init__(self, frame: PageFrame, parameters: Mapping[str, str]) -> None:
        """Builds the list; `parameters`: q, health and status of the view's address."""
        self._frame = frame
        self._offset, self._total = 0, 0
        self._sort: HostOrder = "name"
        self._descending = False
        with panel("Hosts") as box:
            with box.tools:
                self._search = ui.input(placeholder="Search name or label", value=parameters.get("q", ""))
                self._search.props('outlined dense clearable debounce=250 aria-label="Search hosts"')
                self._health = _filter("Health", HEALTHS, parameters.get("health", ""))
                self._status = _filter("Status", STATUSES, parameters.get("status", ""))
                self._search.on_value_change(self._on_filter)
                self._health.on_value_change(self._on_filter)
                self._status.on_value_change(self._on_filter)
            self._grid = Grid("Hosts", HOSTS, empty=EMPTY, on_action=self._on_action)
            self._grid.mark_sorted(self._sort)
            with ui.element("div").classes("pager") as self._pager:
                self._range = ui.html("").props('role="status"')
                with ui.element("div").classes("right"):
                    self._previous = ui.html("Previous", tag="button").classes("action")
                    self._previous.on("click", lambda: self._turn_page(-1))
                    self._next = ui.html("Next", tag="button").classes("action")
                    self._next.on("click", lambda: self._turn_page(1))

    async def refresh(self) -> None:
        """Shows the current page of hosts."""
        search, health, status = self._search.value or "", self._health.value or None, self._status.value or None
        page = await self._frame.query(
            self._frame.view.hosts,
            search,
            health=health,
            status=status,
            sort=self._sort,
            descending=self._descending,
            offset=self._offset,
            limit=PAGE_SIZE,
        )
        if not page.rows and self._offset:
            self._offset = 0
            await self.refresh()
            return
        self._total = page.total
        self._grid.set_empty("No matching hosts." if search or health or status else EMPTY)
        self._grid.show([_host_row(row) for row in page.rows])
        self._range.content = f"{self._offset + 1:,}–{self._offset + len(page.rows):,} of {page.total:,} hosts"
        self._pager.set_visibility(bool(page.rows))
        _set_enabled(self._previous, self._offset > 0)
        _set_enabled(self._next, self._offset + PAGE_SIZE < page.total)

    async def _on_filter(self) -> None:
        self._offset = 0
        query = {"q": self._search.value, "health": self._health.value, "status": self._status.value}
        ui.navigate.history.replace(cells.path("", **query))
        await self.refresh()

    async def _turn_page(self, pages: int) -> None:
        offset = self._offset + pages * PAGE_SIZE
        if 0 <= offset < max(1, self._total):
            self._offset = offset
            await self.refresh()

    async def _on_action(self, action: str) -> None:
        sort = action.removeprefix("sort:")
        if sort not in {column.sort for column in HOSTS if column.sort}:
            return
        # Numbers start with the highest; health and status start with the worst, which their order has first.
        self._descending = not self._descending if sort == self._sort else sort not in ("name", "health", "status")
        self._sort, self._offset = cast("HostOrder", sort), 0
        self._grid.mark_sorted(sort, descending=self._descending)
        await self.refresh()


def _filter(label: str, words: tuple[str, ...], value: str) -> ui.select:
    options = {"": f"Any {label.lower()}"} | {word: word.replace("_", " ") for word in words}
    select = ui.select(options, value=value if value in words else "")
    return select.props(f'outlined dense options-dense aria-label="{label}"')


def _set_enabled(button: ui.html, is_enabled: bool) -> None:  # noqa: FBT001
    if is_enabled == ("disabled" in button.props):
        button.props(remove="disabled") if is_enabled else button.props("disabled")


def _host_row(host: HostRow) -> list[str]:
    hottest = host.hottest
    return [
        host_link(host.name),
        cells.state(host.health),
        cells.states(host.statuses),
        cells.number(host.watts, "W"),
        cells.celsius(hottest.celsius, hottest.limit_celsius, hottest.sensor) if hottest else cells.NOTHING,
        cells.number(host.vms),
        cells.number(host.cpu_percent, "%"),
        cells.text(host.alerts, "bad") if host.alerts else cells.number(0),
        cells.labels(host.labels),
    ]


async def build(frame: PageFrame, parameters: Mapping[str, str]) -> None:
    """Builds the view; `parameters`: q, health and status of its address."""
    with main():
        ui.html("Fleet", tag="h1")
        with ui.element("div").classes("tiles"):
            health_tiles = {
                health: tile(f"Hosts {health}", cells.path("", health=health))
                for health in ("ok", "warning", "critical", "unknown")
            }
            watts, vms, rate = tile("Power"), tile("VMs"), tile("Records", cells.path("pipeline"))
            alerts, failing_targets = tile("Active alerts", cells.path("alerts")), tile("Targets not up")
        with ui.element("div").classes("panels"):
            with panel("Hottest sensors"):
                hottest_grid = Grid(
                    "Sensors closest to their limits",
                    HOTTEST_SENSORS,
                    empty="No temperatures yet: they arrive with the first poll of a BMC.",
                )
            with panel("Newest alerts"):
                alert_grid = Grid("Newest active alerts", NEWEST_ALERTS, empty="No active alerts.")
        hosts = HostList(frame, parameters)

    async def refresh_totals() -> None:
        overview = await frame.query(frame.view.overview)
        for health, element in health_tiles.items():
            count = overview.health.get(health, 0)
            element.content = cells.text(f"{count:,}", units.tone(health) if count else "")
        watts.content = _with_unit(overview.watts, "W")
        vms.content = f"{overview.vms:,}"
        rate.content = _with_unit(overview.records_s, "per s")
        active = sum(overview.alerts.values())
        tone = "bad" if overview.alerts.get("critical") else "warn" if active else ""
        alerts.content = cells.text(f"{active:,}", tone)
        failing = sum(count for status, count in overview.statuses.items() if status not in ("up", "stopped"))
        failing_targets.content = (
            cells.text(f"{failing:,}", "bad" if failing else "")
            + f" <small>of {sum(overview.statuses.values()):,}</small>"
        )
        hottest_grid.show([_sensor_row(sensor) for sensor in overview.hottest[:TOP_ROWS]])
        page = await frame.query(frame.view.alerts, state="active", limit=TOP_ROWS)
        alert_grid.show([alert_cells(row, overview.at) for row in page.rows])

    await frame.refresh_every(1.0, refresh_totals)
    await frame.refresh_every(2.0, hosts.refresh)


def _sensor_row(sensor: HotSensor) -> list[str]:
    tone = units.limit_tone(sensor.nearness, 1)
    share = cells.number(100 * sensor.nearness, "%") + cells.bar(sensor.nearness, tone)
    reading = cells.celsius(sensor.celsius, sensor.limit_celsius)
    return [host_link(sensor.host), cells.text(sensor.sensor), reading, share]


def _with_unit(value: float | None, unit: str) -> str:
    return cells.NOTHING if value is None else f"{value:,.0f} <small>{unit}</small>"
