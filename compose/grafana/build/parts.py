"""What every dashboard is made of: queries, panels, the frame around them. Sizes are in Grafana's grid, 24 wide."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from grafana_foundation_sdk.builders import common as shown
from grafana_foundation_sdk.builders import dashboard as built
from grafana_foundation_sdk.builders import prometheus, stat, table, timeseries
from grafana_foundation_sdk.cog import builder, variants
from grafana_foundation_sdk.models import common, dashboard
from grafana_foundation_sdk.models.dashboard import DataSourceRef
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

INFLUXDB: Final = DataSourceRef("influxdb", "influxdb")
PROMETHEUS: Final = DataSourceRef("prometheus", "prometheus")
WITHIN: Final = "$__timeFilter(time)"
STATUS_COLOURS: Final = {
    "OK": "green", "up": "green", "ready": "green",
    "Warning": "yellow", "warning": "yellow", "partial": "yellow", "slow": "yellow", "late": "yellow",
    "Critical": "red", "critical": "red", "unreachable": "red", "auth_failed": "red",
}
"""A word of health, severity or status → its colour; other words have none."""


@dataclass
class _Sql(variants.Dataquery):
    """A query of the InfluxDB data source in its SQL mode, for which the SDK has no type."""

    text: str
    shape: str
    ref_id: str = "A"

    def to_json(self) -> dict[str, object]:
        return {
            "refId": self.ref_id,
            "datasource": INFLUXDB,
            "rawQuery": True,
            "format": self.shape,
            "rawSql": self.text,
        }


@dataclass
class _Built(builder.Builder[variants.Dataquery]):
    query: variants.Dataquery

    def build(self) -> variants.Dataquery:
        return self.query


@dataclass(frozen=True)
class Column:
    """How a column of a table is shown."""

    title: str
    unit: str = ""
    width: int = 0
    coloured: bool = False
    """By STATUS_COLOURS."""
    link: str = ""
    """To another dashboard; `${__value.raw}` is the cell's value."""


@dataclass
class Board:
    """One dashboard, before it is laid out."""

    uid: str
    title: str
    description: str
    panels: Sequence[Any]
    variables: Sequence[built.QueryVariable] = field(default_factory=tuple)
    source: DataSourceRef = field(default_factory=lambda: INFLUXDB)

    def build(self) -> dashboard.Dashboard:
        """The dashboard: its panels numbered, each placed beside the one before it."""
        made = built.Dashboard(self.title).uid(f"rackstream-{self.uid}").description(self.description)
        made = made.tags(["rackstream"]).readonly().time("now-1h", "now").refresh("10s").timezone("browser")
        made = made.tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        links = built.DashboardLink("Rackstream").type(dashboard.DashboardLinkType.DASHBOARDS).tags(["rackstream"])
        made = made.link(links.as_dropdown(True).keep_time(True))
        for variable in self.variables:
            made = made.with_variable(variable)
        for number, panel in enumerate(self.panels, 1):
            made = made.with_row(panel) if isinstance(panel, built.Row) else made.with_panel(panel.id(number))
        return made.build()


def newest(measurement: str, by: Iterable[str], columns: str, where: str = "true", order: str = "") -> str:
    """The newest row of each series within the range; `by`: what a series is told by; `where` is asked of those rows."""
    keys = ", ".join(by)
    # Several transitions of one alert may share a time.
    last = "time DESC, CAST(revision AS BIGINT) DESC" if measurement == "alert" else "time DESC"
    rows = (
        f"SELECT *, row_number() OVER (PARTITION BY {keys} ORDER BY {last}) AS newest FROM {measurement} WHERE {WITHIN}"
    )
    return f"SELECT {columns} FROM ({rows}) WHERE newest = 1 AND {where}" + (f" ORDER BY {order}" if order else "")


def over_time(measurement: str, values: str, by: str = "host", where: str = "true") -> str:
    """A line for each `by`, averaged or otherwise put together (`values`) over the width of a point."""
    keys = f", {by}" if by else ""
    groups = f"GROUP BY 1{keys} ORDER BY 1"
    return f"SELECT $__dateBin(time) AS time{keys}, {values} FROM {measurement} WHERE {WITHIN} AND {where} {groups}"


def _targets(panel: Any, queries: Iterable[str], shape: str) -> Any:
    for letter, text in zip("ABCDEFGH", queries, strict=False):
        panel = panel.with_target(_Built(_Sql(text, shape, letter)))
    return panel.datasource(INFLUXDB)


def lines(
    title: str, unit: str, *queries: str, about: str = "", width: int = 12, height: int = 8, stacked: bool = False
) -> timeseries.Panel:
    """Values over time from InfluxDB."""
    return _targets(_lines(title, unit, about, width, height, stacked=stacked), queries, "time_series")


def watched(
    title: str, unit: str, *queries: tuple[str, str], about: str = "", width: int = 12, height: int = 8
) -> timeseries.Panel:
    """Values over time from Prometheus: (PromQL, legend)."""
    panel = _lines(title, unit, about, width, height, stacked=False).datasource(PROMETHEUS)
    for letter, (expression, legend) in zip("ABCDEFGH", queries, strict=False):
        query = prometheus.Dataquery().expr(expression).legend_format(legend).range().ref_id(letter)
        panel = panel.with_target(query.datasource(PROMETHEUS))
    return panel


def _lines(title: str, unit: str, about: str, width: int, height: int, *, stacked: bool) -> timeseries.Panel:
    legend = shown.VizLegendOptions().display_mode(common.LegendDisplayMode.TABLE).show_legend(True)
    legend = legend.placement(common.LegendPlacement.BOTTOM).calcs(["lastNotNull", "max"])
    tooltip = shown.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
    panel = timeseries.Panel().title(title).description(about).unit(unit).span(width).height(height)
    panel = panel.legend(legend).tooltip(tooltip).line_width(1).fill_opacity(25 if stacked else 5)
    panel = panel.show_points(common.VisibilityMode.AUTO).span_nulls(False)  # a gap is a gap
    if stacked:
        panel = panel.stacking(shown.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    return panel


def number(
    title: str, unit: str, query: str, *, about: str = "", width: int = 4, warn: float | None = None
) -> stat.Panel:
    """One figure from InfluxDB; from `warn` on it is yellow."""
    panel = stat.Panel().title(title).description(about).unit(unit).span(width).height(4).no_value("–")
    return _targets(panel.thresholds(_steps(warn)), [query], "table")


def counted(
    title: str, unit: str, query: str, *, about: str = "", width: int = 4, warn: float | None = None
) -> stat.Panel:
    """One figure from Prometheus, as it is now."""
    panel = stat.Panel().title(title).description(about).unit(unit).span(width).height(4).no_value("–")
    asked = prometheus.Dataquery().expr(query).instant().format(PromQueryFormat.TABLE).ref_id("A")
    return panel.thresholds(_steps(warn)).datasource(PROMETHEUS).with_target(asked.datasource(PROMETHEUS))


def _steps(warn: float | None) -> built.ThresholdsConfig:
    steps = [dashboard.Threshold(None, "text")] + ([dashboard.Threshold(warn, "yellow")] if warn is not None else [])
    return built.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(steps)


def rows(
    title: str, query: str, columns: Mapping[str, Column], *, about: str = "", width: int = 12, height: int = 8
) -> table.Panel:
    """A table from InfluxDB: the query's columns, those named in `columns` as they say."""
    panel = table.Panel().title(title).description(about).span(width).height(height).no_value("none")
    for name, column in columns.items():
        panel = panel.override_by_name(name, list(_shown(column)))
    return _targets(panel, [query], "table")


def _shown(column: Column) -> Iterable[dashboard.DynamicConfigValue]:
    yield dashboard.DynamicConfigValue("displayName", column.title)
    if column.unit:
        yield dashboard.DynamicConfigValue("unit", column.unit)
    if column.width:
        yield dashboard.DynamicConfigValue("custom.width", column.width)
    if column.link:
        yield dashboard.DynamicConfigValue("links", [{"title": "open", "url": column.link}])
    if column.coloured:
        words = {word: {"color": colour, "index": at} for at, (word, colour) in enumerate(STATUS_COLOURS.items())}
        yield dashboard.DynamicConfigValue("mappings", [{"type": "value", "options": words}])
        yield dashboard.DynamicConfigValue("custom.cellOptions", {"type": "color-text"})


def choice(name: str, label: str, query: str) -> built.QueryVariable:
    """A variable that a person picks one value of."""
    variable = built.QueryVariable(name).label(label).datasource(INFLUXDB).query(query)
    return variable.refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(
        dashboard.VariableSort.ALPHABETICAL_ASC
    )


HOST: Final = Column("host", link="/d/rackstream-host?var-host=${__value.raw:percentencode}&${__url_time_range}")
SINCE: Final = Column("at", width=170)
