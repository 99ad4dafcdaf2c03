"""Alerts dashboard: active alerts, history, most frequent rules."""

from __future__ import annotations

from typing import Final

from compose.grafana.build.parts import (
    HOST_COLUMN,
    TIME_COLUMN,
    TIME_FILTER,
    Column,
    Dashboard,
    influx_graph,
    influx_stat,
    influx_table,
    latest_rows,
    time_series,
)

SEVERITY: Final = Column("severity", width=90, coloured=True)
ACTIVE_ALERTS: Final = latest_rows("alert", ("id",), "*", "transition <> 'cleared'")
BOARD: Final = Dashboard("alerts", "Alerts", "Active alerts and their history.", (
    influx_stat("Critical", "none", f"SELECT count(*) AS alerts FROM ({ACTIVE_ALERTS}) WHERE severity = 'critical'", width=6, warn=1),
    influx_stat("Warning", "none", f"SELECT count(*) AS alerts FROM ({ACTIVE_ALERTS}) WHERE severity = 'warning'", width=6, warn=1),
    influx_stat("Raised in the range", "none", f"SELECT count(*) AS alerts FROM alert WHERE {TIME_FILTER} AND transition = 'raised'", width=6),
    influx_stat("Cleared in the range", "none", f"SELECT count(*) AS alerts FROM alert WHERE {TIME_FILTER} AND transition = 'cleared'", width=6),
    influx_table("Active", latest_rows("alert", ("id",), "time, started_at, host, severity, rule, component, value, threshold, text", "transition <> 'cleared'", "time DESC"),
         {"time": Column("last change", width=170), "started_at": Column("since", "dateTimeAsLocal", 170), "host": HOST_COLUMN, "severity": SEVERITY}, width=24, height=10,
         about="The latest transition of each alert in the range, unless it is «cleared»."),
    influx_graph("Raised, by rule", "none", time_series("alert", "count(*) AS raised", "rule", "transition = 'raised'")),
    influx_graph("Raised, by severity", "none", time_series("alert", "count(*) AS raised", "severity", "transition = 'raised'")),
    influx_table("Hosts with most alerts", f"SELECT host, count(*) AS raised FROM alert WHERE {TIME_FILTER} AND transition = 'raised' GROUP BY host ORDER BY raised DESC LIMIT 20",
         {"host": HOST_COLUMN}),
    influx_table("Most frequent rules", f"SELECT rule, severity, count(*) AS raised FROM alert WHERE {TIME_FILTER} AND transition = 'raised' GROUP BY rule, severity ORDER BY raised DESC LIMIT 20",
         {"severity": SEVERITY}),
    influx_table("Transitions", f"SELECT time, host, severity, rule, component, transition, cause, text FROM alert WHERE {TIME_FILTER} ORDER BY time DESC LIMIT 500",
         {"time": TIME_COLUMN, "host": HOST_COLUMN, "severity": SEVERITY}, width=24, height=12),
))
