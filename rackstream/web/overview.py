"""The fleet: hosts by health, watts, what is hottest, newest alerts, and a list of hosts that the server pages."""

from __future__ import annotations

from typing import Any, Final

from nicegui import ui

from rackstream.text import units
from rackstream.web import cells
from rackstream.web.alerts import brief, host_link
from rackstream.web.grid import Column, Grid
from rackstream.web.layout import Frame, main, panel, tile

PAGE: Final = 50
TOP: Final = 5
HEALTHS: Final = ("critical", "warning", "ok", "unknown")
STATUSES: Final = ("up", "slow", "partial", "late", "auth_failed", "unreachable", "stopped", "unknown")
EMPTY: Final = (
    "No hosts yet. Name them in <code>fleet.yaml</code> (a copy of <code>fleet.example.yaml</code>) and run "
    "<code>rackstream up</code>, or see it all with simulated hosts: <code>rackstream demo</code>."
)
COLUMNS: Final = (
    Column("Host", sort="name"),
    Column("Health", sort="health"),
    Column("Sources", sort="status"),
    Column("Power", "number", "watts"),
    Column("Nearest its limit", sort="temperature"),
    Column("VMs", "number", "vms"),
    Column("CPU", "number", "cpu"),
    Column("Alerts", "number", "alerts"),
    Column("Labels"),
)


class Hosts:
    """The list of hosts: what is asked for, and its page."""

    def __init__(self, frame: Frame, asked: dict[str, str]) -> None:
        self._frame = frame
        self._offset, self._total = 0, 0
        self._sort, self._descending = "name", False
        with panel("Hosts") as box:
            with box.tools:
                self._search = ui.input(placeholder="Search name or label", value=asked.get("q", ""))
                self._search.props('outlined dense clearable debounce=250 aria-label="Search hosts"')
                self._health = _choice("Health", HEALTHS, asked.get("health", ""))
                self._status = _choice("Status", STATUSES, asked.get("status", ""))
                for each in (self._search, self._health, self._status):
                    each.on_value_change(self._asked)
            self._grid = Grid("Hosts", COLUMNS, empty=EMPTY, on_act=self._act)
            self._grid.sorted(self._sort)
            with ui.element("div").classes("pager") as self._pager:
                self._where = ui.html("").props('role="status"')
                with ui.element("div").classes("right"):
                    self._before = (
                        ui.html("Previous", tag="button").classes("action").on("click", lambda: self._turn(-1))
                    )
                    self._after = ui.html("Next", tag="button").classes("action").on("click", lambda: self._turn(1))

    async def refresh(self) -> None:
        """Shows the page of hosts as it is now."""
        search, health, status = self._search.value or "", self._health.value or None, self._status.value or None
        found = await self._frame.console.ask(
            "hosts",
            search=search,
            health=health,
            status=status,
            sort=self._sort,
            descending=self._descending,
            offset=self._offset,
            limit=PAGE,
        )
        if not found.rows and self._offset:
            self._offset = 0
            await self.refresh()
            return
        self._total = found.total
        self._grid.empty("No host matches." if search or health or status else EMPTY)
        self._grid.show([_row(row) for row in found.rows])
        self._where.content = f"{self._offset + 1:,}–{self._offset + len(found.rows):,} of {found.total:,} hosts"
        self._pager.set_visibility(bool(found.rows))
        _enable(self._before, self._offset > 0)
        _enable(self._after, self._offset + PAGE < found.total)

    async def _asked(self) -> None:
        self._offset = 0
        query = {"q": self._search.value, "health": self._health.value, "status": self._status.value}
        ui.navigate.history.replace(cells.path("", **query))
        await self.refresh()

    async def _turn(self, pages: int) -> None:
        offset = self._offset + pages * PAGE
        if 0 <= offset < max(1, self._total):
            self._offset = offset
            await self.refresh()

    async def _act(self, act: str) -> None:
        by = act.removeprefix("sort:")
        if by not in {column.sort for column in COLUMNS if column.sort}:
            return
        # Numbers are asked for to see the highest, health and status to see the worst, which come first.
        self._descending = not self._descending if by == self._sort else by not in ("name", "health", "status")
        self._sort, self._offset = by, 0
        self._grid.sorted(by, descending=self._descending)
        await self.refresh()


def _choice(what: str, words: tuple[str, ...], value: str) -> ui.select:
    choices = {"": f"Any {what.lower()}"} | {word: word.replace("_", " ") for word in words}
    chosen = ui.select(choices, value=value if value in words else "")
    return chosen.props(f'outlined dense options-dense aria-label="{what}"')


def _enable(button: ui.html, is_enabled: bool) -> None:  # noqa: FBT001
    if is_enabled == ("disabled" in button.props):
        button.props(remove="disabled") if is_enabled else button.props("disabled")


def _row(host: Any) -> list[str]:
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


async def build(frame: Frame, asked: dict[str, str]) -> None:
    """Builds the view. `asked`: q, health, status of its address."""
    with main():
        ui.html("Fleet", tag="h1")
        with ui.element("div").classes("tiles"):
            health = {
                each: tile(f"Hosts {each}", cells.path("", health=each))
                for each in ("ok", "warning", "critical", "unknown")
            }
            watts, vms, rate = tile("Power"), tile("VMs"), tile("Records", cells.path("pipeline"))
            alerts, away = tile("Active alerts", cells.path("alerts")), tile("Targets not up")
        with ui.element("div").classes("panels"):
            with panel("Nearest their limits"):
                hottest = Grid(
                    "Sensors nearest their limits",
                    (Column("Host"), Column("Sensor", "wide"), Column("Reading", "number"), Column("Share", "number")),
                    empty="No temperatures yet: they come with the first poll of a BMC.",
                )
            with panel("Newest alerts"):
                newest = Grid(
                    "Newest active alerts",
                    (Column("Since (UTC)"), Column("Severity"), Column("Host"), Column("What", "wide")),
                    empty="No alert is active.",
                )
        hosts = Hosts(frame, asked)

    async def glance() -> None:
        found = await frame.console.ask("overview")
        for each, element in health.items():
            tone = units.tone(each) if found.health.get(each) else ""
            element.content = cells.text(f"{found.health.get(each, 0):,}", tone)
        watts.content = _unit(found.watts, "W")
        vms.content = f"{found.vms:,}"
        rate.content = _unit(found.records_s, "per s")
        active = sum(found.alerts.values())
        alerts.content = cells.text(f"{active:,}", "bad" if found.alerts.get("critical") else "warn" if active else "")
        failing = sum(count for status, count in found.statuses.items() if status not in ("up", "stopped"))
        away.content = (
            cells.text(f"{failing:,}", "bad" if failing else "")
            + f" <small>of {sum(found.statuses.values()):,}</small>"
        )
        hottest.show([_hot(each) for each in found.hottest[:TOP]])
        page = await frame.console.ask("alerts", state="active", limit=TOP)
        newest.show([brief(row, found.at) for row in page.rows])

    await frame.every(1.0, glance)
    await frame.every(2.0, hosts.refresh)


def _hot(each: Any) -> list[str]:
    share = cells.number(100 * each.nearness, "%") + cells.bar(each.nearness, units.near(each.nearness, 1))
    return [host_link(each.host), cells.text(each.sensor), cells.celsius(each.celsius, each.limit_celsius), share]


def _unit(value: float | None, unit: str) -> str:
    return cells.NOTHING if value is None else f"{value:,.0f} <small>{unit}</small>"
