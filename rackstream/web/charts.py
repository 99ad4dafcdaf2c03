"""History charts of one host or VM, from the stored files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from nicegui import ui

from rackstream.stored.charts import Chart, Line
from rackstream.web.layout import Frame, panel

PERIODS: Final = {
    "15 minutes": timedelta(minutes=15),
    "1 hour": timedelta(hours=1),
    "6 hours": timedelta(hours=6),
    "24 hours": timedelta(days=1),
    "7 days": timedelta(days=7),
}
PALETTE: Final = (
    "#3b82d6",
    "#d9822b",
    "#2f9e6b",
    "#b65fc4",
    "#c9485b",
    "#7a8796",
    "#1aa3b8",
    "#a58a1f",
    "#6c6fd1",
    "#8c6d4f",
    "#5a9e3a",
    "#d0689a",
)
"""Read well on both grounds."""
GREY: Final = "#8492a2"
HOST: Final = (
    Chart("Temperatures", "°C", "redfish_temperature", {"": "reading_celsius"}, "coalesce(sensor_name, sensor_id)"),
    Chart("Power", "W", "power", {"consumed": "consumed_watts"}),
    Chart("Fans", "RPM or %", "redfish_fan", {"": "reading_rpm"}, "coalesce(sensor_name, sensor_id)"),
    Chart("CPU", "%", "host", {"busy": "cpu_percent"}),
    Chart("Memory", "GB", "host", {"used": "memory_used / 1e9", "available": "memory_available / 1e9"}),
    Chart("Network", "MB/s", "host_interface_rates", {"": "(rxbytes_rate + txbytes_rate) / 1e6"}, "device"),
    Chart("VMs: CPU", "% of a CPU", "vm_features", {"": "cputime_rate / 1e7"}, "name"),
)
VM: Final = (
    Chart("CPU", "% of a CPU", "vm_features", {"CPU": "cputime_rate / 1e7"}),
    Chart("Memory", "MB", "vm_metrics", {"used": "memory_used_kb * 1.024e-3", "maximum": "memory_max_kb * 1.024e-3"}),
    Chart("Network", "MB/s", "vm_features", {"received": "net_rxbytes_rate / 1e6", "sent": "net_txbytes_rate / 1e6"}),
    Chart("Disks", "MB/s", "vm_features", {"read": "disk_rd_bytes_rate / 1e6", "written": "disk_wr_bytes_rate / 1e6"}),
)


def options() -> dict[str, Any]:
    """A chart without lines yet."""
    label = {"color": GREY, "fontSize": 11}
    return {
        "color": list(PALETTE),
        "animation": False,
        "useUTC": True,
        "aria": {"enabled": True},
        "series": [],
        "grid": {"left": 4, "right": 12, "top": 12, "bottom": 30, "containLabel": True},
        "tooltip": {"trigger": "axis", "confine": True, "order": "valueDesc", "textStyle": {"fontSize": 12}},
        "legend": {
            "type": "scroll",
            "bottom": 0,
            "icon": "roundRect",
            "itemWidth": 10,
            "itemHeight": 10,
            "textStyle": label,
            "pageTextStyle": label,
            "pageIconColor": GREY,
        },
        "xAxis": {
            "type": "time",
            "axisLabel": {**label, "hideOverlap": True},
            "axisLine": {"lineStyle": {"color": GREY}},
        },
        "yAxis": {
            "type": "value",
            "min": 0,
            "axisLabel": label,
            "splitNumber": 3,
            "name": "",
            "splitLine": {"lineStyle": {"color": GREY, "opacity": 0.25}},
        },
    }


def series(lines: Sequence[Line]) -> list[dict[str, Any]]:
    """Lines as a chart takes them."""
    return [
        {
            "type": "line",
            "name": name,
            "data": points,
            "showSymbol": len(points) < 3,
            "lineStyle": {"width": 1.6},
            "emphasis": {"disabled": True},
        }
        for name, points in lines
    ]


class Charts:
    """The charts of one host or VM, of which only those with lines are shown."""

    def __init__(self, frame: Frame, charts: Sequence[Chart], where: Mapping[str, str]) -> None:
        self._frame, self._where = frame, tuple(where.items())
        self._drawn: dict[Chart, list[Line]] = {}
        self._panes: dict[Chart, tuple[ui.element, ui.echart]] = {}
        with panel("History") as box:
            with box.tools:
                self._period = ui.select(list(PERIODS), value="15 minutes", on_change=self.refresh)
                self._period.props('outlined dense options-dense aria-label="Period"')
            with ui.element("div").classes("charts") as self._all:
                for chart in charts:
                    with ui.element("div").classes("chart") as pane:
                        ui.html(f"{chart.title}, {chart.unit}", tag="h3")
                        drawn = ui.echart(options())
                    pane.set_visibility(False)
                    self._panes[chart] = (pane, drawn)
            self._empty = ui.html("Reading what is stored …").classes("empty")

    async def refresh(self) -> None:
        """Reads what is stored of the period, and draws what has changed."""
        last = PERIODS[self._period.value]
        for chart, (pane, drawn) in self._panes.items():
            lines = await self._frame.console.lines(chart, self._where, last)
            if last != PERIODS[self._period.value]:
                return  # another period was chosen meanwhile, and is being drawn
            if lines != self._drawn.get(chart):
                self._drawn[chart] = lines
                drawn.options["series"] = series(lines)
                drawn.update()
                pane.set_visibility(bool(lines))
        has_any = any(self._drawn.values())
        self._empty.set_visibility(not has_any)
        self._empty.content = (
            "Nothing is stored of this time in the console's data directory. The files sink stores it: "
            "<code>rackstream sink files</code>, which <code>rackstream up</code> runs."
        )
