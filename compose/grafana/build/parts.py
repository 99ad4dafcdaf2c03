"""Building blocks of dashboards: queries, panels and the dashboard itself. Sizes are in Grafana's grid, 24 wide."""

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
TIME_FILTER: Final = "$__timeFilter(time)"
STATUS_COLOURS: Final = {
    "OK": "green", "up": "green", "ready": "green",
    "Warning": "yellow", "warning": "yellow", "partial": "yellow", "slow": "yellow", "late": "yellow",
    "Critical": "red", "critical": "red", "unreachable": "red", "auth_failed": "red",
}
"""Value of a health, severity or status → its colour; other values have none."""


@dataclass
class _SqlQuery(variants.Dataquery):
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
class _QueryBuilder(builder.Builder[variants.Dataquery]):
    query: variants.Dataquery

    def build(self) -> variants.Dataquery:
        return self.query


@dataclass(frozen=True)
class Column:
    """Title, unit and appearance of a table column."""

    title: str
    unit: str = ""
    width: int = 0
    coloured: bool = False
    """Colour the text by STATUS_COLOURS."""
    link: str = ""
    """Link to another dashboard; `${__value.raw}` is the value of the cell."""


@dataclass
class Dashboard:
    """Content of a dashboard, before layout."""

    uid: str
    title: str
    description: str
    panels: Sequence[Any]
    variables: Sequence[built.QueryVariable] = field(default_factory=tuple)
    source: DataSourceRef = field(default_factory=lambda: INFLUXDB)

    def build(self) -> dashboard.Dashboard:
        """Returns Grafana's dashboard, with numbered panels placed side by side."""
        board = built.Dashboard(self.title).uid(f"rackstream-{self.uid}").description(self.description)
        board = board.tags(["rackstream"]).readonly().time("now-1h", "now").refresh("10s").timezone("browser")
        board = board.tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        links = built.DashboardLink("Rackstream").type(dashboard.DashboardLinkType.DASHBOARDS).tags(["rackstream"])
        board = board.link(links.as_dropdown(True).keep_time(True))
        for variable in self.variables:
            board = board.with_variable(variable)
        for number, panel in enumerate(self.panels, 1):
            board = board.with_row(panel) if isinstance(panel, built.Row) else board.with_panel(panel.id(number))
        return board.build()


def latest_rows(measurement: str, by: Iterable[str], columns: str, where: str = "true", order: str = "") -> str:
    """Returns SQL for the latest row of each series in the time range.

    Args:
        measurement: Measurement to read.
        by: Columns that identify a series.
        columns: Columns to select.
        where: Condition on the latest rows.
        order: Sort order and limit.
    """
    keys = ", ".join(by)
    # Several transitions of an alert can have the same time.
    last = "time DESC, CAST(revision AS BIGINT) DESC" if measurement == "alert" else "time DESC"
    rows = (
        f"SELECT *, row_number() OVER (PARTITION BY {keys} ORDER BY {last}) AS newest FROM {measurement} WHERE {TIME_FILTER}"
    )
    return f"SELECT {columns} FROM ({rows}) WHERE newest = 1 AND {where}" + (f" ORDER BY {order}" if order else "")


def time_series(measurement: str, values: str, by: str = "host", where: str = "true") -> str:
    """Returns SQL for a line per value of `by`; `values` aggregates the rows of each point."""
    keys = f", {by}" if by else ""
    groups = f"GROUP BY 1{keys} ORDER BY 1"
    return f"SELECT $__dateBin(time) AS time{keys}, {values} FROM {measurement} WHERE {TIME_FILTER} AND {where} {groups}"


def _with_queries(panel: Any, queries: Iterable[str], shape: str) -> Any:
    for letter, text in zip("ABCDEFGH", queries, strict=False):
        panel = panel.with_target(_QueryBuilder(_SqlQuery(text, shape, letter)))
    return panel.datasource(INFLUXDB)


def influx_graph(
    title: str, unit: str, *queries: str, about: str = "", width: int = 12, height: int = 8, stacked: bool = False
) -> timeseries.Panel:
    """Graph of SQL queries to InfluxDB."""
    return _with_queries(_graph(title, unit, about, width, height, stacked=stacked), queries, "time_series")


def prometheus_graph(
    title: str, unit: str, *queries: tuple[str, str], about: str = "", width: int = 12, height: int = 8
) -> timeseries.Panel:
    """Graph of Prometheus queries, given as (PromQL, legend)."""
    panel = _graph(title, unit, about, width, height, stacked=False).datasource(PROMETHEUS)
    for letter, (expression, legend) in zip("ABCDEFGH", queries, strict=False):
        query = prometheus.Dataquery().expr(expression).legend_format(legend).range().ref_id(letter)
        panel = panel.with_target(query.datasource(PROMETHEUS))
    return panel


def _graph(title: str, unit: str, about: str, width: int, height: int, *, stacked: bool) -> timeseries.Panel:
    legend = shown.VizLegendOptions().display_mode(common.LegendDisplayMode.TABLE).show_legend(True)
    legend = legend.placement(common.LegendPlacement.BOTTOM).calcs(["lastNotNull", "max"])
    tooltip = shown.VizTooltipOptions().mode(common.TooltipDisplayMode.MULTI).sort(common.SortOrder.DESCENDING)
    panel = timeseries.Panel().title(title).description(about).unit(unit).span(width).height(height)
    panel = panel.legend(legend).tooltip(tooltip).line_width(1).fill_opacity(25 if stacked else 5)
    panel = panel.show_points(common.VisibilityMode.AUTO).span_nulls(False)  # gaps stay visible
    if stacked:
        panel = panel.stacking(shown.StackingConfig().mode(common.StackingMode.NORMAL).group("A"))
    return panel


def influx_stat(
    title: str, unit: str, query: str, *, about: str = "", width: int = 4, warn: float | None = None
) -> stat.Panel:
    """Single value from InfluxDB, yellow from `warn` on."""
    panel = stat.Panel().title(title).description(about).unit(unit).span(width).height(4).no_value("–")
    return _with_queries(panel.thresholds(_thresholds(warn)), [query], "table")


def prometheus_stat(
    title: str, unit: str, query: str, *, about: str = "", width: int = 4, warn: float | None = None
) -> stat.Panel:
    """Current single value from Prometheus, yellow from `warn` on."""
    panel = stat.Panel().title(title).description(about).unit(unit).span(width).height(4).no_value("–")
    dataquery = prometheus.Dataquery().expr(query).instant().format(PromQueryFormat.TABLE).ref_id("A")
    return panel.thresholds(_thresholds(warn)).datasource(PROMETHEUS).with_target(dataquery.datasource(PROMETHEUS))


def _thresholds(warn: float | None) -> built.ThresholdsConfig:
    steps = [dashboard.Threshold(None, "text")] + ([dashboard.Threshold(warn, "yellow")] if warn is not None else [])
    return built.ThresholdsConfig().mode(dashboard.ThresholdsMode.ABSOLUTE).steps(steps)


def influx_table(
    title: str, query: str, columns: Mapping[str, Column], *, about: str = "", width: int = 12, height: int = 8
) -> table.Panel:
    """Table from InfluxDB; `columns` describes the columns that need a title, unit or width."""
    panel = table.Panel().title(title).description(about).span(width).height(height).no_value("none")
    for name, column in columns.items():
        panel = panel.override_by_name(name, list(_column_overrides(column)))
    return _with_queries(panel, [query], "table")


def _column_overrides(column: Column) -> Iterable[dashboard.DynamicConfigValue]:
    yield dashboard.DynamicConfigValue("displayName", column.title)
    if column.unit:
        yield dashboard.DynamicConfigValue("unit", column.unit)
    if column.width:
        yield dashboard.DynamicConfigValue("custom.width", column.width)
    if column.link:
        yield dashboard.DynamicConfigValue("links", [{"title": "open", "url": column.link}])
    if column.coloured:
        options = {value: {"color": colour, "index": at} for at, (value, colour) in enumerate(STATUS_COLOURS.items())}
        yield dashboard.DynamicConfigValue("mappings", [{"type": "value", "options": options}])
        yield dashboard.DynamicConfigValue("custom.cellOptions", {"type": "color-text"})


def query_variable(name: str, label: str, query: str) -> built.QueryVariable:
    """Variable whose value the user selects."""
    variable = built.QueryVariable(name).label(label).datasource(INFLUXDB).query(query)
    return variable.refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED).sort(
        dashboard.VariableSort.ALPHABETICAL_ASC
    )


HOST_COLUMN: Final = Column("host", link="/d/rackstream-host?var-host=${__value.raw:percentencode}&${__url_time_range}")
TIME_COLUMN: Final = Column("at", width=170)
