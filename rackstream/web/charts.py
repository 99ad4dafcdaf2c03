"""History charts of one host or VM, from the stored files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from nicegui import ui

from rackstream.stored.charts import Chart, ChartLine
from rackstream.web.layout import PageFrame, panel

EchartsOptions = dict[str, Any]
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
"""Line colours that are legible on a light and on a dark background."""
GREY: Final = "#8492a2"
HOST_CHARTS: Final = (
    Chart("Temperatures", "°C", "redfish_temperature", {"": "reading_celsius"}, "coalesce(sensor_name, sensor_id)"),
    Chart("Power", "W", "power", {"consumed": "consumed_watts"}),
    Chart("Fans", "RPM or %", "redfish_fan", {"": "reading_rpm"}, "coalesce(sensor_name, sensor_id)"),
    Chart("CPU", "%", "host", {"busy": "cpu_percent"}),
    Chart("Memory", "GB", "host", {"used": "memory_used / 1e9", "available": "memory_available / 1e9"}),
    Chart("Network", "MB/s", "host_interface_rates", {"": "(rxbytes_rate + txbytes_rate) / 1e6"}, "device"),
    Chart("VMs: CPU", "% of a CPU", "vm_features", {"": "cputime_rate / 1e7"}, "name"),
)
VM_CHARTS: Final = (
    Chart("CPU", "% of a CPU", "vm_features", {"CPU": "cputime_rate / 1e7"}),
    Chart("Memory", "MB", "vm_metrics", {"used": "memory_used_kb * 1.024e-3", "maximum": "memory_max_kb * 1.024e-3"}),
    Chart("Network", "MB/s", "vm_features", {"received": "net_rxbytes_rate / 1e6", "sent": "net_txbytes_rate / 1e6"}),
    Chart("Disks", "MB/s", "vm_features", {"read": "disk_rd_bytes_rate / 1e6", "written": "disk_wr_bytes_rate / 1e6"}),
)


def empty_chart() -> EchartsOptions:
    """ECharts options of a chart without lines."""
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


def series(lines: Sequence[ChartLine]) -> list[EchartsOptions]:
    """ECharts series of the lines."""
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


class HistoryCharts:
    """Charts of one host or VM. Charts without lines are hidden."""

    def __init__(self, frame: PageFrame, charts: Sequence[Chart], where: Mapping[str, str]) -> None:
        """Builds the charts; `where`: column → value of the rows to draw."""
        self._frame, self._where = frame, tuple(where.items())
        self._lines: dict[Chart, list[ChartLine]] = {}
        self._elements: dict[Chart, tuple[ui.element, ui.echart]] = {}
        with panel("History") as box:
            with box.tools:
                self._period = ui.select(list(PERIODS), value="15 minutes", on_change=self.refresh)
                self._period.props('outlined dense options-dense aria-label="Period"')
            with ui.element("div").classes("charts"):
                for chart in charts:
                    with ui.element("div").classes("chart") as container:
                        ui.html(f"{chart.title}, {chart.unit}", tag="h3")
                        echart = ui.echart(empty_chart())
                    container.set_visibility(False)
                    self._elements[chart] = (container, echart)
            self._empty = ui.html("Reading stored data …").classes("empty")

    async def refresh(self) -> None:
        """Reads the stored lines of the period and draws those that changed."""
        period = PERIODS[self._period.value]
        for chart, (container, echart) in self._elements.items():
            lines = await self._frame.context.chart_lines(chart, self._where, period)
            if period != PERIODS[self._period.value]:
                return  # another period was chosen meanwhile, and is being drawn
            if lines != self._lines.get(chart):
                self._lines[chart] = lines
                echart.options["series"] = series(lines)
                echart.update()
                container.set_visibility(bool(lines))
        self._empty.set_visibility(not any(self._lines.values()))
        self._empty.content = (
            "No data for this period in the console's data directory. The files sink stores it: "
            "<code>rackstream sink files</code>, which <code>rackstream up</code> runs."
        )
